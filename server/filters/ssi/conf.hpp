// The settings of server side includes.
#pragma once

#include <string>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/mime_setting.hpp"

namespace mp::filters {

struct SsiConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> enabled;
  conf::Setting<bool> silent_errors;
  conf::Setting<bool> ignore_recycled_buffers;
  conf::Setting<bool> last_modified;
  conf::Setting<conf::Size> min_file_chunk;
  conf::Setting<conf::Size> value_length;  // 256
  conf::Setting<conf::Size> in_memory;     // subrequest_output_buffer_size: 4k
  http::MimeSetting types;

  Status merge(conf::Context& ctx, const SsiConf& parent);
};

// How dates are shown in the page of a request.
struct SsiTimeFormat {
  std::string text{"%A, %d-%b-%Y %H:%M:%S %Z"};
};

}  // namespace mp::filters
