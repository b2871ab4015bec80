#include "upstream/h2_engine.hpp"

#include <cstdint>

namespace mp::upstream {

void H2Engine::take_input(std::string_view bytes) {
  const std::size_t size = bytes.size();
  for (;;) {
    const std::string_view part = mender_.take(bytes);
    if (part.empty()) break;
    const auto* data = reinterpret_cast<const std::uint8_t*>(part.data());
    const ssize_t used = nghttp2_session_mem_recv(engine_, data, part.size());
    if (used >= 0) continue;
    input_failed(static_cast<int>(used));
    return break_off();
  }
  input_came(size);
}

// Frames until the buffer is full or there is nothing to say.
bool H2Engine::make_output() {
  while (room_in_output()) {
    const std::size_t before = output_.size();
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(engine_, &data);
    if (size < 0) return false;
    output_.append({reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)});
    if (output_.size() == before) break;
  }
  return true;
}

}  // namespace mp::upstream
