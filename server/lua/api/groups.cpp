#include "lua/api.hpp"

namespace mp::lua {

extern const Group kArgGroup;
extern const Group kBalancerGroup;
extern const Group kConfigGroup;
extern const Group kConstantsGroup;
extern const Group kControlGroup;
extern const Group kCtxGroup;
extern const Group kErrlogGroup;
extern const Group kGcGroup;
extern const Group kLogGroup;
extern const Group kNdkGroup;
extern const Group kOcspGroup;
extern const Group kOutputGroup;
extern const Group kPipeGroup;
extern const Group kProcessGroup;
extern const Group kRegexGroup;
extern const Group kReqBodyGroup;
extern const Group kReqGroup;
extern const Group kRespHeaderGroup;
extern const Group kSemaphoreGroup;
extern const Group kShdictGroup;
extern const Group kSslGroup;
extern const Group kSubrequestGroup;
extern const Group kTcpGroup;
extern const Group kTextGroup;
extern const Group kThreadGroup;
extern const Group kTimeGroup;
extern const Group kTimerGroup;
extern const Group kUdpGroup;
extern const Group kUpstreamGroup;
extern const Group kVarGroup;
extern const Group kWorkerGroup;
extern const Group kWorkerThreadGroup;

// One line each, so that additions do not meet.
std::span<const Group* const> groups() {
  static constexpr const Group* kGroups[] = {
      &kArgGroup,           //
      &kBalancerGroup,      //
      &kConfigGroup,        //
      &kConstantsGroup,     //
      &kControlGroup,       //
      &kCtxGroup,           //
      &kErrlogGroup,        //
      &kGcGroup,            //
      &kLogGroup,           //
      &kNdkGroup,           //
      &kOcspGroup,          //
      &kOutputGroup,        //
      &kPipeGroup,          //
      &kProcessGroup,       //
      &kRegexGroup,         //
      &kReqBodyGroup,       //
      &kReqGroup,           //
      &kRespHeaderGroup,    //
      &kSemaphoreGroup,     //
      &kShdictGroup,        //
      &kSslGroup,           //
      &kSubrequestGroup,    //
      &kTcpGroup,           //
      &kTextGroup,          //
      &kThreadGroup,        //
      &kTimeGroup,          //
      &kTimerGroup,         //
      &kUdpGroup,           //
      &kUpstreamGroup,      //
      &kVarGroup,           //
      &kWorkerGroup,        //
      &kWorkerThreadGroup,  //
  };
  return kGroups;
}

}  // namespace mp::lua
