#include "chaos.hpp"

#include <signal.h>

#include <algorithm>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "engine.hpp"
#include "support/culmen_program.hpp"
#include "support/run_flow.hpp"

namespace chaos {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A line of a worker's output.
struct Line {
  std::string what;
  std::uint64_t token = 0;
  int number = 0;
};

class WorkerProcess {
 public:
  WorkerProcess(const ChaosOptions& options, std::string name, unsigned seed)
      : name_(std::move(name)),
        process_({CULMEN_CHAOS_WORKER, options.engine, name_, std::to_string(seed)},
                 {"CULMEN_CHAOS_PLACE=" + options.place}) {}

  const std::string& name() const noexcept { return name_; }
  bool running() { return process_.running(); }
  void signal(int number) const { process_.signal(number); }
  void kill() {
    process_.signal(SIGKILL);
    process_.wait();
  }
  std::string errors() const { return process_.err(); }

  std::vector<Line> lines() const {
    std::vector<Line> found;
    std::istringstream text(process_.out());
    for (std::string one; std::getline(text, one);) {
      if (text.eof()) break;  // not a whole line yet
      Line line;
      std::istringstream words(one);
      words >> line.what >> line.token >> line.number;
      found.push_back(std::move(line));
    }
    return found;
  }
  /// The token of the lease that it holds, when it has not tried to write since; 0: none.
  std::uint64_t held() const {
    const std::vector<Line> all = lines();
    return !all.empty() && all.back().what == "holding" ? all.back().token : 0;
  }

 private:
  std::string name_;
  cli_test::Process process_;
};

class Chaos {
 public:
  explicit Chaos(const ChaosOptions& options) : options_(options), random_(options.seed) {
    for (int i = 0; i < options_.workers; ++i) start_worker();
  }

  ChaosResult run() {
    const auto end = Clock::now() + options_.duration;
    for (int event = 0; event < options_.events || Clock::now() < end; ++event) {
      std::this_thread::sleep_for(milliseconds(number_below(800)));
      switch (event % 4) {
        case 0: stop_owner(); break;
        case 1: kill(&owner()); break;
        case 2: stop(random_worker(), milliseconds(2200 + number_below(1300))); break;
        case 3: kill(&random_worker()); break;
      }
      check_running();
    }
    for (const auto& worker : running_) {
      worker->kill();
      ended_.push_back(worker);
    }
    judge();
    return result_;
  }

 private:
  using Shared = std::shared_ptr<WorkerProcess>;

  unsigned number_below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  WorkerProcess& random_worker() { return *running_[number_below(static_cast<unsigned>(running_.size()))]; }

  void start_worker() {
    const std::string name = "w" + std::to_string(++last_name_);
    running_.push_back(std::make_shared<WorkerProcess>(options_, name, options_.seed * 1000 + last_name_));
  }
  void fault(const std::string& what) { result_.faults.push_back(what); }

  /// The process that holds the lease, between its acquisition and its first write.
  WorkerProcess& owner() {
    WorkerProcess* found = nullptr;
    const bool some = cli_test::eventually([&] {
      for (const Shared& worker : running_) {
        if (worker->held() != 0) found = worker.get();
      }
      return found != nullptr;
    });
    if (!some) throw std::runtime_error("no process gets the lease; the first one says: " + running_[0]->errors());
    return *found;
  }
  /// A new one takes its place.
  void kill(const WorkerProcess* victim) {
    const auto place = std::ranges::find_if(running_, [&](const Shared& worker) { return worker.get() == victim; });
    (*place)->kill();
    ended_.push_back(*place);
    running_.erase(place);
    ++result_.kills;
    start_worker();
  }
  void stop(const WorkerProcess& victim, milliseconds duration) {
    victim.signal(SIGSTOP);
    ++result_.stops;
    std::this_thread::sleep_for(duration);
    victim.signal(SIGCONT);
  }
  /// Stops the owner before it writes, until somebody else has the lease. Then its write has to be refused.
  void stop_owner() {
    WorkerProcess& victim = owner();
    victim.signal(SIGSTOP);
    std::this_thread::sleep_for(milliseconds(50));  // until it has stopped
    ++result_.stops;
    const std::uint64_t token = victim.held();  // 0: it was quicker
    if (token != 0) {
      const bool taken_over = cli_test::eventually([&] { return largest_token() > token; });
      if (!taken_over) fault("nobody took over the lease of a process that was stopped");
    }
    victim.signal(SIGCONT);
    if (token == 0) return;
    std::string outcome;
    const bool answered = cli_test::eventually([&] {
      for (const Line& line : victim.lines()) {
        if (line.token == token && line.number != 0 && line.what != "try" && outcome.empty()) outcome = line.what;
      }
      return !outcome.empty();
    });
    ++result_.late_writes;
    if (!answered) fault(victim.name() + " did not go on after it was stopped");
    if (answered && outcome != "fenced") {
      fault(victim.name() + ": a write with the old token " + std::to_string(token) + " was not fenced: " + outcome);
    }
  }
  std::uint64_t largest_token() const {
    std::uint64_t largest = 0;
    for (const Shared& worker : running_) {
      for (const Line& line : worker->lines()) largest = std::max(largest, line.token);
    }
    return largest;
  }
  void check_running() {
    for (const Shared& worker : running_) {
      if (!worker->running()) throw std::runtime_error(worker->name() + " ended by itself: " + worker->errors());
    }
  }

