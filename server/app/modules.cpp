#include "app/modules.hpp"

#include <vector>

#include <unistd.h>

#include "app/service.hpp"

namespace mp::app {
namespace {

// What a worker runs when no module of the list serves anything: it holds its sockets until it is told to
// stop.
class NothingToServe final : public Service {
 public:
  Status start(const WorkerSetup& setup) override {
    for (const net::ListenSocket& s : setup.sockets) sockets_.push_back(s.fd);
    return {};
  }
  void begin_shutdown() override {
    for (const int fd : sockets_) ::close(fd);
    sockets_.clear();
  }
  bool drained() const override { return true; }
  void abort() override {}
  void finish() override {}

 private:
  std::vector<int> sockets_;
};

}  // namespace

std::span<const conf::Module* const> modules() {
  static constexpr const conf::Module* kModules[] = {
      &kProcessModule,
  };
  return kModules;
}

std::unique_ptr<Service> make_service() {
  return std::make_unique<NothingToServe>();
}

}  // namespace mp::app
