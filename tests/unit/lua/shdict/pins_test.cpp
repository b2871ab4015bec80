// What holds between a process that writes a number under its pin and one that has the latch, at exactly the
// moments that matter: children are stopped in their system calls by a seccomp filter, and at the latch by
// a page that may not be touched. See server/lua/shdict/dict_numbers.cpp.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "fixture.hpp"
#include "lua/shdict/dict_impl.hpp"
#include "lua/shdict/layout.hpp"

using namespace mp;
using namespace mp::lua;
using mp::lua::test::DictFixture;
using shdict::Bucket;
using shdict::Entry;
using shdict::Pin;
using Outcome = ShmDict::Outcome;
using Type = ShmDict::Type;

namespace {

constexpr std::size_t kPage = 4096;

// What lies in the zone of a dictionary with several shards.
struct Inside {
  explicit Inside(const DictFixture& d)
      : zone(*d.zones.find("dogs")),
        control(*static_cast<shdict::Control*>(zone.index())),
        shards(reinterpret_cast<shdict::Shard*>(&control + 1)),
        pins(reinterpret_cast<Pin*>(shards + d.dict->shards())),
        buckets(reinterpret_cast<Bucket*>(pins + shdict::pins_of(d.dict->shards()))),
        bucket_count((zone.index_bytes() -
                      static_cast<std::size_t>(reinterpret_cast<std::byte*>(buckets) - zone.base())) /
                     sizeof(Bucket)) {}

  // The bucket of the only key, counted from 1.
  std::uint32_t number() const {
    std::uint32_t n = 1;
    while (buckets[n - 1].head.load() == 0) ++n;
    return n;
  }
  Bucket& bucket() const { return buckets[number() - 1]; }
  Entry& entry() const {
    return *reinterpret_cast<Entry*>(zone.base() + std::size_t{bucket().head.load()} * 8);
  }
  // The entry of the only key with its value of 8 bytes, but for what changes under nothing.
  std::string bytes() const {
    std::string copy(reinterpret_cast<const char*>(&entry()),
                     static_cast<std::size_t>(entry().value() + 8 - reinterpret_cast<char*>(&entry())));
    copy[offsetof(Entry, used)] = 0;
    return copy;
  }
  std::uint32_t mode(int pin = 0) const { return pins[pin].state.load() & Pin::kModes; }

