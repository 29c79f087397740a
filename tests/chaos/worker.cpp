// Counts under a lease until it is killed: what chaos.cpp runs several of.
//
//   chaos_worker ENGINE NAME SEED        CULMEN_CHAOS_PLACE in the environment says where the storage is
//
// The stored value is the counter and a line for each write: "TOKEN NAME NUMBER". Each line of output is written by one
// system call, and says what was done, or is about to be done:
//   holding TOKEN, lost TOKEN, try TOKEN NUMBER, accepted|fenced|conflict|unknown TOKEN NUMBER
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "engine.hpp"
#include "support/run_flow.hpp"

using namespace culmen;
using culmen::test::run_flow;

namespace {

void say(const std::string& what) {
  const std::string line = what + "\n";
  static_cast<void>(!::write(STDOUT_FILENO, line.data(), line.size()));
}

class Worker {
 public:
  Worker(std::shared_ptr<Storage> storage, std::string name, unsigned seed)
      : storage_(std::move(storage)), name_(std::move(name)), random_(seed) {}

  void work() {
    const Result<std::optional<Lease>> lease = run_flow(storage_->acquire(chaos::lease_name, name_, chaos::lease_ttl));
    if (!lease) std::cerr << lease.error().what() << std::endl;
    if (!lease || !*lease) return pause(10, 40);
    const std::string token = std::to_string((*lease)->token);
    say("holding " + token);
    while (count(**lease) && !chance(8)) {
      const std::vector<Lease> leases(1, **lease);
      const auto renewed = run_flow(storage_->renew(leases, chaos::lease_ttl));
      if (!renewed) std::cerr << renewed.error().what() << std::endl;
      // It writes all the same: only the fence may stop it.
      if (renewed && !renewed->front()) say("lost " + token);
    }
    if (chance(4)) return;  // lets it run out
    const Result<void> released = run_flow(storage_->release(**lease));
    if (!released) std::cerr << released.error().what() << std::endl;
    pause(0, 20);
  }

 private:
  /// Whether the write was accepted.
  bool count(const Lease& lease) {
    const auto loaded = run_flow(load_one(*storage_, chaos::counter_key));
    if (!loaded) {
      std::cerr << loaded.error().what() << std::endl;
      return false;
    }
    if (chance(2)) pause(0, 60);
    const std::string old = *loaded ? (*loaded)->value : "0\n";
    const std::size_t end = old.find('\n') + 1;
    const std::string what = std::to_string(lease.token) + " " + std::to_string(++number_);
    Write write(chaos::counter_key, std::to_string(std::stoi(old) + 1) + "\n" + old.substr(end) +
                                        std::to_string(lease.token) + " " + name_ + " " + std::to_string(number_) +
                                        "\n");
    write.expected = *loaded ? (*loaded)->revision : Revision();
    write.fence = lease;
    say("try " + what);
    const Result<Revision> written = run_flow(write_one(*storage_, std::move(write)));
    if (!written) std::cerr << written.error().what() << std::endl;
    const Errc code = written ? Errc() : written.error().code();
    say((written                  ? "accepted "
         : code == Errc::fenced   ? "fenced "
         : code == Errc::conflict ? "conflict "
                                  : "unknown ") +
        what);
    return written.has_value();
  }

  unsigned number_below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  bool chance(unsigned one_in) { return number_below(one_in) == 0; }
  void pause(unsigned least, unsigned most) {
    std::this_thread::sleep_for(std::chrono::milliseconds(least + number_below(most - least)));
  }

  const std::shared_ptr<Storage> storage_;
  const std::string name_;
  std::mt19937 random_;
  unsigned number_ = 0;
};

}  // namespace

int main(int, char** argv) try {
  const char* const place = getenv("CULMEN_CHAOS_PLACE");
  const std::shared_ptr<Storage> storage = chaos::open_engine(argv[1], place ? place : "");
  if (!storage) {
    std::cerr << "chaos_worker: no such engine: " << argv[1] << std::endl;
    return 2;
  }
  Worker worker(storage, argv[2], static_cast<unsigned>(std::stoul(argv[3])));
  for (;;) worker.work();
} catch (const std::exception& error) {
  std::cerr << "chaos_worker: " << error.what() << std::endl;
  return 1;
}
