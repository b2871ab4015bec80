// Content handlers that make their response out of nothing: stub_status and empty_gif.
#pragma once

#include "conf/module.hpp"

namespace mp::phases {

extern const conf::Module kStubStatusModule;
extern const conf::Module kEmptyGifModule;

}  // namespace mp::phases
