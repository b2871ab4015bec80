// What hardly ever runs is laid apart from the code around it.
#pragma once

#include <vector>

namespace mp {

// Does nothing; called first in such a block, it takes the block out of its function: GCC lays a block apart,
// with other rare code, when the block leads to the call of a function that is cold. [[unlikely]] alone
// leaves it at the end of its own function, where it is fetched with the code that runs. For blocks that call
// no cold function of their own (log::error() and its like are cold), and that are rare with any usual
// traffic: what is laid apart is compiled to be small, and both ways are far jumps.
[[gnu::cold, gnu::noinline]] void rarely();

template <class T>
[[gnu::cold, gnu::noinline]] void grow_for(std::vector<T>& list, const T& item) {
  list.push_back(item);
}

// push_back() for a list that mostly has room: the code that moves it to a larger place is elsewhere.
template <class T>
inline void add_to(std::vector<T>& list, const T& item) {
  if (list.size() != list.capacity()) [[likely]]
    return list.push_back(item);
  grow_for(list, item);
}

}  // namespace mp
