// Setting<T>: one value of a configuration type and whether somebody set it.
#pragma once

#include <utility>

namespace mp::conf {

template <class T>
class Setting {
  template <class U>
  struct Read {
    using type = const U&;
  };
  template <class U>
    requires requires { typename U::raw; }
  struct Read<U> {
    using type = typename U::raw;  // numbers with a unit read as the plain number
  };

 public:
  using value_type = T;

  Setting() = default;
  // The value to read where nothing sets or inherits one (process-level types need no merge then).
  constexpr Setting(T initial) : value_(std::move(initial)) {}

  constexpr operator typename Read<T>::type() const { return value_; }
  constexpr const T& get() const { return value_; }
  constexpr const T* operator->() const { return &value_; }

  // Set here or, after merging, in a surrounding block.
  constexpr bool is_set() const { return set_; }

  void set(T value) {
    value_ = std::move(value);
    set_ = true;
  }

  // For setters that build the value piece by piece.
  T& edit() {
    set_ = true;
    return value_;
  }

  // Takes the surrounding block's value when none was set here; `fallback` when that has none either.
  void inherit(const Setting& parent, T fallback = {}) {
    if (set_) return;
    set_ = parent.set_;
    value_ = parent.set_ ? parent.value_ : std::move(fallback);
  }

 private:
  T value_{};
  bool set_ = false;
};

}  // namespace mp::conf
