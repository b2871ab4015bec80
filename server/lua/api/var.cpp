// ngx.var: variables by name, or regex captures by number.
#include "base/same_text.hpp"
#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/variables.hpp"
#include "lua/api.hpp"
#include "lua/sched/detached.hpp"

namespace mp::lua {
namespace {

constexpr int kNoRequestObject = -102;  // "no request object found", the wording of ngx.var
constexpr int kSame = 1;

int check(Request*& r) {
  r = request();
  if (r == nullptr) return kNoRequestObject;
  return is_detached(*r) ? kBadContext : kOk;
}

std::string_view lower_name(Request& r, std::string_view name) {
  return lower(r.arena, r.arena.copy(name));
}

int found(const http::Value& value, Str* out) {
  if (!value.found) return kDeclined;
  *out = str(value.text);
  return kOk;
}

}  // namespace

extern const Group kVarGroup = {"var", {}};

}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

// The index of a variable that the configuration knows, to be asked for with mp_var_get_index(); kDeclined
// for names that must be asked for by name.
int mp_var_index(const char* name, std::size_t size) {
  Request* r;
  if (const int rc = check(r); rc != kOk) return rc;
  const auto* variable = r->conf<mp::http::CoreMain>().variables.find(lower_name(*r, view(name, size)));
  return variable != nullptr ? static_cast<int>(variable->index) : kDeclined;
}

// kSame: its text is `before`, which the caller had the last time. Else as mp_var_get().
int mp_var_get_index(int index, const char* before, std::size_t size, Str* out) {
  Request* r;
  if (const int rc = check(r); rc != kOk) return rc;
  const auto& variable = r->conf<mp::http::CoreMain>().variables.at(static_cast<std::uint32_t>(index));
  // What is never kept needs no place among the values of the request.
  const mp::http::Value value = !variable.cacheable && variable.get != nullptr ? variable.get(*r, variable)
                                                                               : r->fresh_variable(variable);
  return value.found && mp::same_text(value.text, view(before, size)) ? kSame : found(value, out);
}

int mp_var_get(const char* name, std::size_t size, Str* out) {
  Request* r;
  if (const int rc = check(r); rc != kOk) return rc;
  return found(r->variable(lower_name(*r, view(name, size))), out);
}

int mp_var_capture(int number, Str* out) {
  Request* r;
  if (const int rc = check(r); rc != kOk) return rc;
  const auto group = static_cast<std::size_t>(number);
  if (number <= 0 || 2 * group + 1 >= r->captures.offsets.size()) return kDeclined;
  *out = str(r->captures.at(static_cast<std::uint32_t>(group)));
  return kOk;
}

// Sets it to `value`, or to nothing when that is null. kDeclined: there is none of this name; kError: it is
// not changeable.
int mp_var_set(const char* name, std::size_t size, const char* value, std::size_t value_size) {
  Request* r;
  if (const int rc = check(r); rc != kOk) return rc;
  const auto& variables = r->conf<mp::http::CoreMain>().variables;
  const std::string_view lower = lower_name(*r, view(name, size));
  const auto* variable = variables.find(lower);
  if (variable == nullptr) return kDeclined;
  if (!variable->changeable) {
    // One of a family ($arg_...) that the configuration happens to use is as unknown as the others.
    const auto* family = variables.find_prefix(lower);
    return family != nullptr && family->get == variable->get ? kDeclined : kError;
  }
  if (value == nullptr && variable->set == nullptr) {
    r->set_value(*variable, mp::http::Value::none());
    return kOk;
  }
  const std::string_view text = r->arena.copy(view(value, value_size));
  if (variable->set != nullptr) {
    variable->set(*r, *variable, text);
  } else {
    r->set_value(*variable, mp::http::Value::of(text));
  }
  return kOk;
}
}
