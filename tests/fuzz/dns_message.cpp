// DNS responses from any bytes: reading ends, names are bounded and can be asked for again.
#include "net/dns_message.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace mp::net;

namespace {

void check_name(const dns::Name& name) {
  assert(name.text().size() <= dns::Name::kMax);
  if (name.empty()) return;
  char query[dns::kMaxQuery];
  assert(dns::write_query(std::span<char, dns::kMaxQuery>(query), 1, name.text(), dns::Type::a));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  for (const bool over_tcp : {false, true}) {
    auto response = dns::Response::parse(message, over_tcp);
    if (!response) {
      assert(!response.error().text.empty());
      continue;
    }
    if (response->has_question()) check_name(response->name());
    dns::Record record;
    std::size_t left = response->answers();
    while (true) {
      const auto more = response->next(record);
      if (!more || !*more) break;
      assert(left-- > 0);
      check_name(record.owner);
      if (record.type == dns::Type::cname || record.type == dns::Type::srv) check_name(record.target);
    }
  }
  return 0;
}
