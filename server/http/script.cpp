#include "http/script.hpp"

namespace mp::http {

Step run_script(Request& r, const Script& script) {
  for (const auto& instruction : script) {
    const Step step = instruction->run(r);
    if (!step.is_decline()) return step;
  }
  return Step::decline();
}

}  // namespace mp::http
