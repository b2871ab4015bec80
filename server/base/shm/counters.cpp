#include "base/shm/counters.hpp"

namespace mp {

Result<SharedCounters> SharedCounters::make() {
  auto memory = SharedMapping::make(sizeof(Slot) * (kSlots + 1));
  if (!memory) return fail(std::move(memory.error()));
  return SharedCounters(std::move(*memory));
}

int SharedCounters::take() {
  for (int i = 0; i < kSlots; ++i) {
    if (taken_[i]) continue;
    taken_[i] = true;
    return i;
  }
  return -1;
}

void SharedCounters::retire(int index) {
  if (index < 0) return;
  Slot& from = slot(index);
  Slot& past = slot(-1);
  past.accepted.add(from.accepted.get());
  past.handled.add(from.handled.get());
  past.requests.add(from.requests.get());
  for (Counter* c : {&from.accepted, &from.handled, &from.requests, &from.active, &from.reading,
                     &from.writing, &from.waiting, &from.fibers, &from.pid}) {
    c->set(0);
  }
  taken_[index] = false;
}

SharedCounters::Totals SharedCounters::totals() const {
  Totals sum;
  for (int i = -1; i < kSlots; ++i) {
    const Slot& s = slot(i);
    sum.accepted += s.accepted.get();
    sum.handled += s.handled.get();
    sum.requests += s.requests.get();
    sum.active += s.active.get();
    sum.reading += s.reading.get();
    sum.writing += s.writing.get();
    sum.waiting += s.waiting.get();
    sum.fibers += s.fibers.get();
  }
  return sum;
}

}  // namespace mp
