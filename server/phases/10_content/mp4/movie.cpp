#include "phases/10_content/mp4/movie.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

#include <fmt/core.h>

#include "http/file_io.hpp"

namespace mp::phases::mp4 {

namespace {

constexpr std::size_t kMostFileType = 1024;
constexpr int kMostBoxes = 10000;  // before head and media are found

struct MovieBoxes {
  std::string_view header;  // mvhd
  std::vector<std::string_view> tracks;
};

Result<MovieBoxes> read_movie(std::string_view moov) {
  MovieBoxes boxes;
  bool compressed = false;
  const bool good = for_each_box(moov, [&](std::string_view name, std::string_view content) {
    if (name == "cmov") compressed = true;
    if (name == "mvhd" && !boxes.header.empty()) return false;
    if (name == "mvhd") boxes.header = content;
    if (name == "trak") boxes.tracks.push_back(content);
    return !compressed;
  });
  if (compressed) return fail("mp4 compressed moov atom (cmov) is not supported");
  if (!good) return fail("broken mp4 moov atom");
  return boxes;
}

Result<std::vector<Track>> cut_tracks(const MovieBoxes& boxes, const Cut& cut, std::uint32_t timescale) {
  std::vector<Track> tracks;
  for (const std::string_view content : boxes.tracks) {
    auto track = Track::read(content);
    if (!track) return fail(std::move(track.error()));
    const auto in_part = track->cut(cut, timescale);
    if (!in_part) return fail(in_part.error());
    if (*in_part) tracks.push_back(std::move(*track));
  }
  if (tracks.empty()) return fail("no mp4 trak atoms were found");
  return tracks;
}

void write_media_header(BoxWriter& out, std::uint64_t size) {
  if (size <= std::numeric_limits<std::uint32_t>::max() - 8) {
    out.number(static_cast<std::uint32_t>(size + 8));
    out.bytes("mdat");
  } else {
    out.number(1);
    out.bytes("mdat");
    out.number64(size + 16);
  }
}

}  // namespace

Result<Part> make_part(const Layout& layout, const Cut& cut) {
  const auto boxes = read_movie(layout.moov);
  if (!boxes) return fail(boxes.error());
  const auto time = TimeBox::read(boxes->header, TimeBox::Kind::movie);
  if (!time) return fail("mp4 mvhd atom too small");
  const auto duration = cut_duration(time->duration(), time->timescale(), cut);
  if (!duration) return fail("mp4 start time exceeds file duration");
  auto tracks = cut_tracks(*boxes, cut, time->timescale());
  if (!tracks) return fail(std::move(tracks.error()));

  std::uint64_t from = std::numeric_limits<std::uint64_t>::max(), to = 0;
  for (const Track& track : *tracks) {
    from = std::min(from, track.first_byte());
    to = std::max(to, track.end_byte().value_or(layout.media_end));
  }
  if (from >= layout.media_end) return fail("start time is out mp4 mdat atom");
  if (to > layout.media_end) return fail("end time is out mp4 mdat atom");
  if (to <= from) return fail("no data between start time and end time");

  Part part;
  part.offset = static_cast<std::int64_t>(from);
  part.size = static_cast<std::int64_t>(to - from);
  BoxWriter out(part.head);
  if (!layout.ftyp.empty()) out.box("ftyp", layout.ftyp);
  out.box("moov", [&] {
    time->write(out, "mvhd", *duration);
    for (Track& track : *tracks) track.write(out);
  });
  write_media_header(out, to - from);
  const std::int64_t shift = static_cast<std::int64_t>(part.head.size()) - part.offset;
  for (const Track& track : *tracks) TRY(track.move(out, shift));
  return part;
}

// ---- the file

namespace {

// The file's bytes at a place, read a buffer at a time.
class Window {
 public:
  Window(http::Request& request, int fd, std::int64_t size, std::size_t buffer)
      : request_(request), fd_(fd), end_(size), usual_(buffer) {}

