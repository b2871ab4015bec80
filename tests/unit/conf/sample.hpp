// A small set of modules to load configurations with in tests, and one-line ways to do so. Everything lives
// as long as the test's Loaded object.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/configuration.hpp"
#include "conf/setters.hpp"

namespace mp::conf::sample {

enum class Satisfy { all, any };

struct ProcessConf {
  static constexpr Level kLevel = Level::process;
  Setting<bool> daemon{true};
  Setting<std::int64_t> workers{1};
  bool finished = false;
  Status finish(Context& ctx);
};

struct MainConf {
  static constexpr Level kLevel = Level::main;
  Setting<StringList> formats;
  std::vector<std::string> steps;  // what was called, in its order
  Status finish(Context& ctx);
};

struct ServerConf {
  static constexpr Level kLevel = Level::server;
  Setting<std::string_view> name;
  Setting<Size> header_buffer;
  Status merge(Context& ctx, const ServerConf& parent);
};

struct LocationConf {
  static constexpr Level kLevel = Level::location;
  Setting<bool> flag;
  Setting<std::string_view> text;
  Setting<std::int64_t> number;
  Setting<int> level;
  Setting<Size> size;
  Setting<Offset> offset;
  Setting<Msec> msec;
  Setting<Sec> sec;
  Setting<Bufs> bufs;
  Setting<Access> access;
  Setting<Path> path;
  Setting<ConfPath> conf_path;
  Setting<LevelledPath> levels;
  Setting<StringList> list;
  Setting<KeyValueList> pairs;
  Setting<Satisfy> satisfy;
  Setting<unsigned> bits;
  std::string_view lua;
  std::vector<std::string> rows;
  std::string_view where;  // the location's own name
  Status merge(Context& ctx, const LocationConf& parent);
  Status finish(Context& ctx);
};

struct UpstreamConf {
  static constexpr Level kLevel = Level::upstream;
  Setting<std::string_view> server;
};

struct OtherConf {  // of a second module
  static constexpr Level kLevel = Level::location;
  Setting<std::string_view> text;
  Status merge(Context& ctx, const OtherConf& parent);  // looks at another type: no two blocks are alike
  bool shared() const { return false; }
};

struct QuietConf {  // set in few blocks
  static constexpr Level kLevel = Level::location;
  Setting<std::string_view> text;
  int merged = 0;
  int finished = 0;
  Status merge(Context& ctx, const QuietConf& parent);
  Status finish(Context& ctx);
};

struct PlainConf {  // not inherited
  static constexpr Level kLevel = Level::location;
  Setting<std::string_view> text;
};

std::span<const Module* const> modules();
const Module& quiet_module();  // that of QuietConf and PlainConf
const Registry& registry();

// A configuration loaded from `text` as /etc/sample/main.conf, with the prefix /srv/sample/.
struct Loaded {
  explicit Loaded(std::string text, std::string directives = {});
  Configuration configuration;
  Status status;

  std::string error() const { return status ? std::string() : status.error().text; }
  // The last diagnostic with its excerpt.
  std::string full() const { return describe(configuration.diagnostics().back(), configuration.sources()); }
  LocationConf& location(std::string_view name) const;
};

}  // namespace mp::conf::sample
