// A track of a movie, cut to a part of its time: which samples lie in it, where they are in the file, and the
// boxes that say so.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "phases/10_content/mp4/box.hpp"

namespace mp::phases::mp4 {

// The part that is wanted, in milliseconds.
struct Cut {
  std::uint64_t start = 0;
  std::uint64_t length = 0;     // 0: to the end
  bool from_key_frame = false;  // begin at the last key frame before `start`, and tell the player to skip
};

// A duration cut to the part; nothing when it ends before it begins.
std::optional<std::uint64_t> cut_duration(std::uint64_t duration, std::uint64_t timescale, const Cut& cut);

// Creation times, timescale and duration of mvhd, tkhd and mdhd: in 32 bits, or in 64 with version 1.
class TimeBox {
 public:
  enum class Kind { movie, track };  // tkhd has an identifier where the others have the timescale
  static std::optional<TimeBox> read(std::string_view content, Kind kind);
  std::uint32_t timescale() const;
  std::uint64_t duration() const;
  void write(BoxWriter& out, std::string_view name, std::uint64_t duration) const;

 private:
  std::string_view content_;
  std::size_t scale_at_ = 0;
  std::size_t duration_at_ = 0;
  bool wide_ = false;
};

class Track {
 public:
  // Finds the boxes in the content of a "trak" box, which must outlive the track.
  static Result<Track> read(std::string_view content);

  // Chooses the samples. False when the track is over before the part begins.
  Result<bool> cut(const Cut& cut, std::uint32_t movie_timescale);

  std::uint64_t first_byte() const { return first_byte_; }
  // Behind the last byte; nothing when the part goes to the end.
  std::optional<std::uint64_t> end_byte() const { return end_byte_; }

  // Writes the "trak" box with the offsets as they are in the file; move() shifts them.
  void write(BoxWriter& out);
  Status move(BoxWriter& out, std::int64_t shift) const;

 private:
  // Runs of chunks with the same number of samples.
  struct Run {
    std::uint32_t first = 0;  // chunk, from 0
    std::uint32_t end = 0;
    std::uint32_t samples = 0;
    std::uint32_t description = 0;
  };
  // A place among the samples: behind the first `samples` of a chunk.
  struct Place {
    std::uint32_t chunk = 0;
    std::uint32_t samples = 0;
  };

  bool collect(std::string_view content);
  Status open_tables();
  Status check_runs() const;
  std::optional<std::uint32_t> sample_at(std::uint64_t time) const;
  std::uint64_t time_of(std::uint32_t sample) const;
  void start_at_key_frame();
  Run run(std::size_t row) const;
  Result<Place> place_of(std::uint32_t sample) const;
  Result<std::uint64_t> bytes_before(const Place& place, std::uint32_t sample) const;
  Result<std::uint64_t> byte_of(const Place& place, std::uint32_t sample) const;
  std::uint64_t offset_of(std::uint32_t chunk) const;
  Status find_bytes();
  std::uint32_t chunks() const { return static_cast<std::uint32_t>(offsets_.rows()); }

  void write_media(BoxWriter& out);
  void write_sample_table(BoxWriter& out);
  void write_times(BoxWriter& out, std::string_view box, const Table& table) const;
  void write_sync_samples(BoxWriter& out) const;
  void write_chunk_runs(BoxWriter& out) const;
  void write_sizes(BoxWriter& out) const;
  void write_offsets(BoxWriter& out);
  void write_edit_list(BoxWriter& out) const;

  std::string_view tkhd_, mdhd_, hdlr_, vmhd_, smhd_, dinf_, stsd_, stts_, stss_, ctts_, stsc_, stsz_,
      offset_box_;
  bool wide_offsets_ = false;  // co64, not stco
  TimeBox track_time_, media_time_;
  Table times_, syncs_, compositions_, runs_, sizes_, offsets_;
  std::uint32_t uniform_size_ = 0;
  std::uint32_t samples_ = 0;

  std::uint64_t track_duration_ = 0;  // in the movie's timescale
  std::uint64_t media_duration_ = 0;  // in the track's
  std::uint64_t prefix_ = 0;          // of it, what comes before the start
  std::uint32_t from_ = 0;            // samples
  std::uint32_t to_ = 0;
  bool to_end_ = true;
  Place first_{}, last_{};
  std::uint64_t first_byte_ = 0;
  std::optional<std::uint64_t> end_byte_;
  std::size_t written_offsets_ = 0;
};

}  // namespace mp::phases::mp4
