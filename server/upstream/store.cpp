// proxy_store: a complete response with status 200 is kept as a file.
#include <cerrno>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "http/core_conf.hpp"
#include "upstream/body_pump.hpp"
#include "upstream/move_file.hpp"

namespace mp::upstream {
namespace {

// The file a URI stands for under root or alias.
std::string path_of(http::Request& r) {
  const auto& core = r.conf<http::CoreLocation>();
  const http::Location* replaced = core.alias ? r.conf<http::CoreBlock>().location : nullptr;
  std::string path(core.root->evaluate(r));
  if (replaced == nullptr) return path.append(r.uri);
  if (replaced->kind == http::Location::Kind::regex) return path;
  return path.append(r.uri.substr(std::min(r.uri.size(), replaced->name.size())));
}

}  // namespace

void BodyPump::finish_store() {
  const std::int64_t expected = reply_.content_length;
  if (reply_.status != 200 || store_failed_) return;
  if (stored_.fd() < 0) store({});
  if (store_failed_ || (expected >= 0 && static_cast<std::uint64_t>(expected) != stored_.size())) return;

  const http::Template& wanted = conf_.store->path;
  const std::string path = wanted.empty() ? path_of(r_) : std::string(wanted.evaluate(r_));
  if (path.empty()) return;
  const unsigned mode = conf_.store_access.get();
  if (fchmod(stored_.fd(), mode) != 0) {
    log::crit(r_.logger, log::Errno{errno}, "chmod() \"{}\" failed", stored_.path());
    return;
  }
  if (const http::HeaderField* field = reply_.fields.find(http::HeaderId::last_modified)) {
    if (const auto time = parse_http_date(field->value)) {
      const timespec times[2] = {{*time, 0}, {*time, 0}};
      (void)futimens(stored_.fd(), times);
    }
  }
  // Folders get what files get, and may be searched by whoever may read them.
  const unsigned folder_mode = mode | (mode & 0400) >> 2 | (mode & 0040) >> 2 | (mode & 0004) >> 2 | 0700;
  if (const Status moved = move_file(stored_, path, mode, folder_mode); !moved) {
    log::crit(r_.logger, "{}", moved.error().text);
  }
}

}  // namespace mp::upstream