  // `size` bytes, or fewer at the end of the file; they stay until the next call.
  Result<std::string_view> at(std::int64_t offset, std::size_t size) {
    if (offset < start_ || offset + static_cast<std::int64_t>(size) > start_ + std::ssize(bytes_)) {
      const auto rest = static_cast<std::uint64_t>(end_ - offset);
      bytes_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(rest, std::max(usual_, size))));
      start_ = offset;
      const ssize_t got = http::read_file(request_, fd_, bytes_, offset);
      if (got < 0) return fail(system_error(errno, "pread() failed"));
      bytes_.resize(static_cast<std::size_t>(got));
    }
    return std::string_view(bytes_.data(), bytes_.size())
        .substr(static_cast<std::size_t>(offset - start_), size);
  }

 private:
  http::Request& request_;
  int fd_;
  std::int64_t end_;
  std::size_t usual_;
  std::int64_t start_ = 0;
  std::vector<char> bytes_;
};

// The boxes of the file as they are found, and copies of what is needed of them.
struct Found {
  std::string ftyp;
  std::string moov;
  bool has_moov = false;
  bool has_media = false;
  bool whole = false;  // the file as it is will do
  std::uint64_t media_end = 0;
};

// One box at `offset`, with `size` bytes of content behind `header`.
Status take(Window& window, std::int64_t offset, const Box& box, const Buffers& buffers, const Cut& cut,
            Found& found) {
  const std::uint64_t size = box.size - box.header;
  const std::int64_t content = offset + static_cast<std::int64_t>(box.header);
  const auto copy = [&](std::string& into) -> Status {
    const auto bytes = window.at(content, static_cast<std::size_t>(size));
    if (!bytes) return fail(bytes.error());
    if (bytes->size() < size) return fail("mp4 file truncated");
    into = *bytes;
    return {};
  };
  if (box.name == "ftyp") {
    if (size > kMostFileType) return fail(fmt::format("mp4 ftyp atom is too large:{}", size));
    if (!found.ftyp.empty()) return fail("duplicate mp4 ftyp atom");
    return copy(found.ftyp);
  }
  if (box.name == "moov") {
    if (found.has_moov) return fail("duplicate mp4 moov atom");
    // A player that wants all of a file whose head comes first needs no other.
    found.whole = !found.has_media && cut.start == 0 && cut.length == 0;
    found.has_moov = true;
    if (found.whole) return {};
    if (size > std::max(buffers.usual, buffers.most)) {
      return fail(
          fmt::format("mp4 moov atom is too large:{}, you may want to increase mp4_max_buffer_size", size));
    }
    return copy(found.moov);
  }
  if (box.name == "mdat") {
    if (found.has_media) return fail("duplicate mp4 mdat atom");
    found.has_media = true;
    found.media_end = static_cast<std::uint64_t>(offset) + box.size;
  }
  return {};
}

Result<Found> read_boxes(Window& window, std::int64_t end, const Buffers& buffers, const Cut& cut) {
  Found found;
  int boxes = 0;
  for (std::int64_t offset = 0; offset < end && !found.whole && !(found.has_moov && found.has_media);) {
    if (++boxes > kMostBoxes) return fail("too many mp4 atoms");
    const auto bytes = window.at(offset, 16);
    if (!bytes) return fail(bytes.error());
    auto box = read_box(*bytes);
    if (!box) return fail("broken mp4 atom");
    if (box->size == 0) box->size = static_cast<std::uint64_t>(end - offset);
    if (box->size > static_cast<std::uint64_t>(end - offset)) {
      return fail(fmt::format("mp4 atom too large:{}", box->size));
    }
    const std::string name(box->name);  // the window moves
    box->name = name;
    TRY(take(window, offset, *box, buffers, cut, found));
    offset += static_cast<std::int64_t>(box->size);
  }
  return found;
}

}  // namespace

Result<std::optional<Part>> cut_file(http::Request& request, int fd, std::int64_t size,
                                     const Buffers& buffers, const Cut& cut) {
  Window window(request, fd, size, buffers.usual);
  const auto found = read_boxes(window, size, buffers, cut);
  if (!found) return fail(found.error());
  if (found->whole) return std::optional<Part>();
  if (!found->has_moov) return fail("no mp4 moov atom was found");
  if (!found->has_media) return fail("no mp4 mdat atom was found");
  auto part = make_part({found->ftyp, found->moov, found->media_end}, cut);
  if (!part) return fail(std::move(part.error()));
  return std::optional<Part>(std::move(*part));
}

}  // namespace mp::phases::mp4
