// HttpService: the http {} part of a configuration, served by one worker.
#pragma once

#include <memory>

#include "app/service.hpp"
#include "proto/worker.hpp"

namespace mp::app {

class HttpService final : public Service {
 public:
  Status start(const WorkerSetup& setup) override;
  void begin_shutdown() override;
  bool drained() const override;
  void abort() override;
  void finish() override;

 private:
  std::unique_ptr<proto::Worker> worker_;
  conf::Configuration* configuration_ = nullptr;
  fiber::Scheduler* scheduler_ = nullptr;
  log::Logger logger_;
};

}  // namespace mp::app
