// Io: the outcome of one read or write. One type for the one question "what happened to these bytes".
#pragma once

#include <cstddef>
#include <cstdint>

namespace mp::net {

struct Io {
  enum class Kind : std::uint8_t {
    ok,       // `bytes` were moved (at least one)
    eof,      // the peer closed its sending side
    again,    // nothing now; only from try_ calls
    timeout,  // the deadline passed; `bytes` may have been moved before it did
    failed,   // `error` is the errno
  };
  Kind kind = Kind::ok;
  int error = 0;
  std::size_t bytes = 0;

  bool ok() const { return kind == Kind::ok; }
  static Io moved(std::size_t n) { return {Kind::ok, 0, n}; }
  static Io eof() { return {Kind::eof, 0, 0}; }
  static Io again() { return {Kind::again, 0, 0}; }
  static Io timeout(std::size_t n = 0) { return {Kind::timeout, 0, n}; }
  static Io failed(int errnum, std::size_t n = 0) { return {Kind::failed, errnum, n}; }
};

}  // namespace mp::net
