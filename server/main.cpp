#include "app/cli.hpp"

int main(int argc, char** argv) {
  return mp::app::main(argc, argv);
}
