// Content handlers that make their response out of nothing: stub_status and empty_gif; and those that make it
// out of parts of a video.
#pragma once

#include "conf/module.hpp"

namespace mp::phases {

extern const conf::Module kStubStatusModule;
extern const conf::Module kEmptyGifModule;
extern const conf::Module kFlvModule;
extern const conf::Module kMp4Module;

}  // namespace mp::phases
