// Directives that list the media types something applies to: `sub_filter_types` and the like.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "conf/context.hpp"
#include "http/mime.hpp"

namespace mp::http {

using MimeSetting = std::shared_ptr<MimeSet>;

// Adds the arguments to the set of this block. `always` (text/html) is in every set.
Status parse_mime_types(conf::Context& ctx, const conf::Node& node, MimeSetting& setting,
                        std::string_view always = "text/html");

// Takes the parent's set when none was given here, and `defaults` when that has none either.
void inherit_mime_types(MimeSetting& setting, const MimeSetting& parent,
                        std::span<const std::string_view> defaults);

inline constexpr std::string_view kHtmlOnly[] = {"text/html"};

}  // namespace mp::http
