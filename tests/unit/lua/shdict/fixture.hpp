// A dictionary in a zone of its own, with short ways to use it. The time is whatever `now` says.
#pragma once

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "base/shm/zone.hpp"
#include "lua/shdict/set.hpp"

namespace mp::lua::test {

struct DictFixture {
  explicit DictFixture(std::size_t size, std::string_view name = "dogs") {
    REQUIRE(set.add(zones, name, size));
    REQUIRE(zones.attach(nullptr));
    dict = set.at(0);
  }

  ShmDict::Outcome store(int mode, std::string_view key, const ShmDict::Value& value, std::uint64_t ttl = 0,
                         int flags = 0) {
    reply = {};
    return dict->store(mode, key, value, now, ttl, flags, reply);
  }
  bool set_text(std::string_view key, std::string_view text, std::uint64_t ttl = 0) {
    return store(ShmDict::kSet, key, {ShmDict::Type::string, 0, text}, ttl) == ShmDict::Outcome::ok;
  }
  bool set_number(std::string_view key, double number, std::uint64_t ttl = 0) {
    return store(ShmDict::kSet, key, {ShmDict::Type::number, number, {}}, ttl) == ShmDict::Outcome::ok;
  }
  void erase(std::string_view key) { store(ShmDict::kSet, key, {}); }

  // "nil", "true", "12", "'text'", or the error.
  std::string get(std::string_view key, bool stale_too = false) {
    reply = {};
    std::string buffer(64, '\0');
    auto outcome = dict->get(key, now, stale_too, buffer.data(), buffer.size(), reply);
    while (outcome == ShmDict::Outcome::more_room) {
      buffer.resize(reply.size);
      outcome = dict->get(key, now, stale_too, buffer.data(), buffer.size(), reply);
    }
    return show(outcome, buffer);
  }
  std::string pop(ShmDict::End end, std::string_view key) {
    reply = {};
    std::string buffer(4096, '\0');
    const auto outcome = dict->pop(end, key, now, buffer.data(), buffer.size(), reply);
    return show(outcome, buffer);
  }
  std::string push(ShmDict::End end, std::string_view key, std::string_view text) {
    reply = {};
    const auto outcome = dict->push(end, key, {ShmDict::Type::string, 0, text}, now, reply);
    return outcome == ShmDict::Outcome::ok ? std::to_string(reply.size) : std::string(reply.error);
  }
  std::string length(std::string_view key) {
    reply = {};
    const auto outcome = dict->length(key, now, reply);
    return outcome == ShmDict::Outcome::ok ? std::to_string(reply.size) : std::string(reply.error);
  }
  std::string incr(std::string_view key, double by) {
    reply = {};
    const auto outcome = dict->increment(key, by, nullptr, 0, now, reply);
    return outcome == ShmDict::Outcome::ok ? number() : std::string(reply.error);
  }
  std::string incr(std::string_view key, double by, double initial, std::uint64_t ttl = 0) {
    reply = {};
    const auto outcome = dict->increment(key, by, &initial, ttl, now, reply);
    return outcome == ShmDict::Outcome::ok ? number() : std::string(reply.error);
  }
  // The short ways for numbers: "no" when it takes the others.
  bool put(std::string_view key, double number) { return dict->put_number(key, number); }
  std::string add(std::string_view key, double by) {
    reply = {};
    static std::uint64_t time;
    time = now;
    return dict->add_number(key, by, [] { return time; }, reply.number) ? number() : "no";
  }
  std::string number() const {
    std::string text = std::to_string(reply.number);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }
  std::size_t key_count(std::size_t limit = 0) {
    std::string packed;
    return dict->keys(now, limit, packed);
  }

  ZoneTable zones;
  ShdictSet set;
  ShmDict* dict = nullptr;
  ShmDict::Reply reply{};
  std::uint64_t now = 1'000'000;

 private:
  std::string show(ShmDict::Outcome outcome, const std::string& buffer) const {
    if (outcome == ShmDict::Outcome::failed) return reply.error;
    switch (static_cast<ShmDict::Type>(reply.type)) {
      case ShmDict::Type::string:
        return "'" + buffer.substr(0, reply.size) + "'";
      case ShmDict::Type::number:
        return number();
      case ShmDict::Type::boolean:
        return reply.number != 0 ? "true" : "false";
      default:
        return "nil";
    }
  }
};

}  // namespace mp::lua::test
