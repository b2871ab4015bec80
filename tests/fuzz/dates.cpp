// HTTP dates: what was read is written in the preferred form and read again as the same moment.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/clock.hpp"
#include "base/numbers.hpp"

using namespace mp;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto moment = parse_http_date(text)) {
    char written[kHttpDateSize];
    write_http_date(written, *moment);
    const auto again = parse_http_date({written, kHttpDateSize});
    assert(again && *again == *moment);
  }
  for (const auto time : {parse_seconds(text), parse_milliseconds(text)}) assert(!time || *time >= 0);
  for (const auto bytes : {parse_size(text), parse_offset(text)}) assert(!bytes || *bytes >= 0);
  return 0;
}
