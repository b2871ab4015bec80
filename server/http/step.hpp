// Step: what a phase handler tells the phase engine. Phase: the eleven phases, in their order.
#pragma once

#include <cstdint>

namespace mp::http {

class Request;

enum class Phase : std::uint8_t {
  post_read,
  server_rewrite,
  find_config,
  rewrite,
  post_rewrite,
  preaccess,
  access,
  post_access,
  precontent,
  content,
  log,
};
inline constexpr int kPhases = 11;

class Step {
 public:
  enum class Kind : std::uint8_t {
    decline,  // not mine, or nothing to say: the next handler
    pass,     // this phase is satisfied: the next phase (in access: one vote in favour)
    finish,   // the request is answered: with `status`, or completely already when status is 0
    restart,  // an internal redirect was set up on the request: go on at `phase`
  };

  static constexpr Step decline() { return {Kind::decline, 0, Phase::post_read}; }
  static constexpr Step pass() { return {Kind::pass, 0, Phase::post_read}; }
  // The engine answers with this status: error_page, or the stock page, or just the head for 201, 204.
  static constexpr Step finish(int status) { return {Kind::finish, status, Phase::post_read}; }
  // The handler has sent the whole response itself.
  static constexpr Step done() { return finish(0); }
  static constexpr Step restart(Phase phase) { return {Kind::restart, 0, phase}; }

  Kind kind() const { return static_cast<Kind>(word_ & 0xff); }
  int status() const { return static_cast<std::int16_t>(word_ >> 16); }
  Phase phase() const { return static_cast<Phase>(word_ >> 8 & 0xff); }
  bool is_decline() const { return kind() == Kind::decline; }

 private:
  constexpr Step(Kind kind, int status, Phase phase)
      : word_(static_cast<std::uint32_t>(kind) | static_cast<std::uint32_t>(phase) << 8 |
              static_cast<std::uint32_t>(status) << 16) {}
  std::uint32_t word_;  // one, as compilers take structures of bytes apart and put them together again
};

using Handler = Step (*)(Request&);

// Statuses that nginx defines beside the registered ones; they reach the client as 400 or 444 as noted.
inline constexpr int kCloseConnection = 444;      // no answer, the connection is closed
inline constexpr int kHeadersTooLarge = 494;      // sent as 400
inline constexpr int kClientCertError = 495;      // sent as 400
inline constexpr int kClientCertMissing = 496;    // sent as 400
inline constexpr int kPlainHttpToHttps = 497;     // sent as 400
inline constexpr int kClientClosedRequest = 499;  // only logged

}  // namespace mp::http
