// Whether the holder of something in shared memory has died.
#pragma once

#include <cstdint>

namespace mp {

// Also a child of this process that nobody has waited for yet: a master that needs what a worker held when it
// died would wait for itself otherwise.
bool process_is_gone(std::uint32_t pid);

}  // namespace mp
