// Modules that only define variables: map, geo, split_clients, valid_referers, secure_link, browser.
#pragma once

#include "conf/module.hpp"

namespace mp::http {

extern const conf::Module kMapModule;
extern const conf::Module kGeoModule;
extern const conf::Module kSplitClientsModule;
extern const conf::Module kRefererModule;     // $invalid_referer
extern const conf::Module kSecureLinkModule;  // $secure_link
extern const conf::Module kBrowserModule;     // $modern_browser, $ancient_browser, $msie

}  // namespace mp::http
