#include "upstream/plain_cgi_dialect.hpp"

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"

namespace mp::upstream {

void PlainCgiDialect::restart() {
  reader_.restart();
  length_ = {};
}

// "HTTP/1.1 404 Not Found". False: it is none, then it is a field.
bool PlainCgiDialect::read_status_line(std::string_view line, Reply& reply) {
  if (!consume(line, "HTTP/")) return false;
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  line = trim(line.substr(space + 1));
  const auto status = parse_natural<int>(line.substr(0, 3));
  if (!status || *status < 100 || (line.size() > 3 && line[3] != ' ')) return false;
  reply.status = *status;
  if (line.size() > 3) reply.status_line = line;
  return true;
}

Dialect::Head PlainCgiDialect::read_head(http::Request& r, std::string_view data, Reply& reply,
                                         std::size_t& consumed) {
  std::size_t line_size = 0;
  if (data.starts_with("HTTP/")) {
    const std::size_t end = data.find('\n');
    if (end == std::string_view::npos) return Head::need_more;
    std::string_view line = data.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (read_status_line(line, reply)) line_size = end + 1;
  }
  switch (reader_.read(r, data.substr(line_size), reply)) {
    case CgiHeadReader::State::more:
      return Head::need_more;
    case CgiHeadReader::State::invalid:
      return Head::invalid;
    case CgiHeadReader::State::complete:
      break;
  }
  if (!complete_cgi_reply(r, reply)) return Head::invalid;
  length_.start(reply);
  consumed = line_size + reader_.size();
  head_text_ = data.substr(0, consumed);
  if (reply.status == 101 && r.in.find(http::HeaderId::upgrade) != nullptr) reply.upgrade = true;
  return Head::complete;
}

Dialect::Body PlainCgiDialect::decode(http::Request& r, Reply& reply, char*, std::size_t size,
                                      std::size_t& payload) {
  payload = reply.no_body ? 0 : length_.take(r, size);
  return reply.no_body || length_.left() == 0 ? Body::done : Body::more;
}

}  // namespace mp::upstream
