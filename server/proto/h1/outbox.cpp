#include "proto/h1/outbox.hpp"

#include <algorithm>
#include <cstring>

#include "fiber/scheduler.hpp"
#include "proto/h1/connection.hpp"

namespace mp::proto {

void Outbox::post(H1Connection& connection, std::string_view bytes) {
  if (count_ == letters_.size() || kRoom - used_ < bytes.size()) send_all();
  if (!will_be_emptied_) {
    // What is to run later in this pass runs behind everything that is in it now.
    fiber::spawn_later(
        [](void* box) {
          static_cast<Outbox*>(box)->will_be_emptied_ = false;
          static_cast<Outbox*>(box)->send_all();
        },
        this);
    will_be_emptied_ = true;
  }
  std::memcpy(bytes_.data() + used_, bytes.data(), bytes.size());
  letters_[count_++] = {&connection, bytes.size(), {}};
  any_tls_ |= connection.ssl != nullptr;
  used_ += bytes.size();
}

void Outbox::send_all() {
  const std::size_t count = std::exchange(count_, 0);
  used_ = 0;
  if (std::exchange(any_tls_, false)) seal({letters_.data(), count});
  const char* p = bytes_.data();
  for (std::size_t i = 0; i < count; ++i) {
    letters_[i].connection->send_posted({p, letters_[i].size}, letters_[i].sealed);
    p += letters_[i].size;
  }
}

// All records are made before the first is sent: the code for either is fetched once.
[[gnu::noinline]] void Outbox::seal(std::span<Letter> letters) {
  std::span<char> room(records_);
  const char* p = bytes_.data();
  for (Letter& letter : letters) {
    letter.sealed = letter.connection->seal({p, letter.size}, room);
    room = room.subspan(letter.sealed.records.size());
    p += letter.size;
  }
}

std::string Outbox::take_kept(const H1Connection& connection) {
  const auto found =
      std::find_if(kept_.begin(), kept_.end(), [&](const auto& kept) { return kept.first == &connection; });
  if (found == kept_.end()) return {};
  std::string rest = std::move(found->second);
  kept_.erase(found);
  return rest;
}

}  // namespace mp::proto
