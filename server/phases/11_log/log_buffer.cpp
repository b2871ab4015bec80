#include "phases/11_log/log_buffer.hpp"

#include <cerrno>

#include <zlib.h>

#include "base/clock.hpp"

namespace mp::phases {

void complain(const log::Logger& logger, LogComplaint& complaint, std::string_view path, int error) {
  const std::int64_t minute = clock().seconds() / 60;
  if (complaint.minute == minute) return;
  complaint.minute = minute;
  log::alert(logger, log::Errno{error}, "write() to \"{}\" failed", path);
}

LogBuffer::LogBuffer(OpenFile& file, Options options, log::Logger logger)
    : file_(file), options_(options), logger_(logger) {
  file_.on_flush = [this] { flush(); };
}

LogBuffer::~LogBuffer() {
  flush();
  file_.on_flush = nullptr;
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
    write(pending_);
  }
  pending_.clear();
}

void LogBuffer::write(std::string_view bytes) {
  if (!file_.append(bytes)) complain(logger_, complaint_, file_.path(), errno);
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
    write(out);
  }
  deflateEnd(&stream);
}

}  // namespace mp::phases
