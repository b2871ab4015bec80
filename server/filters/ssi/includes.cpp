#include "filters/ssi/includes.hpp"

#include <utility>

#include <unistd.h>

#include "http/include_point.hpp"
#include "http/subrequest.hpp"

namespace mp::filters::ssi {

using http::Output;
using http::Piece;
using http::Request;

namespace {
constexpr std::size_t kMostKept = 128 * 1024;  // of one included body, before its turn
}

// One subrequest.
class Includes::Job final : public http::Sink {
 public:
  Job(Includes& owner, std::string_view uri, std::string_view args, const std::string* stub)
      : owner_(owner), uri_(uri), args_(args), stub_(stub) {}

  void run() {
    struct Ended {
      Job& job;
      ~Ended() {
        job.done = true;
        job.owner_.changed_.notify_all();
      }
    };
    {
      const Ended ended{*this};
      http::SubrequestOptions options;
      options.args = args_;
      options.share_variables = true;
      http::run_subrequest(owner_.r_, uri_, options, *this);
      if (stub_ != nullptr && !written_) kept.append(*stub_);
    }
    owner_.advance();
  }

  bool send_head(Request& sub, bool) override {
    // The stub stands in for error pages.
    drop_ = stub_ != nullptr && sub.error_status >= 300;
    return true;
  }

  bool send_body(Request&, const Output& output) override {
    if (owner_.failed_) return false;
    if (drop_ || output.size() == 0) return true;
    written_ = true;
    for (const Piece& piece : output.pieces) {
      if (!take(piece)) return false;
    }
    return !output.flush || owner_.advance();
  }

  std::string kept;
  bool done = false;

 private:
  bool my_turn() const {
    return !owner_.emitting_ && !owner_.items_.empty() && owner_.items_.front().job.get() == this;
  }

  bool take(const Piece& piece) {
    if (my_turn() && kept.empty()) return write_through(piece);
    if (!piece.in_file() && kept.size() + piece.size() <= kMostKept) {
      kept.append(piece.bytes);
      return true;
    }
    while (!my_turn()) {
      if (owner_.failed_) return false;
      owner_.changed_.wait();
    }
    return owner_.advance() && take(piece);
  }

  bool write_through(const Piece& piece) {
    owner_.emitting_ = true;
    const bool ok = http::write_included(owner_.r_, Output{{&piece, 1}, false, false});
    owner_.emitting_ = false;
    if (!ok) owner_.failed_ = true;
    owner_.changed_.notify_all();
    return ok;
  }

  Includes& owner_;
  std::string uri_, args_;
  const std::string* stub_;
  bool written_ = false;
  bool drop_ = false;
};

Includes::Includes(Request& page, std::function<bool(std::string_view)> text)
    : r_(page), text_(std::move(text)) {}
Includes::~Includes() = default;

void Includes::add_text(std::string_view text) {
  if (text.empty()) return;
  if (items_.empty() || items_.back().job != nullptr || (emitting_ && items_.size() == 1)) {
    items_.emplace_back();
  }
  items_.back().text.append(text);
}

void Includes::add(std::string_view uri, std::string_view args, const std::string* stub) {
  items_.emplace_back().job = std::make_unique<Job>(*this, uri, args, stub);
  Job* job = items_.back().job.get();
  if (running_ == nullptr) running_ = std::make_unique<fiber::Group>();
  advance();
  running_->spawn([job] { job->run(); });
}

bool Includes::emit(const Item& item) {
  if (item.job == nullptr) return text_(item.text);
  const std::string bytes = std::exchange(item.job->kept, {});
  const Piece piece = Piece::memory(bytes);
  return bytes.empty() || http::write_included(r_, Output{{&piece, 1}, false, false});
}

bool Includes::advance() {
  if (emitting_ || failed_) return !failed_;
  emitting_ = true;
  struct Done {
    Includes& owner;
    ~Done() {
      owner.emitting_ = false;
      owner.changed_.notify_all();
    }
  } done{*this};
  while (!items_.empty()) {
    Item& item = items_.front();
    const bool complete = item.job == nullptr || item.job->done;
    if (!emit(item)) {
      failed_ = true;
      return false;
    }
    if (item.job != nullptr && !item.job->kept.empty()) continue;
    if (!complete && !item.job->done) break;
    items_.pop_front();
  }
  return true;
}

bool Includes::finish() {
  for (;;) {
    if (!advance()) return false;
    if (items_.empty() && !emitting_) return true;
    changed_.wait();
  }
}

void Includes::stop() {
  failed_ = true;
  changed_.notify_all();
  running_.reset();
}

}  // namespace mp::filters::ssi
