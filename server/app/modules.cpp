#include "app/modules.hpp"

#include "app/http_service.hpp"
#include "filters/addition.hpp"
#include "filters/charset.hpp"
#include "filters/echo_body.hpp"
#include "filters/gunzip.hpp"
#include "filters/gzip.hpp"
#include "filters/headers.hpp"
#include "filters/more_headers.hpp"
#include "filters/slice.hpp"
#include "filters/srcache.hpp"
#include "filters/ssi/ssi.hpp"
#include "filters/sub.hpp"
#include "filters/userid.hpp"
#include "http/core_module.hpp"
#include "http/edge_module.hpp"
#include "http/file_io.hpp"
#include "http/ssl_conf.hpp"
#include "http/value_modules.hpp"
#include "lua/lua.hpp"
#include "lua/shdict/module.hpp"
#include "lua/ssl/conf.hpp"
#include "phases/01_post_read/realip_module.hpp"
#include "phases/04_rewrite/more_input_headers.hpp"
#include "phases/04_rewrite/rewrite_module.hpp"
#include "phases/04_rewrite/set_misc.hpp"
#include "phases/06_preaccess/limit_modules.hpp"
#include "phases/07_access/access_modules.hpp"
#include "phases/09_precontent/precontent_modules.hpp"
#include "phases/10_content/dav_module.hpp"
#include "phases/10_content/echo.hpp"
#include "phases/10_content/folder_modules.hpp"
#include "phases/10_content/small_modules.hpp"
#include "phases/10_content/static_module.hpp"
#include "phases/11_log/access_log.hpp"
#include "phases/phases.hpp"
#include "proto/h2/module.hpp"
#include "upstream/cgi_modules.hpp"
#include "upstream/early_hints.hpp"
#include "upstream/grpc.hpp"
#include "upstream/memcached/memcached.hpp"
#include "upstream/proxy.hpp"
#include "upstream/redis/redis2.hpp"
#include "upstream/resolver_conf.hpp"
#include "upstream/upstream.hpp"

namespace mp::app {
std::span<const conf::Module* const> modules() {
  static constexpr const conf::Module* kModules[] = {
      &kProcessModule,
      &http::kCoreModule,
      &http::kEdgeModule,
      &http::kFileIoModule,
      &http::kSslModule,
      &proto::kH2Module,
      &http::kMapModule,
      &http::kGeoModule,
      &http::kSplitClientsModule,
      &http::kRefererModule,
      &http::kSecureLinkModule,
      &http::kBrowserModule,
      &phases::kRealipModule,
      &upstream::kResolverModule,
      &upstream::kUpstreamModule,
      &upstream::kEarlyHintsModule,
      &upstream::kProxyModule,
      &upstream::kMemcachedModule,
      &upstream::kMemcModule,
      &upstream::kRedis2Module,
      &upstream::kFastcgiModule,
      &upstream::kScgiModule,
      &upstream::kUwsgiModule,
      &upstream::kGrpcModule,
      &upstream::kTunnelModule,
      &phases::kRewriteModule,
      &phases::kSetMiscModule,
      &phases::kMoreInputHeadersModule,
      &phases::kLimitConnModule,
      &phases::kLimitReqModule,
      &phases::kAddressModule,
      &phases::kAuthBasicModule,
      &phases::kAuthRequestModule,
      &phases::kTryFilesModule,
      &phases::kMirrorModule,
      &phases::kDavModule,
      &phases::kRandomIndexModule,
      &phases::kIndexModule,
      &phases::kAutoindexModule,
      &phases::kStubStatusModule,
      &phases::kEmptyGifModule,
      &phases::kFlvModule,
      &phases::kMp4Module,
      &phases::kEchoModule,
      &phases::kGzipStaticModule,
      &phases::kStaticModule,
      &phases::kLogModule,
      &filters::kMoreHeadersModule,
      &filters::kSrcacheModule,
      &filters::kEchoBodyModule,
      &filters::kHeadersModule,
      &filters::kUseridModule,
      &filters::kSliceModule,
      &filters::kGunzipModule,
      &filters::kSubModule,
      &filters::kCharsetModule,
      &filters::kSsiModule,
      &filters::kAdditionModule,
      &filters::kGzipModule,
      &lua::kShdictModule,
      &lua::kLuaModule,
      &lua::kLuaRuntimeModule,
      &lua::kLuaSslModule,
      &phases::kPlanModule,
  };
  return kModules;
}

std::unique_ptr<Service> make_service() {
  return std::make_unique<HttpService>();
}

}  // namespace mp::app
