// Value types of settings. What their text forms are is told by the readers in base/numbers.hpp and
// setters.hpp. Plain values; texts and lists live in the arena of the Configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>

#include "base/arena.hpp"

namespace mp::conf {

// Numbers with a unit are types of their own, so that set<&Conf::member> knows how to read them. They
// convert to the plain number.
struct Size {  // memory: "4096", "8k", "1m"
  using raw = std::size_t;
  std::size_t value = 0;
  constexpr Size() = default;
  constexpr Size(std::size_t v) : value(v) {}
  constexpr operator std::size_t() const { return value; }
};

struct Offset {  // file sizes: as Size, and "1g"
  using raw = std::int64_t;
  std::int64_t value = 0;
  constexpr Offset() = default;
  constexpr Offset(std::int64_t v) : value(v) {}
  constexpr operator std::int64_t() const { return value; }
};

struct Msec {  // a time kept in milliseconds: "30s", "500ms", "1h 30m"
  using raw = std::int64_t;
  std::int64_t value = 0;
  constexpr Msec() = default;
  constexpr Msec(std::int64_t v) : value(v) {}
  constexpr operator std::int64_t() const { return value; }
};

struct Sec {  // a time kept in seconds: "30", "2d", "1y 6M"
  using raw = std::int64_t;
  std::int64_t value = 0;
  constexpr Sec() = default;
  constexpr Sec(std::int64_t v) : value(v) {}
  constexpr operator std::int64_t() const { return value; }
};

struct Bufs {  // "8 4k"
  std::size_t count = 0;
  std::size_t size = 0;
};

struct Access {  // "user:rw group:rw all:r" as a file mode
  using raw = unsigned;
  unsigned value = 0;
  constexpr Access() = default;
  constexpr Access(unsigned v) : value(v) {}
  constexpr operator unsigned() const { return value; }
};

// A file or folder, made absolute with the prefix (Path) or the folder of the main configuration file
// (ConfPath, for certificates and the like). An empty text stays empty.
struct Path {
  std::string_view text;
  constexpr operator std::string_view() const { return text; }
};
struct ConfPath {
  std::string_view text;
  constexpr operator std::string_view() const { return text; }
};

// A folder of temporary or cached files with up to three levels of sub-folders: "PATH 1 2".
struct LevelledPath {
  std::string_view path;
  std::uint8_t levels[3] = {0, 0, 0};

  std::size_t depth_length() const {  // bytes that "a/bc/" adds between path and file name
    return (levels[0] ? levels[0] + 1u : 0u) + (levels[1] ? levels[1] + 1u : 0u) +
           (levels[2] ? levels[2] + 1u : 0u);
  }
};

struct KeyValue {
  std::string_view key;
  std::string_view value;
};

// A growable array in the configuration's arena. Copies share the elements and never write to them.
template <class T>
class List {
 public:
  static_assert(std::is_trivially_copyable_v<T>);

  List() = default;
  List(const List& other) : data_(other.data_), size_(other.size_), capacity_(other.size_) {}
  List& operator=(const List& other) {
    data_ = other.data_;
    size_ = capacity_ = other.size_;
    return *this;
  }

  void push(Arena& arena, const T& value) {
    if (size_ == capacity_) {
      std::uint32_t room = capacity_ < 4 ? 4 : capacity_ * 2;
      T* bigger = static_cast<T*>(arena.allocate(room * sizeof(T), alignof(T)));
      for (std::uint32_t i = 0; i < size_; ++i) new (bigger + i) T(data_[i]);
      data_ = bigger;
      capacity_ = room;
    }
    new (data_ + size_++) T(value);
  }

  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  const T& back() const { return data_[size_ - 1]; }

 private:
  T* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

using StringList = List<std::string_view>;
using KeyValueList = List<KeyValue>;

}  // namespace mp::conf
