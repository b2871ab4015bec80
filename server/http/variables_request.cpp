// Variables of the request: its line, its fields, its URI, its body.
#include <cerrno>
#include <climits>
#include <cstdlib>

#include <openssl/rand.h>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "http/basic_credentials.hpp"
#include "http/cookies.hpp"
#include "http/core_conf.hpp"
#include "http/core_variables.hpp"
#include "http/file_path.hpp"
#include "http/joined_fields.hpp"
#include "http/request.hpp"
#include "http/uri.hpp"

namespace mp::http {
namespace {

Value number_value(Request& r, std::int64_t number) {
  char text[kMaxDecimal];
  return Value::of(r.arena.copy({text, static_cast<std::size_t>(print(text, number) - text)}));
}

// A query or a path that a rewrite has emptied is not the same as none.
Value query(const Request& r) {
  return r.args.data() != nullptr ? Value::of(r.args) : Value::none();
}

Value path(const Request& r) {
  return r.uri.data() != nullptr ? Value::of(r.uri) : Value::none();
}

Value maybe(std::string_view text) {
  return text.empty() ? Value::none() : Value::of(text);
}

// "x_forwarded_for" names the field X-Forwarded-For: each '_' stands for any '-' or '_'.
bool names_field(std::string_view variable, std::string_view field) {
  if (variable.size() != field.size()) return false;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const char c = field[i] == '-' ? '_' : to_lower(field[i]);
    if (c != to_lower(variable[i])) return false;
  }
  return true;
}

}  // namespace

// All fields of that name, joined: Cookie by "; ", others by ", ".
Value joined_fields(const Headers& headers, std::string_view variable) {
  const auto matches = [variable](const HeaderField& f) { return names_field(variable, f.name); };
  const HeaderField* first = std::find_if(headers.begin(), headers.end(), matches);
  if (first == headers.end()) return Value::none();
  return Value::of(headers.joined_if(matches, first->id == HeaderId::cookie ? "; " : ", "));
}

