// Result<T>: a value or an Error that the caller is expected to handle. Exceptions are for
// cancellation only. TRY/co_check style helpers are below.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace mp {

// A failure described for a human: `text` is ready for the error log; `code` is an errno, or 0.
struct Error {
  int code = 0;
  std::string text;
};

// "connect() failed (111: Connection refused)": the shape every system call failure is logged in.
Error system_error(int errnum, std::string_view what);

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(std::string text, int code = 0) {
  return tl::unexpected<Error>(Error{code, std::move(text)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace mp

// Returns the error of `expr` to the caller's caller, or goes on.
#define TRY(expr)                                        \
  do {                                                   \
    if (auto try_result_ = (expr); !try_result_) {       \
      return ::mp::fail(std::move(try_result_.error())); \
    }                                                    \
  } while (false)