  void judge() {
    using Try = std::pair<std::string, int>;
    std::set<Try> accepted, refused, unanswered, made;
    std::map<std::uint64_t, std::string> owners;
    for (const Shared& worker : ended_) {
      for (const Line& line : worker->lines()) {
        const Try one(worker->name(), line.number);
        if (line.what == "holding" && !owners.emplace(line.token, worker->name()).second) {
          fault("two processes have the token " + std::to_string(line.token));
        }
        if (line.what == "try") unanswered.insert(one);
        if (line.what == "accepted" || line.what == "fenced" || line.what == "conflict") {
          unanswered.erase(one);
          (line.what == "accepted" ? accepted : refused).insert(one);
        }
      }
    }

    const auto loaded = culmen::test::run_flow(load_one(*open_engine(options_.engine, options_.place), counter_key));
    if (!loaded) throw loaded.error();
    std::istringstream text(*loaded ? (*loaded)->value : "0\n");
    text >> result_.counter;
    std::uint64_t token = 0, last_token = 0;
    std::string name;
    for (int number = 0; text >> token >> name >> number;) {
      const Try one(name, number);
      const std::string shown = name + "'s write " + std::to_string(number);
      if (!made.insert(one).second) fault(shown + " was made twice");
      if (token < last_token) fault(shown + " was made with an older token than the one before");
      last_token = token;
      if (refused.contains(one)) fault(shown + " was made, and reported as refused");
      if (!accepted.contains(one) && !unanswered.contains(one)) fault(shown + " was never tried");
      if (owners.contains(token) && owners[token] != name) fault(shown + " has the token of another process");
      if (unanswered.contains(one)) ++result_.unanswered_made;
    }
    for (const Try& one : accepted) {
      if (!made.contains(one)) fault(one.first + "'s write " + std::to_string(one.second) + " is lost");
    }
    result_.accepted = static_cast<int>(accepted.size());
    result_.refused = static_cast<int>(refused.size());
    result_.unanswered = static_cast<int>(unanswered.size());
    result_.tokens = static_cast<int>(owners.size());
    if (result_.counter != result_.accepted + result_.unanswered_made) {
      fault("the counter is " + std::to_string(result_.counter) + ", and " +
            std::to_string(result_.accepted + result_.unanswered_made) + " writes were made");
    }
  }

  const ChaosOptions options_;
  std::mt19937 random_;
  unsigned last_name_ = 0;
  std::vector<Shared> running_, ended_;
  ChaosResult result_;
};

}  // namespace

ChaosResult run_chaos(const ChaosOptions& options) {
  if (!open_engine(options.engine, options.place)) {
    throw std::invalid_argument("this build has no engine \"" + options.engine + "\"");
  }
  return Chaos(options).run();
}

std::ostream& operator<<(std::ostream& out, const ChaosResult& result) {
  out << result.kills << " kills, " << result.stops << " stops, " << result.tokens << " leases; counter "
      << result.counter << " = " << result.accepted << " accepted + " << result.unanswered_made << " of "
      << result.unanswered << " unanswered; " << result.refused << " refused, of them " << result.late_writes
      << " by an owner that was stopped; " << result.faults.size() << " faults";
  for (const std::string& fault : result.faults) out << "\n  " << fault;
  return out;
}

}  // namespace chaos
