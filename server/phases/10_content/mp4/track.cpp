#include "phases/10_content/mp4/track.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include <fmt/core.h>

namespace mp::phases::mp4 {

namespace {

constexpr std::size_t kFlags = 4;  // version and flags, before the content of most boxes

std::uint64_t scaled(std::uint64_t milliseconds, std::uint64_t timescale) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(milliseconds) * timescale / 1000);
}

Result<Table> open_table(std::string_view box, std::string_view name, std::size_t header, std::size_t width) {
  if (box.size() < header) return fail(fmt::format("mp4 {} atom too small", name));
  const std::uint64_t rows = read32(box.data() + header - 4);
  if (rows * width * 4 > box.size() - header) return fail(fmt::format("mp4 {} atom too small", name));
  return Table(box.substr(header), static_cast<std::size_t>(rows), width);
}

// A table: version and flags, the number of rows, and the rows, which `write_rows` counts.
template <typename WriteRows>
void write_table(BoxWriter& out, std::string_view box, WriteRows write_rows) {
  out.bytes(box.substr(0, kFlags));
  const std::size_t count_at = out.position();
  out.number(0);
  std::uint32_t rows = 0;
  write_rows(rows);
  write32(out.at(count_at), rows);
}

}  // namespace

std::optional<std::uint64_t> cut_duration(std::uint64_t duration, std::uint64_t timescale, const Cut& cut) {
  const std::uint64_t before = scaled(cut.start, timescale);
  if (duration <= before) return std::nullopt;
  duration -= before;
  return cut.length == 0 ? duration : std::min(duration, scaled(cut.length, timescale));
}

std::optional<TimeBox> TimeBox::read(std::string_view content, Kind kind) {
  if (content.size() < kFlags) return std::nullopt;
  TimeBox box;
  box.content_ = content;
  box.wide_ = content[0] == 1;
  const std::size_t time = box.wide_ ? 8 : 4;
  box.scale_at_ = kFlags + 2 * time;
  box.duration_at_ = box.scale_at_ + 4 + (kind == Kind::track ? 4 : 0);
  if (content.size() < box.duration_at_ + time) return std::nullopt;
  return box;
}

std::uint32_t TimeBox::timescale() const {
  return read32(content_.data() + scale_at_);
}

std::uint64_t TimeBox::duration() const {
  const char* p = content_.data() + duration_at_;
  return wide_ ? read64(p) : read32(p);
}

void TimeBox::write(BoxWriter& out, std::string_view name, std::uint64_t duration) const {
  out.box(name, [&] {
    const std::size_t start = out.position();
    out.bytes(content_);
    if (wide_) {
      write64(out.at(start + duration_at_), duration);
    } else {
      write32(out.at(start + duration_at_), static_cast<std::uint32_t>(duration));
    }
  });
}

// ---- reading

Result<Track> Track::read(std::string_view content) {
  Track track;
  if (!track.collect(content)) return fail("broken mp4 trak atom");
  const auto track_time = TimeBox::read(track.tkhd_, TimeBox::Kind::track);
  if (!track_time) return fail("mp4 tkhd atom too small");
  const auto media_time = TimeBox::read(track.mdhd_, TimeBox::Kind::movie);
  if (!media_time) return fail("mp4 mdhd atom too small");
  track.track_time_ = *track_time;
  track.media_time_ = *media_time;
  TRY(track.open_tables());
  return track;
}

// Boxes that are not listed say nothing that holds for a part of the track, and are left out.
bool Track::collect(std::string_view content) {
  const struct {
    std::string_view name;
    std::string_view Track::* place;
  } kept[] = {{"tkhd", &Track::tkhd_},       {"mdhd", &Track::mdhd_},      {"hdlr", &Track::hdlr_},
              {"vmhd", &Track::vmhd_},       {"smhd", &Track::smhd_},      {"dinf", &Track::dinf_},
              {"stsd", &Track::stsd_},       {"stts", &Track::stts_},      {"stss", &Track::stss_},
              {"ctts", &Track::ctts_},       {"stsc", &Track::stsc_},      {"stsz", &Track::stsz_},
              {"stco", &Track::offset_box_}, {"co64", &Track::offset_box_}};
  return for_each_box(content, [&](std::string_view name, std::string_view inner) {
    if (name == "mdia" || name == "minf" || name == "stbl") return collect(inner);
    for (const auto& box : kept) {
      if (name != box.name) continue;
      if (this->*box.place != std::string_view()) return false;  // twice
      this->*box.place = inner;
      wide_offsets_ = wide_offsets_ || name == "co64";
    }
    return true;
  });
}

