// log_format: how a line of the access log is made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "conf/context.hpp"
#include "http/request.hpp"

namespace mp::phases {

class LogFormat {
 public:
  enum class Escape : std::uint8_t { default_, json, none };

  // Error texts as a variable's in any template.
  static Result<LogFormat> compile(conf::Context& ctx, std::string_view text, Escape escape);

  // Appends the line, without its end.
  void render(http::Request& request, std::string& out) const;

 private:
  struct Part {
    std::string_view text;
    const http::Variable* variable = nullptr;
  };
  std::vector<Part> parts_;
  Escape escape_ = Escape::default_;
};

inline constexpr std::string_view kCombined =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" "
    "\"$http_user_agent\"";

}  // namespace mp::phases
