// Lists: push, pop, length.
#include <cstring>

#include "lua/shdict/dict.hpp"
#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {
namespace {

using Type = ShmDict::Type;
using Outcome = ShmDict::Outcome;

Outcome refuse(ShmDict::Reply& reply, const char* error, Type with = Type::nil) {
  reply.error = error;
  reply.type = static_cast<int>(with);
  return Outcome::failed;
}

}  // namespace

// The live list of the key, emptied or made when needed; null with the error in `reply`.
ShmDict::Entry* ShmDict::list_for_push(const Spot& spot, std::uint64_t now, Reply& reply) {
  Shard& shard = *spot.shard;
  Entry* entry = find(spot);
  if (entry != nullptr && expired(*entry, now)) {
    Window window(*this, shard, *spot.bucket);
    if (entry->type == Type::list) {
      entry->expires = 0;
      clear_list(shard, *entry);
    } else if (expired(*entry, now)) {  // not renewed just now
      remove(shard, *entry);
      entry = nullptr;
    }
  }
  if (entry != nullptr) {
    if (entry->type != Type::list) {
      touch(shard, *entry);
      refuse(reply, "value not a list");
      return nullptr;
    }
    touch(shard, *entry);
    return entry;
  }
  // As large as nginx's node with a list head behind it, so that as many fit.
  const std::size_t head =
      entry_slack_ == 0 ? 0
                        : (entry_bytes(spot.key.size(), 16) + 7) / 8 * 8 - entry_bytes(spot.key.size(), 0);
  entry = make_entry(spot, head, now, false, reply);
  if (entry == nullptr) {
    refuse(reply, "no memory", Type::boolean);
    return nullptr;
  }
  entry->expires = 0;
  entry->type = Type::list;
  entry->value_size = 0;
  entry->first = entry->last = 0;
  return insert(spot, entry);
}

Outcome ShmDict::push(End end, std::string_view key, const Value& value, std::uint64_t now, Reply& reply) {
  const Spot where = spot(key);
  Shard& shard = *where.shard;
  Held held(*this, shard);
  drop_oldest(shard, now, false);
  Entry* list = list_for_push(where, now, reply);
  if (list == nullptr) return Outcome::failed;

  const bool is_number = value.type == Type::number;
  const std::size_t size = is_number ? sizeof(double) : value.bytes.size();
  auto* element = static_cast<Element*>(shard.heap.allocate(pool_, Element::kHeader + element_slack_ + size));
  if (element == nullptr) {
    if (list->value_size == 0) remove(shard, *list);
    return refuse(reply, "no memory");
  }
  element->size = static_cast<std::uint32_t>(size);
  element->type = value.type;
  if (is_number) {
    std::memcpy(element->value(), &value.number, sizeof(double));
  } else if (size != 0) {
    std::memcpy(element->value(), value.bytes.data(), size);
  }
  const Ref ref = ref_of(element);
  if (end == End::left) {
    element->prev = 0;
    element->next = list->first;
    (list->first != 0 ? at<Element>(list->first)->prev : list->last) = ref;
    list->first = ref;
  } else {
    element->next = 0;
    element->prev = list->last;
    (list->last != 0 ? at<Element>(list->last)->next : list->first) = ref;
    list->last = ref;
  }
  reply.size = ++list->value_size;
  return Outcome::ok;
}

Outcome ShmDict::pop(End end, std::string_view key, std::uint64_t now, char* buffer, std::size_t room,
                     Reply& reply) {
  const Spot where = spot(key);
  Shard& shard = *where.shard;
  reply.type = static_cast<int>(Type::nil);
  Held held(*this, shard);
  drop_oldest(shard, now, false);
  Entry* list = find(where);
  if (list == nullptr || expired(*list, now)) return Outcome::ok;
  touch(shard, *list);
  if (list->type != Type::list) return refuse(reply, "value not a list");

  const Ref ref = end == End::left ? list->first : list->last;
  auto* element = at<Element>(ref);
  if (element->type == Type::number) {
    std::memcpy(&reply.number, element->value(), sizeof(double));
  } else {
    reply.size = element->size;
    if (element->size > room) return Outcome::more_room;
    std::memcpy(buffer, element->value(), element->size);
  }
  reply.type = static_cast<int>(element->type);
  (element->prev != 0 ? at<Element>(element->prev)->next : list->first) = element->next;
  (element->next != 0 ? at<Element>(element->next)->prev : list->last) = element->prev;
  shard.heap.release(pool_, element);
  if (--list->value_size == 0) remove(shard, *list);
  return Outcome::ok;
}

Outcome ShmDict::length(std::string_view key, std::uint64_t now, Reply& reply) {
  const Spot where = spot(key);
  Shard& shard = *where.shard;
  reply.size = 0;
  Held held(*this, shard);
  drop_oldest(shard, now, false);
  Entry* list = find(where);
  if (list == nullptr || expired(*list, now)) return Outcome::ok;
  touch(shard, *list);
  if (list->type != Type::list) return refuse(reply, "value not a list");
  reply.size = list->value_size;
  return Outcome::ok;
}

}  // namespace mp::lua
