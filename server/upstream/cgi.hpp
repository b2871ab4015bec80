// What FastCGI, SCGI and uwsgi have in common: where requests go, the parameters a request becomes, and
// responses that begin like those of CGI programs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "http/request.hpp"
#include "http/template.hpp"
#include "upstream/dialect.hpp"
#include "upstream/transfer.hpp"

namespace mp::upstream {

// Fields of a CGI-like response that clients do not see unless they are passed on by name.
inline constexpr std::string_view kCgiHidden[] = {
    "Status",         "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate", "X-Accel-Buffering",
    "X-Accel-Charset"};

struct Upstream;

// `X_pass ADDRESS`.
struct CgiTarget {
  Upstream* upstream = nullptr;
  std::optional<http::Template> url;  // with variables
  bool is_set() const { return upstream != nullptr || url.has_value(); }
};

// Reads the directive's argument, without its scheme, and makes `handler` the location's.
Status parse_cgi_pass(conf::Context& ctx, const conf::Node& node, std::string_view address,
                      http::Handler handler, CgiTarget& target);
// Where this request goes. False: the variables came to nothing usable.
bool find_cgi_server(http::Request& request, const CgiTarget& target, Destination& destination);

// One `X_param NAME VALUE [if_not_empty]`.
struct CgiParam {
  std::string_view name;
  std::string_view value;
  bool if_not_empty = false;
};

// The parameters of a location, ready to be evaluated.
struct CgiParams {
  struct Param {
    std::string_view name;
    http::Template value;
    bool if_not_empty;
  };
  std::vector<Param> params;
  std::vector<std::string_view> replaced;  // HTTP_ names given above, without HTTP_: fields that do not go on
};

// What requests say whose response is to be kept: it is for every client.
inline constexpr CgiParam kCgiDefaultParams[] = {
    {"HTTP_HOST", "$host$is_request_port$request_port", true},
};
inline constexpr CgiParam kCgiCacheParams[] = {
    {"HTTP_HOST", "$host$is_request_port$request_port", true},
    {"HTTP_IF_MODIFIED_SINCE", "$upstream_cache_last_modified", true},
    {"HTTP_IF_UNMODIFIED_SINCE", "", true},
    {"HTTP_IF_NONE_MATCH", "$upstream_cache_etag", true},
    {"HTTP_IF_MATCH", "", true},
    {"HTTP_RANGE", "", true},
    {"HTTP_IF_RANGE", "", true},
};

// The parameters of a location, for requests whose response is kept and for others.
struct CgiParamSets {
  std::vector<CgiParam> list;
  std::shared_ptr<const CgiParams> plain;
  std::shared_ptr<const CgiParams> cached;

  Status merge(conf::Context& ctx, const CgiParamSets& parent, const CacheConf& cache,
               std::string_view prefix);
  const CgiParams& of(const http::Request& request) const;
};

Status parse_cgi_param(conf::Context& ctx, const conf::Node& node, std::vector<CgiParam>& list);
// `defaults` join those names that are not given.
Result<std::shared_ptr<const CgiParams>> compile_cgi_params(conf::Context& ctx,
                                                            const std::vector<CgiParam>& list,
                                                            std::span<const CgiParam> defaults);

// What a request is to its program: names and values in their order, header fields last as HTTP_NAME.
struct CgiValue {
  std::string_view name;
  std::string_view value;
};
std::vector<CgiValue> cgi_values(http::Request& request, const CgiParams& params, bool with_headers);

// The length of the body that goes along.
std::uint64_t cgi_body_length(const http::Request& request, bool streamed);

// Reads the head of a CGI response: fields, no status line; `Status: 404 Not Found` among them.
class CgiHeadReader {
 public:
  enum class State : std::uint8_t { more, complete, invalid };
  // `data` is everything that has come; it may move between calls. When complete, size() is where the body
  // begins, and `reply` is filled with views of `data`.
  State read(http::Request& request, std::string_view data, Reply& reply);
  std::size_t size() const { return size_; }
  void restart() { size_ = 0; }

 private:
  bool read_line(http::Request& request, std::string_view line, Reply& reply);
  std::size_t size_ = 0;
};

// Fills in what the fields leave open: the status, the length. False: a status that is none (it was logged).
bool complete_cgi_reply(http::Request& request, Reply& reply);

// Counts a body down to what Content-Length promised.
class CgiBodyLength {
 public:
  void start(const Reply& reply) { left_ = reply.no_body ? 0 : reply.content_length; }
  bool known() const { return left_ >= 0; }
  std::int64_t left() const { return left_; }
  // How many of `size` bytes belong to the body; too many are warned of.
  std::size_t take(http::Request& request, std::size_t size);

 private:
  std::int64_t left_ = -1;
  bool warned_ = false;
};

}  // namespace mp::upstream