Status Track::open_tables() {
  const struct {
    std::string_view box;
    std::string_view name;
    std::size_t header;
    std::size_t width;
    Table* table;
    bool needed;
  } tables[] = {{stts_, "stts", 8, 2, &times_, true},
                {stss_, "stss", 8, 1, &syncs_, false},
                {ctts_, "ctts", 8, 2, &compositions_, false},
                {stsc_, "stsc", 8, 3, &runs_, true},
                {offset_box_, wide_offsets_ ? "co64" : "stco", 8, wide_offsets_ ? 2u : 1u, &offsets_, true}};
  for (const auto& t : tables) {
    if (t.box.empty()) {
      if (t.needed) return fail(fmt::format("no mp4 {} atoms were found", t.name));
      continue;
    }
    auto opened = open_table(t.box, t.name, t.header, t.width);
    if (!opened) return fail(std::move(opened.error()));
    *t.table = *opened;
  }
  if (stsz_.empty()) return fail("no mp4 stsz atoms were found");
  if (stsz_.size() < kFlags + 8) return fail("mp4 stsz atom too small");
  uniform_size_ = read32(stsz_.data() + kFlags);
  auto sizes = uniform_size_ != 0 ? Result<Table>(Table({}, read32(stsz_.data() + kFlags + 4), 0))
                                  : open_table(stsz_, "stsz", kFlags + 8, 1);
  if (!sizes) return fail(std::move(sizes.error()));
  sizes_ = *sizes;

  std::uint64_t samples = 0;
  for (std::size_t i = 0; i < times_.rows(); ++i) samples += times_.at(i, 0);
  if (samples > std::numeric_limits<std::uint32_t>::max()) return fail("too many samples in mp4 stts atom");
  samples_ = static_cast<std::uint32_t>(samples);
  return check_runs();
}

Status Track::check_runs() const {
  if (runs_.rows() == 0) return fail("zero number of entries in stsc atom");
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < runs_.rows(); ++i) {
    const std::uint32_t first = runs_.at(i, 0);
    if (first <= before || (i == 0 && first != 1)) return fail("unordered mp4 stsc chunks");
    if (first > chunks()) return fail("mp4 stsc chunks beyond the chunk offsets");
    if (runs_.at(i, 1) == 0) return fail("zero number of samples in a chunk");
    before = first;
  }
  return {};
}

// ---- choosing samples

Result<bool> Track::cut(const Cut& cut, std::uint32_t movie_timescale) {
  const std::uint32_t timescale = media_time_.timescale();
  const auto shown = cut_duration(track_time_.duration(), movie_timescale, cut);
  const auto media = cut_duration(media_time_.duration(), timescale, cut);
  if (!shown || !media) return false;
  track_duration_ = *shown;

  const auto from = sample_at(scaled(cut.start, timescale));
  if (!from) return fail("start time is out mp4 stts samples");
  from_ = *from;
  if (cut.from_key_frame) start_at_key_frame();
  media_duration_ = *media + prefix_;
  to_end_ = cut.length == 0;
  to_ = to_end_ ? samples_
                : sample_at(time_of(from_) + prefix_ + scaled(cut.length, timescale)).value_or(samples_);
  if (to_ <= from_) return false;
  TRY(find_bytes());
  return true;
}

std::optional<std::uint32_t> Track::sample_at(std::uint64_t time) const {
  std::uint32_t sample = 0;
  for (std::size_t i = 0; i < times_.rows(); ++i) {
    const std::uint64_t count = times_.at(i, 0), duration = times_.at(i, 1);
    if (time < count * duration) return sample + static_cast<std::uint32_t>(time / duration);
    time -= count * duration;
    sample += static_cast<std::uint32_t>(count);
  }
  return std::nullopt;
}

std::uint64_t Track::time_of(std::uint32_t sample) const {
  std::uint64_t time = 0;
  for (std::size_t i = 0; i < times_.rows() && sample != 0; ++i) {
    const std::uint32_t count = std::min(sample, times_.at(i, 0));
    time += std::uint64_t{count} * times_.at(i, 1);
    sample -= count;
  }
  return time;
}

