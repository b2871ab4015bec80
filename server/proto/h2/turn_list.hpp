// H2TurnList: streams that wait for their turn, in its order. Each is in one list at most, by the H2Turn that
// it has; the list owns none of them.
#pragma once

namespace mp::proto {

struct H2Turn {
  H2Turn() = default;
  H2Turn(const H2Turn&) = delete;
  H2Turn& operator=(const H2Turn&) = delete;
  ~H2Turn() { leave(); }

  bool waits() const { return after != nullptr; }
  void leave() {
    if (!waits()) return;
    before->after = after;
    after->before = before;
    before = after = nullptr;
  }

  H2Turn* before = nullptr;
  H2Turn* after = nullptr;  // null: in no list
};

class H2TurnList {
 public:
  H2TurnList() { ends_.before = ends_.after = &ends_; }

  bool empty() const { return ends_.after == &ends_; }
  void push(H2Turn& turn) {
    turn.before = ends_.before;
    turn.after = &ends_;
    ends_.before->after = &turn;
    ends_.before = &turn;
  }
  // Of a list that is not empty.
  H2Turn& pop() {
    H2Turn& first = *ends_.after;
    first.leave();
    return first;
  }

 private:
  H2Turn ends_;  // in front of the first, behind the last
};

}  // namespace mp::proto
