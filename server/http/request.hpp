// Request: one client request (or subrequest) from its head to its log line. Owns the arena in which
// everything that belongs to the request lives. Runs on one fiber; light threads of it run on others of the
// same worker.
#pragma once

#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.hpp"
#include "base/log.hpp"
#include "conf/module.hpp"
#include "http/body.hpp"
#include "http/connection.hpp"
#include "http/exchange.hpp"
#include "http/headers.hpp"
#include "http/method.hpp"
#include "http/output.hpp"
#include "http/response.hpp"
#include "http/step.hpp"
#include "http/variables.hpp"

namespace mp::fiber {
class Fiber;
}

namespace mp::http {

struct Location;
struct Server;

// HTTP versions as one number: 9 (0.9), 1000 (1.0), 1001 (1.1), 2000.
enum class Version : std::uint16_t { http09 = 9, http10 = 1000, http11 = 1001, http20 = 2000 };

struct RegexCaptures {
  std::string_view subject;
  std::vector<int> offsets;  // pairs; -1 for a group that took no part
  std::string_view at(std::uint32_t n) const;
};

// The plain values of a request, by themselves: where they are made together, memory is cleared, and a few
// are set; made one by one they take a kilobyte of code.
struct RequestState {
  // ---- where it belongs
  Exchange* exchange = nullptr;  // the protocol; shared by subrequests; null for fake requests (timers)
  Request* parent = nullptr;
  int depth = 0;  // of subrequests

  // ---- what the client sent
  Method method = Method::get;
  std::string_view method_text;  // "GET"
  Version version = Version::http11;
  std::string_view request_line;  // "GET /a?b HTTP/1.1", for $request and the log
  std::string_view raw_uri;       // $request_uri: as sent, with arguments
  std::string_view scheme_host;   // authority of an absolute-form target, or empty
  std::string_view host;          // validated, lower case, without port
  std::uint16_t host_port = 0;    // after the colon; 0: none given
  std::int64_t content_length_in = -1;
  bool chunked_in = false;
  std::uint64_t head_size = 0;      // bytes of request line and header
  std::uint64_t received_body = 0;  // bytes of body as they came, framing included: $request_length
  std::string_view raw_head;        // these bytes, for ngx.req.raw_header; may be empty (h2)

  // ---- what is being served; changed by rewrites and internal redirects
  std::string_view uri;       // decoded, normalised
  std::string_view args;      // after '?', as sent
  std::string_view exten;     // of uri's last segment, without the dot
  bool quoted_uri = false;    // uri had %XX: it must be escaped again when forwarded
  bool complex_uri = false;   // uri is not the path of raw_uri as it was sent
  bool valid_raw_uri = true;  // raw_uri still stands for uri (no rewrite yet)
  bool plus_in_uri = false;
  bool valid_location = true;  // uri still begins with the name of the location that serves it
  bool internal = false;       // internal redirect, subrequest, error page
  bool uri_changed = false;    // a rewrite asks for a new location lookup
  int uri_changes = 11;        // rewrites and internal redirects left, and one more; each subrequest's own

  // ---- configuration in force
  conf::Sets sets;
  const Server* server = nullptr;
  const Location* location = nullptr;
  Handler content_handler = nullptr;
  std::string_view upstream_text;  // "http://127.0.0.1:81/x" while an upstream serves it, for the log

  // ---- answering
  int error_status = 0;         // the status an error page is being made for
  bool head_sent = false;       // the head went through the header filters
  bool finished = false;        // the last part of the body was written
  bool header_only = false;     // no body goes out (HEAD, 204, 304)
  int replace_with_status = 0;  // a header filter found that this status is the answer instead (412, 416)
  bool no_conditions = false;  // conditional requests were dealt with already (caches, upstreams that say so)
  bool status_only_errors = false;  // errors are told by their status alone: no page, stock or configured
  bool error_page_done = false;     // recursive_error_pages off: no second one
  bool keepalive = true;            // wished by client and configuration
  bool pipelined = false;           // its head had come before the response to the request before was sent
  bool scripted = false;            // a script has run for it, and may have changed anything, files included
  bool aborted = false;             // the client has gone, or the response failed half way
  std::int64_t limit_rate = -1;     // bytes a second: $limit_rate or proxy; -1 as configured
  std::int64_t limit_rate_after = -1;
  std::uint64_t body_sent = 0;  // $body_bytes_sent
  std::uint64_t sent = 0;       // $bytes_sent

  // ---- time and fiber
  std::int64_t start_seconds = 0;  // Unix time of the first byte
  int start_msec = 0;
  std::uint64_t start_monotonic = 0;
  fiber::Fiber* fiber = nullptr;  // the one that runs the phases

  Phase phase = Phase::post_read;
};

class Request final : public log::Subject, public RequestState {
 public:
  Request(Connection& connection, Sink& sink);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request();

