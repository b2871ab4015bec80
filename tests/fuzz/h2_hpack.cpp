// Header blocks of one connection, against libnghttp2's decoder: both read the same fields, or neither can.
// And what the encoder writes, both read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "proto/h2/hpack_decoder.hpp"
#include "proto/h2/hpack_encoder.hpp"
#include "upstream/h2_head_mender.hpp"

using namespace mp;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Inflater {
  nghttp2_hd_inflater* state = nullptr;
  Inflater() { require(nghttp2_hd_inflate_new(&state) == 0); }
  ~Inflater() { nghttp2_hd_inflate_del(state); }

  bool read(std::string_view block, Fields& fields) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(block.data());
    std::size_t left = block.size();
    for (;;) {
      nghttp2_nv nv;
      int flags = 0;
      const ssize_t used = nghttp2_hd_inflate_hd2(state, &nv, &flags, p, left, 1);
      if (used < 0) return false;
      p += used;
      left -= static_cast<std::size_t>(used);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        fields.emplace_back(std::string(reinterpret_cast<char*>(nv.name), nv.namelen),
                            std::string(reinterpret_cast<char*>(nv.value), nv.valuelen));
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
        nghttp2_hd_inflate_end_headers(state);
        return true;
      }
    }
  }
};

bool read(proto::HpackTable& table, std::string_view block, Fields& fields) {
  Arena arena;
  proto::HpackReader reader(table, block, arena);
  proto::HpackField field;
  while (reader.next(field)) {
    require(proto::hpack_name(field.name.text).id == field.name.id);
    require(proto::hpack_name(field.name.text).pseudo == field.name.pseudo);
    fields.emplace_back(field.name.text, field.value);
    // What is said of a field stays with that field.
    require(!field.sound || field.value.size() % 2 == 0 || field.value_lasts);
    if (field.value.size() % 2 == 0) reader.accept();
  }
  return !reader.broken();
}

// A number so long that the mender, whose business it is not, stops there.
bool has_long_number(std::string_view block) {
  unsigned run = 0;
  for (const char c : block) {
    run = (c & 0x80) != 0 ? run + 1 : 0;
    if (run >= 4) return true;
  }
  return false;
}

void decode(std::string_view rest) {
  Inflater other;
  proto::HpackTable table;
  while (!rest.empty()) {
    const std::size_t size = static_cast<unsigned char>(rest.front()) + std::size_t{1};
    const std::string_view block = rest.substr(1, size);
    rest.remove_prefix(1 + block.size());
    std::string mended;
    const bool better = upstream::mend_header_block(block, mended);
    Fields ours;
    Fields theirs;
    const bool read_here = read(table, block, ours);
    const bool read_there = other.read(better ? std::string_view(mended) : block, theirs);
    if (read_here != read_there) return require(read_here && has_long_number(block));
    if (!read_here) return;
    require(ours == theirs);
    require(table.size() <= proto::kHpackTable && table.count() <= proto::kHpackTable / 32);
  }
}

// Two bytes a field: which, and which of a few values; sometimes another size of the table.
void encode(std::string_view rest) {
  Inflater other;
  proto::HpackTable table;
  proto::HpackEncoder encoder;
  while (rest.size() >= 2) {
    if (rest.front() == '\xff') {
      const std::size_t size = static_cast<unsigned char>(rest[1]) * std::size_t{32};
      encoder.set_table_size(size);
      require(nghttp2_hd_inflate_change_table_size(other.state, size) == 0);
      rest.remove_prefix(2);
    }
    Fields sent;
    std::string block(4096, '\0');
    char* p = encoder.begin(block.data());
    const int status = 100 + static_cast<unsigned char>(rest.empty() ? 0 : rest.front()) * 2;
    p = encoder.status(p, status);
    sent.emplace_back(":status", std::to_string(status));
    for (int i = 0; i < 8 && rest.size() >= 2; ++i, rest.remove_prefix(2)) {
      const auto id = static_cast<http::HeaderId>(static_cast<unsigned char>(rest[0]) % http::kHeaderIdCount);
      const std::string value(static_cast<unsigned char>(rest[1]) % 70, rest[1]);
      if (id == http::HeaderId::unknown) {
        p = encoder.field(p, "X-Unknown", value);
        sent.emplace_back("x-unknown", value);
      } else {
        p = encoder.field(p, id, value);
        sent.emplace_back(http::header_name_lower(id), value);
      }
    }
    block.resize(static_cast<std::size_t>(p - block.data()));
    Fields ours;
    Fields theirs;
    require(read(table, block, ours) && ours == sent);
    require(other.read(block, theirs) && theirs == sent);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
  (data[0] & 1) == 0 ? decode(rest) : encode(rest);
  return 0;
}
