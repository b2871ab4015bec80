#include "app/modules.hpp"

#include "app/http_service.hpp"
#include "filters/gzip.hpp"
#include "filters/headers.hpp"
#include "http/core_module.hpp"
#include "http/value_modules.hpp"
#include "lua/lua.hpp"
#include "lua/shdict/module.hpp"
#include "phases/04_rewrite/rewrite_module.hpp"
#include "phases/10_content/static_module.hpp"
#include "phases/11_log/access_log.hpp"

namespace mp::app {
std::span<const conf::Module* const> modules() {
  static constexpr const conf::Module* kModules[] = {
      &kProcessModule,
      &http::kCoreModule,
      &http::kMapModule,
      &http::kGeoModule,
      &http::kSplitClientsModule,
      &phases::kRewriteModule,
      &phases::kIndexModule,
      &phases::kStaticModule,
      &phases::kLogModule,
      &filters::kHeadersModule,
      &filters::kGzipModule,
      &lua::kShdictModule,
      &lua::kLuaModule,
      &lua::kLuaRuntimeModule,
  };
  return kModules;
}

std::unique_ptr<Service> make_service() {
  return std::make_unique<HttpService>();
}

}  // namespace mp::app