namespace {

constexpr Variable kRequestVariables[] = {
    {.name = "http_",
     .get = [](Request& r, const Variable& v) { return joined_fields(r.in, v.name.substr(5)); },
     .prefix = true},
    {.name = "cookie_",
     .get =
         [](Request& r, const Variable& v) {
           const auto value = find_cookie(r.in, v.name.substr(7));
           return value ? Value::of(*value) : Value::none();
         },
     .prefix = true},
    {.name = "arg_",
     .get =
         [](Request& r, const Variable& v) {
           const auto value = find_arg(r.args, v.name.substr(4));
           return value ? Value::volatile_(*value) : Value{{}, false, false};
         },
     .cacheable = false,
     .prefix = true},
    {.name = "content_length",
     .get =
         [](Request& r, const Variable&) {
           if (const HeaderField* f = r.in.find(HeaderId::content_length)) return Value::of(f->value);
           if (r.chunked_in && r.body.state == RequestBody::State::read)
             return number_value(r, static_cast<std::int64_t>(r.body.size));
           return Value::none();
         },
     .cacheable = false},
    {.name = "content_type",
     .get = [](Request& r, const Variable&) { return maybe(r.in.value(HeaderId::content_type)); }},
    {.name = "host",
     .get =
         [](Request& r, const Variable&) {
           return Value::of(!r.host.empty() ? r.host : r.conf<CoreServer>().first_name);
         }},
    {.name = "server_protocol",
     .get =
         [](Request& r, const Variable&) {
           if (r.version == Version()) return Value::none();  // its line could not be read
           switch (r.version) {
             case Version::http09:
               return Value::none();  // it said none
             case Version::http10:
               return Value::of("HTTP/1.0");
             case Version::http20:
               return Value::of("HTTP/2.0");
             default:
               return Value::of("HTTP/1.1");
           }
         }},
    {.name = "request_uri", .get = [](Request& r, const Variable&) { return maybe(r.raw_uri); }},
    {.name = "uri", .get = [](Request& r, const Variable&) { return path(r); }, .cacheable = false},
    {.name = "document_uri", .get = [](Request& r, const Variable&) { return path(r); }, .cacheable = false},
    {.name = "request", .get = [](Request& r, const Variable&) { return maybe(r.main->request_line); }},
    {.name = "request_port",
     .get = [](Request& r,
               const Variable&) { return r.host_port != 0 ? number_value(r, r.host_port) : Value::of(""); }},
    {.name = "is_request_port",
     .get = [](Request& r, const Variable&) { return Value::of(r.host_port != 0 ? ":" : ""); }},
    {.name = "query_string", .get = [](Request& r, const Variable&) { return query(r); }, .cacheable = false},
    {.name = "args",
     .get = [](Request& r, const Variable&) { return query(r); },
     .set =
         [](Request& r, const Variable&, std::string_view value) {
           r.args = value;
           r.valid_raw_uri = false;
         },
     .changeable = true,
     .cacheable = false},
    {.name = "is_args",
     .get = [](Request& r, const Variable&) { return Value::of(r.args.empty() ? "" : "?"); },
     .cacheable = false},
    {.name = "request_method",
     .get = [](Request& r, const Variable&) { return maybe(r.main->method_text); },
     .cacheable = false},
    {.name = "request_length",
     .get =
         [](Request& r, const Variable&) {
           return number_value(r, static_cast<std::int64_t>(r.main->head_size + r.main->received_body));
         },
     .cacheable = false},
    {.name = "request_id",
     .get =
         [](Request& r, const Variable&) {
           unsigned char random[16];
           if (RAND_bytes(random, sizeof random) != 1) return Value::none();
           char* text = r.arena.bytes(32);
           hex_into(text, random, sizeof random);
           return Value::of({text, 32});
         }},
    {.name = "request_body",
     .get = [](Request& r, const Variable&) { return maybe(r.body.text(r)); },
     .cacheable = false},
    {.name = "request_body_file",
     .get =
         [](Request& r, const Variable&) {
           const TempFile* file = r.body.stored();
           return file != nullptr ? Value::of(file->path()) : Value::none();
         },
     .cacheable = false},
    {.name = "server_name",
     .get = [](Request& r, const Variable&) { return Value::of(r.conf<CoreServer>().first_name); }},
    {.name = "remote_user",
     .get =
         [](Request& r, const Variable&) {
           const auto user = basic_credentials(r);
           return user ? maybe(user->name) : Value::none();
         }},
    {.name = "document_root",
     .get = [](Request& r, const Variable&) { return Value::of(document_root(r)); },
     .cacheable = false},
    {.name = "realpath_root",
     .get =
         [](Request& r, const Variable&) {
           char resolved[PATH_MAX];
           const std::string root(document_root(r));
           if (realpath(root.c_str(), resolved) == nullptr) {
             log::crit(r.logger, log::Errno{errno}, "realpath() \"{}\" failed", root);
             return Value::none();
           }
           return Value::of(r.arena.copy(resolved));
         },
     .cacheable = false},
    {.name = "request_filename",
     .get = [](Request& r, const Variable&) { return Value::of(map_to_path(r, r.uri)); },
     .cacheable = false},
    {.name = "limit_rate",
     .get = [](Request& r, const Variable&) { return number_value(r, r.limit_rate > 0 ? r.limit_rate : 0); },
     .set =
         [](Request& r, const Variable&, std::string_view value) {
           if (const auto rate = parse_size(value)) {
             r.main->limit_rate = *rate;
             if (r.main->limit_rate_after < 0) r.main->limit_rate_after = 0;
           } else {
             log::error(r.logger, "invalid $limit_rate \"{}\"", value);
           }
         },
     .changeable = true,
     .cacheable = false},
};

}  // namespace

void define_request_variables(VariableTable& table) {
  table.define(kRequestVariables);
}

}  // namespace mp::http
