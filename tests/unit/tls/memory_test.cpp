#include "tls/memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <malloc.h>
#include <openssl/crypto.h>

// main.cpp has installed the functions. (With AddressSanitizer OpenSSL's own are looked at.)
TEST_CASE("tls: OpenSSL's blocks are large enough, keep their bytes, and may be given back by anyone",
          "[tls]") {
  mp::tls::pool_memory();
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (int turn = 0; turn < 2; ++turn) {
    for (std::size_t size = 1; size < 70000; size += size / 8 + 1) {
      void* const block = OPENSSL_malloc(size);
      REQUIRE(block != nullptr);
      CHECK(malloc_usable_size(block) >= size);
      std::memset(block, static_cast<int>(size % 251), size);
      blocks.emplace_back(block, size);
    }
    for (auto& [block, size] : blocks) {
      for (const std::size_t next : {size * 3, size / 2 + 1, size}) {
        block = OPENSSL_realloc(block, next);
        REQUIRE(block != nullptr);
        CHECK(malloc_usable_size(block) >= next);
        const std::string kept(static_cast<char*>(block), std::min(size / 2 + 1, next));
        CHECK(kept == std::string(kept.size(), static_cast<char>(size % 251)));
      }
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      i % 2 == 0 ? OPENSSL_free(blocks[i].first) : std::free(blocks[i].first);
    }
    blocks.clear();
  }
  OPENSSL_free(std::malloc(1));
  OPENSSL_free(nullptr);
}

TEST_CASE("tls: a block made larger from nothing is a new one, and to nothing none", "[tls]") {
  mp::tls::pool_memory();
  void* const block = OPENSSL_realloc(nullptr, 100);
  REQUIRE(block != nullptr);
  CHECK(OPENSSL_realloc(block, 0) == nullptr);
}

// What leaves the pools and comes back to them, and nothing else: they would grow otherwise.
TEST_CASE("tls: blocks made larger from nothing are the pools' own", "[tls]") {
  mp::tls::pool_memory();
  std::size_t before = 0;
  for (int turn = 0; turn < 1000; ++turn) {
    for (const std::size_t size : {20, 40, 500, 21848}) OPENSSL_free(OPENSSL_realloc(nullptr, size));
    if (turn == 0) before = mallinfo2().uordblks;
  }
  CHECK(mallinfo2().uordblks - before < 100'000);
}
