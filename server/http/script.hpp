// The script of a server {} or location {}: what `rewrite`, `if`, `set`, `return`, `break` and their like
// compile to. Instructions run in the order of the configuration, in the server-rewrite and rewrite phases.
// They live in the configuration's arena.
#pragma once

#include "http/step.hpp"

namespace mp::http {

class Request;

class Instruction {
 public:
  Instruction() = default;
  Instruction(const Instruction&) = delete;
  Instruction& operator=(const Instruction&) = delete;
  virtual ~Instruction() = default;

  // decline: the next instruction; pass: the script ends here; others end the phase as they say. May park.
  virtual Step run(Request& request) const = 0;

 private:
  friend class Script;
  Instruction* next_ = nullptr;  // of its script
};

class Script {
 public:
  void add(Instruction& instruction) {
    (last_ != nullptr ? last_->next_ : first_) = &instruction;
    last_ = &instruction;
  }
  bool empty() const { return first_ == nullptr; }

  // Runs it to its end; decline when nothing in it decided anything.
  Step run(Request& request) const {
    for (const Instruction* i = first_; i != nullptr; i = i->next_) {
      const Step step = i->run(request);
      if (!step.is_decline()) return step;
    }
    return Step::decline();
  }

  // It will run soon: it may come from memory meanwhile.
  void prefetch() const { __builtin_prefetch(first_); }

 private:
  Instruction* first_ = nullptr;
  Instruction* last_ = nullptr;
};

}  // namespace mp::http