// Sync samples are counted from 1.
void Track::start_at_key_frame() {
  std::uint32_t key = 0;
  for (std::size_t i = 0; i < syncs_.rows() && syncs_.at(i) <= from_ + 1; ++i) key = syncs_.at(i);
  if (key == 0) return;
  prefix_ = time_of(from_) - time_of(key - 1);
  from_ = key - 1;
}

Track::Run Track::run(std::size_t row) const {
  const std::uint32_t end = row + 1 < runs_.rows() ? runs_.at(row + 1, 0) - 1 : chunks();
  return {runs_.at(row, 0) - 1, end, runs_.at(row, 1), runs_.at(row, 2)};
}

Result<Track::Place> Track::place_of(std::uint32_t sample) const {
  for (std::size_t i = 0; i < runs_.rows(); ++i) {
    const Run r = run(i);
    const std::uint64_t count = std::uint64_t{r.end - r.first} * r.samples;
    if (sample < count) return Place{r.first + sample / r.samples, sample % r.samples};
    sample -= static_cast<std::uint32_t>(count);
  }
  return fail("time is out mp4 stsc chunks");
}

// Of the chunk's samples before the place.
Result<std::uint64_t> Track::bytes_before(const Place& place, std::uint32_t sample) const {
  if (sample > sizes_.rows()) return fail("time is out mp4 stsz samples");
  if (uniform_size_ != 0) return std::uint64_t{uniform_size_} * place.samples;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = sample - place.samples; i < sample; ++i) bytes += sizes_.at(i);
  return bytes;
}

std::uint64_t Track::offset_of(std::uint32_t chunk) const {
  return wide_offsets_ ? std::uint64_t{offsets_.at(chunk, 0)} << 32 | offsets_.at(chunk, 1)
                       : offsets_.at(chunk);
}

// Where in the file the place is; `sample` is the one at the place.
Result<std::uint64_t> Track::byte_of(const Place& place, std::uint32_t sample) const {
  const auto skipped = bytes_before(place, sample);
  if (!skipped) return skipped;
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::uint64_t offset = offset_of(place.chunk);
  if (*skipped > kMost || offset > kMost - *skipped) return fail("too large chunk offset");
  return offset + *skipped;
}

Status Track::find_bytes() {
  const auto first = place_of(from_);
  if (!first) return fail(first.error());
  first_ = *first;
  const auto first_byte = byte_of(first_, from_);
  if (!first_byte) return fail(first_byte.error());
  first_byte_ = *first_byte;
  if (to_end_) {
    last_ = {chunks() - 1, run(runs_.rows() - 1).samples};
    return {};
  }
  const auto last = place_of(to_ - 1);
  if (!last) return fail(last.error());
  last_ = {last->chunk, last->samples + 1};
  const auto end_byte = byte_of(last_, to_);
  if (!end_byte) return fail(end_byte.error());
  end_byte_ = *end_byte;
  return {};
}

// ---- writing

void Track::write(BoxWriter& out) {
  out.box("trak", [&] {
    track_time_.write(out, "tkhd", track_duration_);
    if (prefix_ != 0) write_edit_list(out);
    write_media(out);
  });
}

// The player decodes from the key frame, and shows what comes `prefix_` after it.
void Track::write_edit_list(BoxWriter& out) const {
  out.box("edts", [&] {
    out.box("elst", [&] {
      out.number(1u << 24);  // version 1: 64 bits
      out.number(1);         // one edit
      out.number64(track_duration_);
      out.number64(prefix_);
      out.number(1u << 16);  // at the normal rate
    });
  });
}

void Track::write_media(BoxWriter& out) {
  const auto copy = [&out](std::string_view name, std::string_view content) {
    if (!content.empty()) out.box(name, content);
  };
  out.box("mdia", [&] {
    media_time_.write(out, "mdhd", media_duration_);
    copy("hdlr", hdlr_);
    out.box("minf", [&] {
      copy("vmhd", vmhd_);
      copy("smhd", smhd_);
      copy("dinf", dinf_);
      out.box("stbl", [&] {
        copy("stsd", stsd_);
        write_sample_table(out);
      });
    });
  });
}

