// LuaSsl: the lua_ssl_ directives: how scripts' sockets speak TLS.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "conf/context.hpp"
#include "conf/module.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "tls/context.hpp"

namespace mp {
class OpenFile;
}

namespace mp::lua {

struct LuaSsl {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<std::uint32_t> protocols;  // TLSv1 TLSv1.1 TLSv1.2 TLSv1.3
  conf::Setting<std::string_view> ciphers;
  conf::Setting<conf::StringList> certificates;
  conf::Setting<conf::StringList> keys;
  conf::Setting<std::int64_t> verify_depth;  // 1
  conf::Setting<conf::ConfPath> trusted_certificate;
  conf::Setting<conf::ConfPath> crl;
  conf::Setting<conf::Path> key_log;
  conf::Setting<conf::KeyValueList> conf_commands;
  conf::Setting<bool> skip_default_verify;  // lua_upstream_skip_openssl_default_verify

  // Made when the configuration is read if anything was set, else on first use. Null: that failed, and
  // OpenSSL's queue tells why.
  SSL_CTX* context() const;

  Status merge(conf::Context& ctx, const LuaSsl& parent);

 private:
  struct Shared {
    std::optional<tls::Context> context;
    OpenFile* key_log = nullptr;
  };
  bool differs() const;
  Status make_context(conf::Context& ctx);
  std::shared_ptr<Shared> shared_;
};

extern const conf::Module kLuaSslModule;

}  // namespace mp::lua