  void describe(std::string& out) const override;
  std::uint64_t connection_id() const override { return connection.number; }

  // ---- where it belongs
  Arena arena;
  Connection& connection;
  Sink* sink;     // where the response goes
  Request* main;  // itself for a client's request
  bool is_sub() const { return main != this; }

  // ---- what the client sent
  Headers in{arena};
  RequestBody body;

  // ---- what is being served
  void set_uri(std::string_view new_uri);  // sets exten too; the view must live in the arena

  // ---- configuration in force
  template <class T>
  T& conf() const {
    return sets.get<T>();
  }
  void enter_location(const Location& location);  // switches sets, root, logger, content handler
  void enter_set(conf::ConfSet& location_set);    // same, for `if` and limit_except blocks
  log::Logger logger;                             // with this request as its subject

  // ---- answering
  Response out{arena};

  // Runs the header filters and hands the head to the sink. Once; later calls return the first result.
  bool send_head();
  // Sends a part of the body through the body filters. Sends the head first when nobody did.
  bool write(const Output& output);
  bool write(std::string_view bytes, bool last = false, bool flush = false);
  bool finish_body() { return write({}, true); }
  // Head and whole body at once.
  Step respond(int status, std::string_view content_type, std::string_view body);

  // For header filters: a stage behind those added before, or in front of them all.
  template <class F, class... A>
  F& add_body_filter(A&&... values) {
    F* filter = arena.make<F>(std::forward<A>(values)...);
    append_filter(filter);
    return *filter;
  }
  template <class F, class... A>
  F& add_body_filter_first(A&&... values) {
    F* filter = arena.make<F>(std::forward<A>(values)...);
    filter->next_ = body_filters_;
    body_filters_ = filter;
    return *filter;
  }
  bool has_body_filters() const { return body_filters_ != nullptr; }
  void clear_body_filters() { body_filters_ = nullptr; }
  // A length of the body changes: forget Content-Length, weaken or drop the entity tag, no ranges.
  void clear_content_length();
  void clear_accept_ranges();
  void clear_etag();
  void weaken_etag();

  // ---- internal redirects. The engine goes on where the returned step says.
  Step internal_redirect(std::string_view new_uri, std::string_view new_args);
  Step named_location(std::string_view name);

  // ---- variables
  // The value of $name by index, computed when needed; not found gives Value::none().
  const Value& variable(const Variable& variable);
  const Value& fresh_variable(const Variable& variable);             // computed again when not cacheable
  Value variable(std::string_view name);                             // by name, prefix variables included
  bool set_variable(std::string_view name, std::string_view value);  // false: not changeable or unknown
  void set_value(const Variable& variable, Value value);
  void forget_value(const Variable& variable) {
    if (values_ != nullptr) values_[variable.index] = {};
  }
  void share_variables_with(Request& other) { other.values_ = ensure_values(); }
  void copy_variables_to(Request& other);
  RegexCaptures captures;

  // ---- data of modules: one T a request, made on first use in the arena; gone after an internal redirect
  template <class T>
  T& ctx() {
    if (T* t = find_ctx<T>()) return *t;
    return add_ctx<T>();
  }
  template <class T>
  [[gnu::noinline]] T& add_ctx() {  // there is none yet
    auto* node = arena.make<ContextOf<T>>();
    node->key = &context_key<T>;
    node->next = contexts_;
    node->keep = requires { T::kKeepOnRedirect; };
    contexts_ = node;
    return node->data;
  }
  template <class T>
  T* find_ctx() const {
    ContextNode* node = contexts_;
    if (node == nullptr) return nullptr;
    if (node->key != &context_key<T>) node = find_behind(*node, &context_key<T>);
    return node != nullptr ? &static_cast<ContextOf<T>*>(node)->data : nullptr;
  }
  template <class T>
  void drop_ctx() {
    for (ContextNode* n = contexts_; n != nullptr; n = n->next) {
      if (n->key == &context_key<T>) n->key = nullptr;
    }
  }
  void drop_contexts();  // all but those whose type declares `kKeepOnRedirect`

 private:
  template <class T>
  static inline char context_key = 0;
  struct ContextNode {
    const void* key;
    ContextNode* next;
    bool keep;
  };
  template <class T>
  struct ContextOf : ContextNode {
    ContextOf() : data() {}
    T data;
  };
  static ContextNode* find_behind(ContextNode& node, const void* key);  // null: there is none
  void append_filter(BodyFilter* filter);
  bool send_replacement();
  Value* ensure_values();

  friend class BodyFilter;
  BodyFilter* body_filters_ = nullptr;
  ContextNode* contexts_ = nullptr;
  Value* values_ = nullptr;
  bool head_result_ = false;
};

}  // namespace mp::http
