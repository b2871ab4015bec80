// The one translation unit with Catch2's main().
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "tls/memory.hpp"

int main(int argc, char** argv) {
  mp::tls::install_memory();
  return Catch::Session().run(argc, argv);
}