  const Zone& zone;
  shdict::Control& control;
  shdict::Shard* shards;
  Pin* pins;
  Bucket* buckets;
  std::size_t bucket_count;
};

// Uses this process's pin until it is bare; false when it never is.
bool bare(DictFixture& d, const Inside& in) {
  for (int i = 0; i < 100'000 && in.mode() != Pin::kBare; ++i) d.add("n", 0);
  return in.mode() == Pin::kBare;
}

// Those calls of this process go to this function from now on, which answers for the kernel.
std::function<long(long call)> kernel;

void trapped(int, siginfo_t* info, void* context) {
  const long answer = kernel(info->si_syscall);
#if defined(__x86_64__)
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = answer;
#else
  static_cast<ucontext_t*>(context)->uc_mcontext.regs[0] = static_cast<unsigned long long>(answer);
#endif
}

constexpr std::array kWaits = {SYS_membarrier, SYS_sched_yield, SYS_nanosleep, SYS_clock_nanosleep,
                               SYS_futex};

bool trap_waits(std::function<long(long)> answer) {
  kernel = std::move(answer);
  struct sigaction action{};
  action.sa_sigaction = trapped;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  std::array<sock_filter, kWaits.size() + 3> filter{};
  filter[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (unsigned char i = 0; i < kWaits.size(); ++i) {
    const auto to_trap = static_cast<unsigned char>(kWaits.size() - i);
    filter[i + 1u] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(kWaits[i]), to_trap, 0);
  }
  filter[kWaits.size() + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[kWaits.size() + 2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  const sock_fprog program{filter.size(), filter.data()};
  return sigaction(SIGSYS, &action, nullptr) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// How a child ended that did this; one that hangs is killed by SIGALRM.
template <class Body>
int status_of(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(5);
    _exit(body() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

using Operation = std::function<bool(DictFixture&)>;
struct Change {
  const char* what;
  Operation run;
};
// All that changes what somebody relies on who counts in the bucket.
const Change kChanges[] = {
    {"delete",
     [](DictFixture& d) {
       d.erase("n");
       return d.get("n") == "nil";
     }},
    {"another time", [](DictFixture& d) { return d.set_number("n", 5, 1000) && d.get("n") == "5"; }},
    {"another type",
     [](DictFixture& d) { return d.set_text("n", "12345678") && d.get("n") == "'12345678'"; }},
    {"another size", [](DictFixture& d) { return d.set_text("n", std::string(90, 'x')); }},
    {"expire", [](DictFixture& d) { return d.dict->expire("n", d.now, 1000); }},
    {"flush",
     [](DictFixture& d) {
       d.dict->flush_all(d.now);
       return d.get("n") == "nil";
     }},
};

}  // namespace

TEST_CASE("shdict: whoever latches a bucket waits for a pin that a barrier brought to light",
          "[lua][shdict][pins]") {
  const long answer = GENERATE(0, -EPERM);  // the kernel's to the second process
  const Change& change = kChanges[GENERATE(range(std::size_t{0}, std::size(kChanges)))];
  CAPTURE(change.what, answer);
  DictFixture d(8 << 20);
  d.set_number("n", 1);
  const Inside in(d);
  REQUIRE(bare(d, in));
  const std::string before = in.bytes();
  CHECK(status_of([&] {
          const std::uint32_t number = in.number();
          std::string events;
          const bool able = trap_waits([&](long call) -> long {
            const bool sound = (in.buckets[number - 1].latch.load() & 1) != 0 && in.bytes() == before;
            if (call == SYS_membarrier) {
              // Now the owner's store is seen, which it made before it looked at the latch.
              events += sound && in.mode() == Pin::kRevoking ? 'b' : '?';
              in.pins[0].bucket.store(number);
              return answer;
            }
            events += call == SYS_sched_yield && sound ? 'y' : '?';  // it must not sleep
            in.pins[0].bucket.store(0);
            return 0;
          });
          return able && change.run(d) && events == "by";
        }) == 0);
  CHECK(in.mode() == Pin::kFenced);
  CHECK(bare(d, in) == (answer == 0));  // never again where the kernel refuses
}

TEST_CASE("shdict: an ordinary pin is waited for without a barrier", "[lua][shdict][pins]") {
  const Change& change = kChanges[GENERATE(range(std::size_t{0}, std::size(kChanges)))];
  CAPTURE(change.what);
  DictFixture d(8 << 20);
  d.set_number("n", 1);
  REQUIRE(d.put("n", 1));
  const Inside in(d);
  REQUIRE(in.mode() == Pin::kFenced);
  const std::string before = in.bytes();
  CHECK(status_of([&] {
          const std::uint32_t number = in.number();
          in.pins[0].bucket.store(number);
          std::string events;
          const bool able = trap_waits([&](long call) -> long {
            events += call == SYS_sched_yield && in.bytes() == before ? 'y' : '?';
            in.pins[0].bucket.store(0);
            return 0;
          });
          return able && change.run(d) && events == "y";
        }) == 0);
}

TEST_CASE("shdict: where the kernel refuses barriers from the start, no pin goes without its own",
          "[lua][shdict][pins]") {
  CHECK(status_of([] {
          std::string calls;
          if (!trap_waits([&](long call) -> long {
                if (call == SYS_membarrier) calls += 'b';
                return -ENOSYS;
              })) {
            return false;
          }
          DictFixture d(8 << 20);
          d.set_number("n", 1);
          const Inside in(d);
          const std::string asked = calls;
          return d.put("n", 2) && !bare(d, in) && d.add("n", 1) == "3" && !asked.empty() && calls == asked;
        }) == 0);
}

TEST_CASE("shdict: under somebody's latch no number is written", "[lua][shdict][pins]") {
  const std::string key = GENERATE(as<std::string>{}, "n", "longer than what is remembered");
  DictFixture d(8 << 20);
  d.set_number(key, 1);
  REQUIRE(d.put(key, 2));
  const Inside in(d);
  auto& latch = in.bucket().latch;
  const std::uint64_t open = latch.load();
  latch.store(std::uint64_t{process_id()} << 32 | (open + 1));
  CHECK_FALSE(d.put(key, 3));
  CHECK(d.add(key, 1) == "no");
  CHECK(in.pins[0].bucket.load() == 0);
  latch.store(open);
  CHECK(d.get(key) == "2");
  CHECK(d.put(key, 4));
  latch.store(open + 2);  // somebody was there: it is found again
  CHECK(d.add(key, 1) == "5");
}

TEST_CASE("shdict: the latch is looked at when the pin is set", "[lua][shdict][pins]") {
  static DictFixture* dict;
  static const Inside* inside;
  static std::byte* page;
  static std::uint32_t number;
  static bool pinned;
  const bool without_barrier = GENERATE(false, true);
  DictFixture d(8 << 20);
  const Inside in(d);
  dict = &d;
  inside = &in;
  CHECK(status_of([&] {
          // A key whose bucket shares no page with what else is used here.
          std::string key;
          for (int i = 0;; ++i) {
            key = "n" + std::to_string(i);
            d.set_number(key, 1);
            number = in.number();
            auto* place = reinterpret_cast<std::byte*>(&in.bucket());
            page = in.zone.base() + static_cast<std::size_t>(place - in.zone.base()) / kPage * kPage;
            if (page > reinterpret_cast<std::byte*>(in.buckets)) break;
            d.erase(key);
          }
          d.put(key, 2);
          for (int i = 0; i < 100'000 && without_barrier && in.mode() != Pin::kBare; ++i) d.put(key, 2);
          if (without_barrier != (in.mode() == Pin::kBare)) return false;
          struct sigaction action{};
          action.sa_handler = [](int) {
            mprotect(page, kPage, PROT_READ | PROT_WRITE);
            pinned = inside->pins[0].bucket.load() == number;
            auto& latch = inside->buckets[number - 1].latch;
            latch.store(std::uint64_t{process_id()} << 32 | (latch.load() + 1));
          };
          sigaction(SIGSEGV, &action, nullptr);
          mprotect(page, kPage, PROT_NONE);
          return !dict->put(key, 3) && pinned && in.entry().type == Type::number &&
                 std::memcmp(in.entry().value(), "\0\0\0\0\0\0\0\100", 8) == 0;  // 2.0
        }) == 0);
}

TEST_CASE("shdict: who dies with a latch, or counting, holds nobody up", "[lua][shdict][pins]") {
  const Change& died_in = kChanges[GENERATE(range(std::size_t{0}, std::size(kChanges)))];
  // The master's children stay as zombies until it asks for them, and it may need the lock before.
  const bool is_zombie = GENERATE(false, true);
  CAPTURE(died_in.what, is_zombie);
  DictFixture d(8 << 20);
  d.set_number("n", 1);
  const Inside in(d);
  REQUIRE(bare(d, in));
  const std::uint32_t number = in.number();
  const auto die = [&] {
    d.add("n", 1);  // has a pin of its own
    trap_waits([&](long) -> long {
      in.pins[1].bucket.store(number);
      return kill(getpid(), SIGKILL);
    });
    return died_in.run(d);
  };
  const auto live = [&] {
    d.get("n");
    if (!d.set_number("n", 7, 1000) || d.get("n") != "7") return false;
    d.erase("n");
    return d.get("n") == "nil" && d.set_number("n", 8) && d.put("n", 9) && d.dict->resets() == 1;
  };
  CHECK(status_of([&] {
          const pid_t child = fork();
          if (child == 0) _exit(die());
          siginfo_t info{};
          waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | (is_zombie ? WNOWAIT : 0));
          return info.si_code == CLD_KILLED && live();
        }) == 0);
  CHECK(in.pins[1].owner.load() != 0);
  CHECK(d.get("n") == "9");
}

TEST_CASE("shdict: what a dead writer left half written is not read, whoever found it",
          "[lua][shdict][pins]") {
  DictFixture d(8 << 20);
  d.set_text("n", "12345678");
  const Inside in(d);
  // The first dies under lock and latch; the second takes the latch over and dies when it waits for the lock.
  CHECK(status_of([&] {
          shdict::Shard& shard = in.shards[(in.number() - 1) / (in.bucket_count / d.dict->shards())];
          shard.lock.lock();
          shard.lock.begin_change();
          in.bucket().latch.store(std::uint64_t{process_id()} << 32 | (in.bucket().latch.load() + 1));
          std::memcpy(in.entry().value(), "ABCD", 4);
          return kill(getpid(), SIGKILL) == 0;
        }) == SIGKILL);
  CHECK(status_of([&] {
          trap_waits([](long) -> long { return kill(getpid(), SIGKILL); });
          return d.set_text("n", "87654321");
        }) == SIGKILL);
  CHECK((in.bucket().latch.load() & 1) == 0);
  CHECK(d.get("n") == "nil");
  CHECK(d.dict->resets() == 1);
}

TEST_CASE("shdict: a process needs one pin, however often the dictionary is taken over",
          "[lua][shdict][pins]") {
  DictFixture d(8 << 20);
  d.set_number("n", 0);
  ZoneTable tables[2];
  const ZoneTable* previous = &d.zones;
  for (int i = 0; i < 150; ++i) {
    ZoneTable& table = tables[i % 2] = ZoneTable();
    ShdictSet set;
    REQUIRE(set.add(table, "dogs", 8 << 20));
    REQUIRE(table.attach(previous));
    double sum = 0;
    CHECK(set.at(0)->add_number("n", 1, [] { return std::uint64_t{1}; }, sum));
    previous = &table;
  }
  CHECK(d.add("n", 1) == "151");
  CHECK(Inside(d).control.pins.load() == 1);
}
