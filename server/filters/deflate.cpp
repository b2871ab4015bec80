#include "filters/deflate.hpp"

#include <utility>
#include <vector>

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <zlib.h>

#include "filters/pack/packer.hpp"

namespace mp::filters {
namespace {

class ZlibDeflater final : public Deflater {
 public:
  ZlibDeflater(int level, int window_bits) : Deflater(level, window_bits) {
    constexpr int kGzipFormat = 16;
    constexpr int kMemoryLevel = 8;
    ready = deflateInit2(&z_, level, Z_DEFLATED, window_bits + kGzipFormat, kMemoryLevel,
                         Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~ZlibDeflater() override {
    if (ready) deflateEnd(&z_);
  }
  bool reset() override { return deflateReset(&z_) == Z_OK; }

  Result run(std::string_view& input, Flush flush, std::span<char> room, std::size_t& made) override {
    constexpr int kModes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    z_.avail_in = static_cast<uInt>(input.size());
    z_.next_out = reinterpret_cast<Bytef*>(room.data());
    z_.avail_out = static_cast<uInt>(room.size());
    const int rc = deflate(&z_, kModes[static_cast<int>(flush)]);
    input.remove_prefix(input.size() - z_.avail_in);
    made = room.size() - z_.avail_out;
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return Result::failed;
    return !input.empty() || (z_.avail_out == 0 && rc != Z_STREAM_END) ? Result::more : Result::drained;
  }

  bool ready = false;

 private:
  z_stream z_{};
};

class IsalDeflater final : public Deflater {
 public:
  IsalDeflater(int level, int window_bits)
      : Deflater(level, window_bits), memory_(new unsigned char[ISAL_DEF_LVL1_DEFAULT]), bits_(window_bits) {
    start();
  }
  bool reset() override {
    start();
    return true;
  }

  Result run(std::string_view& input, Flush flush, std::span<char> room, std::size_t& made) override {
    z_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(input.data()));
    z_.avail_in = static_cast<std::uint32_t>(input.size());
    z_.next_out = reinterpret_cast<std::uint8_t*>(room.data());
    z_.avail_out = static_cast<std::uint32_t>(room.size());
    z_.flush = flush == Flush::sync ? SYNC_FLUSH : NO_FLUSH;
    z_.end_of_stream = flush == Flush::finish ? 1 : 0;
    const int rc = isal_deflate(&z_);
    input.remove_prefix(input.size() - z_.avail_in);
    made = room.size() - z_.avail_out;
    if (rc != COMP_OK) return Result::failed;
    const bool ended = z_.internal_state.state == ZSTATE_END;
    return !input.empty() || (z_.avail_out == 0 && !ended) ? Result::more : Result::drained;
  }

 private:
  void start() {
    isal_deflate_init(&z_);
    z_.level = 1;
    z_.level_buf = memory_.get();
    z_.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    z_.gzip_flag = IGZIP_GZIP;
    z_.hist_bits = static_cast<std::uint16_t>(bits_);
  }

  isal_zstream z_;
  std::unique_ptr<unsigned char[]> memory_;
  int bits_;
};

// What waits for the next response.
template <class T>
std::vector<std::unique_ptr<T>>& spare() {
  static std::vector<std::unique_ptr<T>> kept;
  return kept;
}
constexpr std::size_t kKept = 16;

// For the levels below pack::Packer's: smaller than zlib's third, in half the time of its second.
constexpr int kLibdeflateLevel = 1;

struct FreeCompressor {
  void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
};

bool libdeflate_whole(std::string_view body, std::string& out) {
  static const std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor(
      libdeflate_alloc_compressor(kLibdeflateLevel));
  libdeflate_compressor* const c = compressor.get();
  if (c == nullptr) return false;
  out.resize(libdeflate_gzip_compress_bound(c, body.size()));
  out.resize(libdeflate_gzip_compress(c, body.data(), body.size(), out.data(), out.size()));
  return !out.empty();
}

// A member of RFC 1952, section 2.3.
void pack_whole(int level, std::string_view body, std::string& out) {
  static pack::Packer packer;
  constexpr std::string_view kHead("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);  // deflate; no name, time, system
  out.assign(kHead).append(packer.pack(level, body));
  for (const std::size_t word : {std::size_t{libdeflate_crc32(0, body.data(), body.size())}, body.size()}) {
    for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(word >> shift);
  }
}

}  // namespace

std::unique_ptr<Deflater> Deflater::take(int level, int window_bits) {
  auto& kept = spare<Deflater>();
  for (auto it = kept.begin(); it != kept.end(); ++it) {
    if ((*it)->level_ != level || (*it)->window_bits_ != window_bits) continue;
    auto found = std::move(*it);
    kept.erase(it);
    return found;
  }
  if (level == 1) return std::make_unique<IsalDeflater>(level, window_bits);
  auto made = std::make_unique<ZlibDeflater>(level, window_bits);
  return made->ready ? std::move(made) : nullptr;
}

void Deflater::give_back(std::unique_ptr<Deflater> deflater) {
  auto& kept = spare<Deflater>();
  if (deflater != nullptr && kept.size() < kKept && deflater->reset()) kept.push_back(std::move(deflater));
}

std::unique_ptr<DeflateBuffers> DeflateBuffers::take() {
  auto& kept = spare<DeflateBuffers>();
  if (kept.empty()) return std::make_unique<DeflateBuffers>();
  auto found = std::move(kept.back());
  kept.pop_back();
  return found;
}

void DeflateBuffers::give_back(std::unique_ptr<DeflateBuffers> buffers) {
  constexpr std::size_t kMost = 256 * 1024;
  auto& kept = spare<DeflateBuffers>();
  if (buffers == nullptr || kept.size() >= kKept) return;
  for (std::string* bytes : {&buffers->in, &buffers->out}) {
    bytes->clear();
    if (bytes->capacity() > kMost) bytes->shrink_to_fit();
  }
  kept.push_back(std::move(buffers));
}

bool deflate_whole(int level, std::string_view body, std::string& out) {
  if (level < pack::Packer::kLeastLevel) return libdeflate_whole(body, out);
  pack_whole(level, body, out);
  return true;
}

}  // namespace mp::filters