void Track::write_sample_table(BoxWriter& out) {
  out.box("stts", [&] { write_times(out, stts_, times_); });
  if (!stss_.empty()) out.box("stss", [&] { write_sync_samples(out); });
  if (!ctts_.empty()) out.box("ctts", [&] { write_times(out, ctts_, compositions_); });
  out.box("stsc", [&] { write_chunk_runs(out); });
  out.box("stsz", [&] { write_sizes(out); });
  out.box(wide_offsets_ ? "co64" : "stco", [&] { write_offsets(out); });
}

// Rows of a number of samples and what holds for each of them.
void Track::write_times(BoxWriter& out, std::string_view box, const Table& table) const {
  write_table(out, box, [&](std::uint32_t& rows) {
    std::uint64_t sample = 0;
    for (std::size_t i = 0; i < table.rows(); ++i) {
      const std::uint64_t end = sample + table.at(i, 0);
      const std::uint64_t from = std::max<std::uint64_t>(sample, from_),
                          to = std::min<std::uint64_t>(end, to_);
      if (from < to) {
        out.number(static_cast<std::uint32_t>(to - from));
        out.number(table.at(i, 1));
        ++rows;
      }
      sample = end;
    }
  });
}

void Track::write_sync_samples(BoxWriter& out) const {
  write_table(out, stss_, [&](std::uint32_t& rows) {
    for (std::size_t i = 0; i < syncs_.rows(); ++i) {
      const std::uint32_t sample = syncs_.at(i);
      if (sample <= from_ || sample > to_) continue;
      out.number(sample - from_);
      ++rows;
    }
  });
}

// The first and the last chunk may have lost samples, and then are a run of their own.
void Track::write_chunk_runs(BoxWriter& out) const {
  write_table(out, stsc_, [&](std::uint32_t& rows) {
    for (std::size_t i = 0; i < runs_.rows(); ++i) {
      const Run r = run(i);
      const std::uint32_t from = std::max(r.first, first_.chunk), to = std::min(r.end, last_.chunk + 1);
      if (from >= to) continue;
      const auto samples = [&](std::uint32_t chunk) {
        return (chunk == last_.chunk ? last_.samples : r.samples) -
               (chunk == first_.chunk ? first_.samples : 0);
      };
      std::uint32_t written = 0;
      for (const std::uint32_t chunk : {from, from + 1, to - 1}) {
        if (chunk >= to || samples(chunk) == written) continue;
        written = samples(chunk);
        out.number(chunk - first_.chunk + 1);
        out.number(written);
        out.number(r.description);
        ++rows;
      }
    }
  });
}

void Track::write_sizes(BoxWriter& out) const {
  const auto rows = static_cast<std::uint32_t>(sizes_.rows());
  const std::uint32_t to = to_end_ ? rows : to_;
  out.bytes(stsz_.substr(0, kFlags));
  out.number(uniform_size_);
  out.number(to - from_);
  if (uniform_size_ == 0) out.bytes(sizes_.range(from_, to));
}

void Track::write_offsets(BoxWriter& out) {
  const std::uint32_t count = last_.chunk + 1 - first_.chunk;
  out.bytes(offset_box_.substr(0, kFlags));
  out.number(count);
  written_offsets_ = out.position();
  out.bytes(offsets_.range(first_.chunk, last_.chunk + 1));
  if (wide_offsets_) {
    write64(out.at(written_offsets_), first_byte_);
  } else {
    write32(out.at(written_offsets_), static_cast<std::uint32_t>(first_byte_));
  }
}

Status Track::move(BoxWriter& out, std::int64_t shift) const {
  const std::uint64_t most =
      wide_offsets_ ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::uint32_t>::max();
  for (std::uint32_t chunk = first_.chunk; chunk <= last_.chunk; ++chunk) {
    const std::uint64_t old = chunk == first_.chunk ? first_byte_ : offset_of(chunk);
    const std::uint64_t moved = old + static_cast<std::uint64_t>(shift);
    if (old > most || moved > most) return fail("too large chunk offset");
    const std::size_t index = chunk - first_.chunk;
    if (wide_offsets_) {
      write64(out.at(written_offsets_ + index * 8), moved);
    } else {
      write32(out.at(written_offsets_ + index * 4), static_cast<std::uint32_t>(moved));
    }
  }
  return {};
}

}  // namespace mp::phases::mp4
