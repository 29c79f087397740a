#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include "culmen/asio/manager.hpp"
#include "drivers/asio_driver.hpp"
#include "drivers/clock.hpp"
#include "faces/manager_state.hpp"

namespace asio = boost::asio;

namespace culmen {

asio::awaitable<void> run(Manager manager) {
  ManagerAccess::State& state = ManagerAccess::state(manager);
  const faces::ManagerRuns runs(state, ManagerAccess::State::Motor::asio);
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const ClientOptions& client = state.core->options().client;
  drivers::AsioDriver driver(executor, client.transport, client.log);
  Execution<Result<void>> execution(state.core->run(), &drivers::instant_now);
  co_await driver.drive(execution);
  execution.result().value();
}

}  // namespace culmen
