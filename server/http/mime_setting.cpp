#include "http/mime_setting.hpp"

#include <string>

namespace mp::http {

Status parse_mime_types(conf::Context& ctx, const conf::Node& node, MimeSetting& setting,
                        std::string_view always) {
  if (setting == nullptr) {
    setting = std::make_shared<MimeSet>();
    setting->add(always);
  }
  for (const conf::Arg& arg : node.args) {
    if (!setting->add(arg.text)) ctx.warn(arg, "duplicate MIME type \"" + std::string(arg.text) + "\"");
  }
  return {};
}

void inherit_mime_types(MimeSetting& setting, const MimeSetting& parent,
                        std::span<const std::string_view> defaults) {
  if (setting == nullptr) setting = parent;
  if (setting != nullptr) return;
  setting = std::make_shared<MimeSet>();
  for (std::string_view type : defaults) setting->add(type);
}

}  // namespace mp::http
