#include "culmen/http01_solver.hpp"

#include <utility>

#include <boost/asio/this_coro.hpp>

#include "base/name.hpp"
#include "listen/http_responder.hpp"

namespace culmen {

Http01Solver::Http01Solver(std::uint16_t port, std::string address)
    : wanted_port_(port), address_(std::move(address)), responder_(std::make_shared<listen::HttpResponder>()) {}

Http01Solver::~Http01Solver() { stop(); }

boost::asio::awaitable<void> Http01Solver::start() {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  responder_->start(executor, wanted_port_, address_);
}

void Http01Solver::start_thread() { responder_->start_thread(wanted_port_, address_); }
std::uint16_t Http01Solver::port() const noexcept { return responder_->port(); }
void Http01Solver::stop() noexcept { responder_->stop(); }

boost::asio::awaitable<void> Http01Solver::present(std::string token, std::string key_authorization) {
  add(token, key_authorization);
  co_return;
}

boost::asio::awaitable<void> Http01Solver::cleanup(std::string token) {
  remove(token);
  co_return;
}

void Http01Solver::add(std::string_view token, std::string_view key_authorization) {
  if (!base::is_token(token)) {
    throw Error(Errc::invalid_argument, "presenting http-01",
                "\"" + printable(token) + "\" is not a token: those are made of A-Z a-z 0-9 - _");
  }
  responder_->answers().add(token, key_authorization);
}

void Http01Solver::remove(std::string_view token) { responder_->answers().remove(token); }

bool Http01Solver::can_solve(const Identifier&, bool wildcard) const {
  return !wildcard;  // no CA takes http-01 for a wildcard: a file at one name proves nothing about the others
}

Flow<Result<void>> Http01Solver::present(ChallengeContext context) {
  if (port() == 0) {
    co_return Error(Errc::solver_failed, "presenting http-01",
                    "the solver does not listen: call start() or start_thread() first");
  }
  co_return result_of([&] { add(context.token, context.key_authorization); });
}

Flow<Result<void>> Http01Solver::cleanup(ChallengeContext context) {
  remove(context.token);
  co_return Result<void>();
}

}  // namespace culmen
