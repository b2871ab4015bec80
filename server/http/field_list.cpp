#include "http/field_list.hpp"

#include <cstring>

#include "base/rarely.hpp"

namespace mp::http {

void FieldList::grow() {
  const std::uint32_t capacity = capacity_ == 0 ? 24 : capacity_ * 2;
  auto* data =
      static_cast<HeaderField*>(arena_->allocate(capacity * sizeof(HeaderField), alignof(HeaderField)));
  if (size_ != 0) [[unlikely]] {
    rarely();
    std::memcpy(static_cast<void*>(data), data_, size_ * sizeof(HeaderField));
  }
  data_ = data;
  capacity_ = capacity;
}

}  // namespace mp::http
