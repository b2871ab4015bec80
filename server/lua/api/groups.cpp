#include "lua/api.hpp"

namespace mp::lua {

extern const Group kArgGroup;
extern const Group kConfigGroup;
extern const Group kConstantsGroup;
extern const Group kControlGroup;
extern const Group kCtxGroup;
extern const Group kLogGroup;
extern const Group kOutputGroup;
extern const Group kReqBodyGroup;
extern const Group kReqGroup;
extern const Group kRespHeaderGroup;
extern const Group kSemaphoreGroup;
extern const Group kShdictGroup;
extern const Group kSubrequestGroup;
extern const Group kTextGroup;
extern const Group kThreadGroup;
extern const Group kTimeGroup;
extern const Group kVarGroup;
extern const Group kWorkerGroup;
extern const Group kRegexGroup;
extern const Group kTcpGroup;
extern const Group kTimerGroup;
extern const Group kUdpGroup;
extern const Group kSslGroup;
extern const Group kOcspGroup;

// One line each, so that additions do not meet.
std::span<const Group* const> groups() {
  static constexpr const Group* kGroups[] = {
      &kArgGroup,         //
      &kConfigGroup,      //
      &kConstantsGroup,   //
      &kControlGroup,     //
      &kCtxGroup,         //
      &kLogGroup,         //
      &kOutputGroup,      //
      &kReqBodyGroup,     //
      &kReqGroup,         //
      &kRespHeaderGroup,  //
      &kShdictGroup,      //
      &kSubrequestGroup,  //
      &kTextGroup,        //
      &kThreadGroup,      //
      &kTimeGroup,        //
      &kVarGroup,         //
      &kWorkerGroup,      //
      &kSemaphoreGroup,   //
      &kRegexGroup,       //
      &kTcpGroup,         //
      &kTimerGroup,       //
      &kUdpGroup,         //
      &kSslGroup,         //
      &kOcspGroup,        //
  };
  return kGroups;
}

}  // namespace mp::lua
