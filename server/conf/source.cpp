#include "conf/source.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace mp::conf {

namespace {

// Far above any real configuration; keeps an endless device from being read for ever.
constexpr std::size_t kMaxFile = 256u << 20;

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string quoted(std::string_view call, std::string_view path) {
  return std::string(call) + "() \"" + std::string(path) + "\" failed";
}

}  // namespace

Result<std::uint32_t> Sources::open(std::string_view path) {
  if (const auto known = by_path_.find(path); known != by_path_.end()) return known->second;
  const std::string name(path);
  const Descriptor file{::open(name.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return fail(system_error(errno, quoted("open", path)));

  std::string text;
  std::string chunk(64u << 10, '\0');  // many files are small: their texts are kept without spare room
  while (true) {
    const ssize_t n = ::read(file.fd, chunk.data(), chunk.size());
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(system_error(errno, quoted("read", path)));
    text.append(chunk.data(), std::size_t(n));
    if (text.size() > kMaxFile) return fail("the file \"" + name + "\" is too large");
  }
  return add(name, std::move(text), true);
}

std::uint32_t Sources::add(std::string name, std::string text, bool is_file) {
  files_.push_back(std::make_unique<SourceFile>(SourceFile{std::move(name), std::move(text), is_file}));
  const auto index = std::uint32_t(files_.size() - 1);
  if (is_file) by_path_.emplace(files_.back()->name, index);
  return index;
}

std::string Sources::dump() const {
  std::string out;
  for (const auto& file : files_) {
    if (!file->is_file) continue;
    out.append("# configuration file ").append(file->name).append(":\n").append(file->text).push_back('\n');
  }
  return out;
}

std::string_view Sources::line(std::uint32_t file, std::uint32_t line) const {
  if (file >= files_.size() || line == 0) return {};
  std::string_view text = files_[file]->text;
  for (; line > 1; --line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace mp::conf
