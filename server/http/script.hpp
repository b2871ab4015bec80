// The script of a server {} or location {}: what `rewrite`, `if`, `set`, `return`, `break` and their like
// compile to. Instructions run in the order of the configuration, in the server-rewrite and rewrite phases.
// They belong to the configuration.
#pragma once

#include <memory>
#include <vector>

#include "conf/context.hpp"
#include "http/step.hpp"

namespace mp::http {

class Request;

class Instruction {
 public:
  virtual ~Instruction() = default;

  // decline: the next instruction; pass: the script ends here; others end the phase as they say. May park.
  virtual Step run(Request& request) const = 0;
};

using Script = std::vector<std::unique_ptr<Instruction>>;

// Runs a script to its end; decline when nothing in it decided anything.
Step run_script(Request& request, const Script& script);

struct ScriptConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  // Of this very block; the script of an `if` is part of its surrounding one.
  Script script;
};

// Adds an instruction to the script being read.
inline void add_instruction(conf::Context& ctx, std::unique_ptr<Instruction> instruction) {
  ctx.conf<ScriptConf>().script.push_back(std::move(instruction));
}

}  // namespace mp::http
