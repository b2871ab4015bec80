#include "phases/11_log/log_buffer.hpp"

#include <zlib.h>

namespace mp::phases {

LogBuffer::LogBuffer(OpenFile& file, Options options) : file_(file), options_(options) {
  file_.on_flush = [this] { flush(); };
}

void LogBuffer::append(std::string_view line) {
  if (pending_.size() + line.size() > options_.size) flush();
  if (pending_.empty() && options_.flush_after > 0 && fiber::here() != nullptr) {
    fiber::here()->arm(*this, fiber::now() + options_.flush_after);
  }
  pending_.append(line);
  if (pending_.size() >= options_.size) flush();
}

void LogBuffer::flush() {
  disarm();
  if (pending_.empty()) return;
  if (options_.gzip_level > 0) {
    write_compressed();
  } else {
    (void)file_.append(pending_);
  }
  pending_.clear();
}

// Each flush is a gzip member of its own; members one after the other are a gzip file.
void LogBuffer::write_compressed() {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  if (deflateInit2(&stream, options_.gzip_level, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) return;
  std::string out(deflateBound(&stream, pending_.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(pending_.data());
  stream.avail_in = static_cast<uInt>(pending_.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) == Z_STREAM_END) {
    out.resize(stream.total_out);
    (void)file_.append(out);
  }
  deflateEnd(&stream);
}

}  // namespace mp::phases
