// H2RequestHead: the fields of an HTTP/2 request, judged as they come out of HPACK (RFC 9113 section 8).
// Names and values live in the arena; the result is put into a Request by the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.hpp"
#include "base/log.hpp"
#include "http/field_list.hpp"
#include "http/method.hpp"
#include "http/strict.hpp"
#include "http/uri_authority.hpp"
#include "proto/h2/hpack_decoder.hpp"

namespace mp::proto {

struct H2HeadOptions {
  unsigned max_fields = 1000;    // max_headers
  bool ignore_odd_names = true;  // ignore_invalid_headers
  bool underscores = false;      // underscores_in_headers
};

// The last host that was in order: the requests of a connection mostly name the same one.
class H2LastHost {
 public:
  std::optional<http::Host> find(std::string_view text) const {
    if (text.empty() || text != std::string_view(text_, size_)) return std::nullopt;
    return http::Host{text.substr(0, name_size_), port_};
  }
  void keep(std::string_view text, const http::Host& host);

 private:
  char text_[64];
  std::uint8_t size_ = 0;
  std::uint8_t name_size_ = 0;
  std::uint16_t port_ = 0;
};

// Whether a field may stand behind a body (RFC 9113 8.1, 8.2).
bool is_h2_trailer(const HpackField& field);

class H2RequestHead {
 public:
  // `last_host`: of the connection, or null; outlives the adding.
  H2RequestHead(Arena& arena, const H2HeadOptions& options, H2LastHost* last_host = nullptr)
      : fields(arena), arena_(arena), options_(options), last_host_(last_host) {}

  // Takes the next field; what is kept of it is copied, unless it lasts. After a mistake nothing more is
  // looked at. True: there is nothing wrong with the field itself, whatever it stands next to.
  bool add(const HpackField& field);
  bool add(std::string_view name, std::string_view value) { return add(HpackField{hpack_name(name), value}); }
  // The last field has come; `ended`: no body follows. What is wrong with the whole is in error().
  void finish(bool ended);

  // status 0: nothing is wrong.
  const http::HeadError& error() const { return error_; }
  // Names that were left out, for the log: client sent invalid header: "..."
  const std::vector<std::string_view>& ignored() const { return ignored_; }

  http::Method method = http::Method::other;
  std::string_view method_name;
  std::string_view scheme;
  std::string_view path;
  std::string_view authority;     // as sent
  std::string_view protocol;      // of an extended CONNECT (RFC 8441)
  std::string_view request_line;  // "GET /a HTTP/2.0"; empty until it is complete
  std::optional<http::Host> host;
  http::FieldList fields;
  std::int64_t content_length = -1;

 private:
  bool check_name(std::string_view name, bool& odd);
  bool check_text(const HpackField& field, bool& odd);
  bool add_ordinary(const HpackField& field, std::string_view value, bool odd);
  bool add_pseudo(const HpackField& field, std::string_view value);
  bool set_path(std::string_view value, bool sound);
  bool set_method(std::string_view value, bool sound);
  bool set_scheme(std::string_view value, bool sound);
  bool set_authority(std::string_view value);
  bool complete_request_line();
  void join_cookies();
  bool check_connection_fields();
  bool check_host();
  bool check_length(bool ended);
  bool check_method(bool ended);
  [[gnu::cold]] bool refuse(int status, std::string text);

  Arena& arena_;
  H2HeadOptions options_;
  H2LastHost* last_host_;
  http::HeadError error_;
  std::vector<std::string_view> ignored_;
  std::vector<std::string_view> cookies_;
  bool authority_seen_ = false;
  bool fields_begun_ = false;
  bool connection_fields_ = false;  // there are some that concern the connection
};

}  // namespace mp::proto
