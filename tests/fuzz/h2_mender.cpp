// Frames on their way to the HTTP/2 engine. How they were cut makes no difference; what comes out has nothing
// to be mended any more; and without a head there is nothing that changes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "upstream/h2_head_mender.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

std::string pass(std::string_view bytes, std::size_t size) {
  mp::upstream::H2HeadMender mender(1 << 20);
  std::string out;
  auto take = [&](std::string_view part) {
    for (;;) {
      const std::string_view some = mender.take(part);
      if (some.empty()) return;
      out.append(some);
    }
  };
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) take(bytes.substr(0, size));
  mender.let_go();
  take({});
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::string whole = pass(bytes, bytes.size() + 1);
  require(whole == pass(bytes, std::size_t{data[0]} + 1));
  require(whole.size() <= bytes.size());
  require(pass(whole, whole.size() + 1) == whole);
  std::string mended;
  if (mp::upstream::mend_header_block(bytes, mended)) {
    std::string again;
    require(mended.size() < bytes.size());
    require(!mp::upstream::mend_header_block(mended, again));
  }
  return 0;
}
