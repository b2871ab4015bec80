#include "base/rarely.hpp"

namespace mp {

void rarely() {}

}  // namespace mp
