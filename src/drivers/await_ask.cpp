#include "drivers/await_ask.hpp"

#include <atomic>
#include <exception>
#include <memory>
#include <utility>

namespace culmen::drivers {

namespace {

constexpr const char* doing = "waiting for what the caller started";

class Once {
 public:
  explicit Once(std::function<void(Result<void>)> report) : report_(std::move(report)) {}
  ~Once() { tell(Error(Errc::solver_failed, doing, "it was dropped and never reported")); }
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

  void tell(Result<void> result) {
    if (!told_.exchange(true)) report_(std::move(result));
  }

 private:
  std::function<void(Result<void>)> report_;
  std::atomic<bool> told_ = false;
};

}  // namespace

void start_await(const AwaitAsk& ask, std::function<void(Result<void>)> report) {
  const auto once = std::make_shared<Once>(std::move(report));
  try {
    ask.start([once](Result<void> result) { once->tell(std::move(result)); });
  } catch (const Error& error) {
    once->tell(error);
  } catch (const std::exception& error) {
    once->tell(Error(Errc::solver_failed, doing, error.what()));
  } catch (...) {
    once->tell(Error(Errc::solver_failed, doing, "an exception that is not a std::exception"));
  }
}

}  // namespace culmen::drivers
