#include "http/content_type.hpp"

#include "http/core_conf.hpp"
#include "http/mime.hpp"
#include "http/request.hpp"

namespace mp::http {

void set_content_type(Request& r) {
  if (!r.out.content_type.empty()) return;
  const auto& core = r.conf<CoreLocation>();
  if (!r.exten.empty()) {
    const std::string_view type = core.types->find(r.exten);
    if (!type.empty()) {
      r.out.content_type = type;
      return;
    }
  }
  r.out.content_type = core.default_type.get();
}

}  // namespace mp::http
