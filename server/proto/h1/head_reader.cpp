#include "proto/h1/head_reader.hpp"

#include <algorithm>

#include "base/numbers.hpp"

namespace mp::proto {

const llhttp_settings_t& FieldGrammar::settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_header_field = on_name;
    s.on_header_value = on_value;
    s.on_header_value_complete = on_value_complete;
    s.on_headers_complete = [](llhttp_t*) -> int { return HPE_PAUSED; };
    return s;
  }();
  return settings;
}

// A parser that has read a start line and now expects header fields. Start lines are parsed here and not by
// llhttp, which knows a fixed list of methods and no HTTP/0.9.
const llhttp_t& FieldGrammar::prepared(Kind kind) {
  static const auto prepare = [](llhttp_type_t type, std::string_view start_line) {
    llhttp_t llhttp;
    llhttp_init(&llhttp, type, &settings());
    // Conflicts of the two framing fields are judged by request_framing() and its like, with their own texts.
    llhttp_set_lenient_chunked_length(&llhttp, 1);
    llhttp_set_lenient_transfer_encoding(&llhttp, 1);
    // A value may end with a bare LF; controls and bare CRs never come this far.
    llhttp_set_lenient_headers(&llhttp, 1);
    llhttp_execute(&llhttp, start_line.data(), start_line.size());
    return llhttp;
  };
  static const llhttp_t request = prepare(HTTP_REQUEST, "POST / HTTP/1.1\r\n");
  static const llhttp_t response = prepare(HTTP_RESPONSE, "HTTP/1.1 200 OK\r\n");
  return kind == Kind::request ? request : response;
}

bool FieldGrammar::run(std::string_view line) {
  if (!prepared_) {
    llhttp_ = prepared(kind_);
    llhttp_.data = this;
    prepared_ = true;
  }
  if (llhttp_execute(&llhttp_, line.data(), line.size()) != HPE_OK) return false;
  // llhttp would wait for the next line, which could be a folded one; those never come this far.
  return name_.empty() || commit();
}

bool FieldGrammar::commit() {
  const http::HeaderField& field = fields_.add(name_, trim(value_), http::header_id(name_));
  name_ = {};
  refused_ = !accept_(owner_, field);
  return !refused_;
}

int FieldGrammar::on_name(llhttp_t* llhttp, const char* at, std::size_t size) {
  auto* self = static_cast<FieldGrammar*>(llhttp->data);
  self->name_ = {at, size};
  self->value_ = {at + size, 0};
  return 0;
}

int FieldGrammar::on_value(llhttp_t* llhttp, const char* at, std::size_t size) {
  auto* self = static_cast<FieldGrammar*>(llhttp->data);
  const char* start = self->value_.empty() ? at : self->value_.data();
  self->value_ = {start, static_cast<std::size_t>(at + size - start)};
  return 0;
}

int FieldGrammar::on_value_complete(llhttp_t* llhttp) {
  auto* self = static_cast<FieldGrammar*>(llhttp->data);
  return self->name_.empty() || self->commit() ? 0 : -1;
}

std::string broken_line(std::string_view what, std::string_view line, const char* at) {
  constexpr std::size_t kMaxShown = 1748;  // what nginx leaves of a line in its log
  const auto size = std::min(static_cast<std::size_t>(at - line.data()), kMaxShown);
  char hex[2];
  hex_into(hex, at, 1);
  std::string text(what);
  text.append(": \"").append(line.data(), size).append("\\x").append(hex, 2).append("...\"");
  return text;
}

void shift_fields(http::FieldList& fields, std::string_view old, const char* to) {
  for (http::HeaderField& field : fields.all()) {
    shift_view(field.name, old, to);
    shift_view(field.value, old, to);
  }
}

}  // namespace mp::proto
