// culmen in an event loop of your own: here a bare epoll loop on one thread, which never blocks.
//
// PollDriver has one descriptor. When it is readable, process() does what can be done without waiting, and calls back
// with the results of the flows (engine.hpp) that have ended. Ctrl-C cancels: the loop goes on until what was presented
// is cleaned up.
//
//   05_own_event_loop DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "culmen/engine.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/poll_driver.hpp"

using namespace culmen;

namespace {

/// The caller's event loop: descriptors, and what to do when they are readable.
class Loop {
 public:
  Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Loop() { ::close(epoll_); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void watch(int descriptor, std::function<void()> readable) {
    handlers_.push_back(std::move(readable));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = handlers_.size() - 1;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) throw std::runtime_error("epoll_ctl failed");
  }
  void run_while(const std::function<bool()>& wanted) {
    while (wanted()) {
      epoll_event event{};
      if (::epoll_wait(epoll_, &event, 1, -1) == 1) handlers_[event.data.u64]();
    }
  }

 private:
  int epoll_;
  std::vector<std::function<void()>> handlers_;
};

/// Connects, makes an account and issues a certificate, one call back after another.
class Issuance {
 public:
  Issuance(PollDriver& driver, ChallengeSolver& solver, std::string name)
      : driver_(driver), solver_(solver), name_(std::move(name)) {}

  void start(const std::string& directory_url) {
    driver_.start<engine::Session>(engine::connect(directory_url), [this](const Result<engine::Session>& connected) {
      session_ = connected.value();
      AccountOptions agreed;
      agreed.agree_tos = true;
      driver_.start<Account>(engine::new_account(session_, AccountKey::generate(), agreed),
                             [this](const Result<Account>& account) { order(account.value()); });
    });
  }

 private:
  void order(const Account& account) {
    const IssueRequest request(std::vector<std::string>(1, name_));
    driver_.start<IssuedCertificate>(
        engine::issue(session_, account, request, {&solver_}),
        [](const Result<IssuedCertificate>& issued) { std::cout << issued.value().chain_pem; });
  }

  PollDriver& driver_;
  ChallengeSolver& solver_;
  std::string name_;
  engine::Session session_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 05_own_event_loop DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  sigset_t interrupts;
  ::sigemptyset(&interrupts);
  ::sigaddset(&interrupts, SIGINT);
  ::sigaddset(&interrupts, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &interrupts, nullptr);
  const int signals = ::signalfd(-1, &interrupts, SFD_CLOEXEC | SFD_NONBLOCK);

  Http01Solver solver(static_cast<std::uint16_t>(std::atoi(argv[3])));
  solver.start_thread();
  TransportOptions transport;
  transport.extra_root_file = argv[4];
  transport.user_agent = "own-event-loop/1.0";
  PollDriver driver(transport);
  Issuance issuance(driver, solver, argv[2]);
  issuance.start(argv[1]);

  Loop loop;
  loop.watch(driver.fd(), [&driver] { driver.process(); });
  loop.watch(signals, [&driver, signals] {
    signalfd_siginfo info;
    (void)::read(signals, &info, sizeof info);
    driver.cancel_all();
  });
  loop.run_while([&driver] { return !driver.idle(); });
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
