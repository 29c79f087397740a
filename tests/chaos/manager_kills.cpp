#include "manager_kills.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "culmen/test_ca.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "victim.hpp"

namespace chaos {

namespace {

namespace fs = std::filesystem;
using namespace culmen;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds patience(60);  // for what a busy machine does in one or two
constexpr int kills_in_one_folder = 40;

/// A CA, a state folder, and what happened to them so far.
class Ground {
 public:
  Ground(KillResult& result, std::string mode, bool verbose, bool with_faults)
      : result_(result),
        mode_(std::move(mode)),
        verbose_(verbose),
        with_faults_(with_faults),
        port_(cli_test::free_port()),
        ca_(options(port_)),
        root_((ca_.start(), files_.write("root.pem", ca_.root_pem()))),
        inspector_(result, ca_, root_, folder()) {}

  std::vector<std::string> words(unsigned seed) const {
    return {CULMEN_MANAGER_WORKER,
            folder().string(),
            ca_.directory_url(),
            root_,
            std::to_string(port_),
            std::to_string(seed),
            mode_};
  }
  fs::path folder() const { return files_ / "state"; }
  void set_faults(bool on) {
    TestCaFaults faults = on ? TestCaFaults::everything(1) : TestCaFaults();
    faults.slow_delay = milliseconds(300);
    faults.busy_retry_after = "1";
    ca_.set_faults(faults);
  }
  bool with_faults() const noexcept { return with_faults_; }

  /// After a kill, before anything else runs on the folder.
  void check_after_kill(Victim& victim, const std::string& where) {
    last_lines_ = victim.lines();
    inspector_.now_at(where, verbose_ ? last_lines_ : std::vector<std::string>());
    ++result_.kills;
    ++kills_since_;
    count_lines();
    check(false);
  }
  /// After a run that came to an end.
  void check_settled(Victim& victim) {
    last_lines_ = victim.lines();
    inspector_.now_at(inspector_.where(), verbose_ ? last_lines_ : std::vector<std::string>());
    ++result_.settled;
    check(true);
    const int extra = static_cast<int>(ca_.sizes().orders - ca_.issued().size());
    const int more = extra - extra_orders_;
    // Without faults of the CA, nothing but the kill may cost an order.
    if (more > kills_since_ * orders_at_once && !with_faults_)
      fault("after " + std::to_string(kills_since_) + " kills there are " + std::to_string(more) + " orders too many");
    if (kills_since_ == 1) result_.most_extra = std::max(result_.most_extra, more);
    extra_orders_ = extra;
    kills_since_ = 0;
  }
  void fault(const std::string& what) { inspector_.fault(what); }
  /// The sums of this ground.
  void add_up() {
    result_.orders += static_cast<int>(ca_.sizes().orders);
    result_.certificates += static_cast<int>(ca_.issued().size());
    result_.accounts += static_cast<int>(ca_.sizes().accounts);
    result_.extra_orders += static_cast<int>(ca_.sizes().orders - ca_.issued().size());
  }

 private:
  static constexpr int orders_at_once = 2;  // ManagerOptions::width of the worker

  static TestCaOptions options(std::uint16_t port) {
    TestCaOptions options;
    options.certificate_lifetime = seconds(40);  // pauses after failures are short, too
    options.http_port = port;
    options.resolve["*"] = "127.0.0.1";
    return options;
  }

  void count_lines() {
    for (const std::string& line : last_lines_) {
      result_.rollovers += line == "rolled" ? 1 : 0;
      if (!line.starts_with("failed ")) continue;
      ++result_.failed_attempts;
      if (!with_faults_) std::cerr << inspector_.where() << ": " << line << std::endl;
    }
  }
  void check(bool settled) {
    set_faults(false);
    std::vector<std::string> ids = {"plain.example"};
    if (mode_ == "loop") ids.insert(ids.end(), {"reused.example", "two.example", "two.example@ec"});
    inspector_.check(settled, ids);
    set_faults(with_faults_);
  }

  KillResult& result_;
  const std::string mode_;
  const bool verbose_, with_faults_;
  const std::uint16_t port_;
  const test::TemporaryFolder files_;
  TestCa ca_;
  const std::string root_;
  Inspector inspector_;
  std::vector<std::string> last_lines_;
  int kills_since_ = 0;
  int extra_orders_ = 0;
};

class Killer {
 public:
  explicit Killer(const KillOptions& options) : options_(options), random_(options.seed) {}

  KillResult run() {
    while (result_.kills < options_.kills && goes_on()) at_random();
    try {
      if (options_.every_step > 0) at_each_step();
    } catch (const Untraceable& error) {
      std::cerr << error.what() << std::endl;
    }
    return std::move(result_);
  }

 private:
  bool goes_on() const {
    const bool late = options_.limit > seconds(0) && std::chrono::steady_clock::now() - begin_ > options_.limit;
    return !late && result_.faults.size() < most_faults;
  }
  milliseconds pause_up_to(milliseconds longest) {
    return milliseconds(random_() % (static_cast<unsigned>(longest.count()) + 1));
  }
  unsigned seed() { return static_cast<unsigned>(random_() >> 1); }

  /// Some kills on a new folder: the first ones hit the account and the first issuance.
  void at_random() {
    Ground ground(result_, "loop", options_.verbose, grounds_++ % 2 == 1);
    const int end = std::min(result_.kills + kills_in_one_folder, options_.kills);
    while (result_.kills < end && goes_on()) {
      const std::string where =
          "kill " + std::to_string(result_.kills + 1) + " of seed " + std::to_string(options_.seed);
      const bool is_first = result_.kills + kills_in_one_folder == end;
      ground.set_faults(ground.with_faults() && !is_first);
      Victim victim(ground.words(seed()), Victim::How::untraced);
      if (random_() % 3 == 0) {
        std::this_thread::sleep_for(pause_up_to(typical_run_));
        victim.kill();
        ++result_.in_recovery;
        ground.check_after_kill(victim, where + ", in recovery");
        continue;
      }
      if (!settle(ground, victim)) continue;
      victim.write_line("go");
      std::this_thread::sleep_for(pause_up_to(milliseconds(600)));
      victim.kill();
      ground.check_after_kill(victim, where);
    }
    Victim last(ground.words(seed()), Victim::How::untraced);
    settle(ground, last);
    ground.add_up();
  }

  /// Lets it renew everything, and looks at what is there then.
  bool settle(Ground& ground, Victim& victim) {
    const auto begin = std::chrono::steady_clock::now();
    if (!victim.wait_for_line("settled", patience)) {
      victim.kill();
      ground.check_after_kill(victim, "a run that was not killed");
      ground.fault("it did not renew everything within " + std::to_string(patience.count()) + " s");
      return false;
    }
    const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
    typical_run_ = (typical_run_ * 3 + std::min<milliseconds>(took, seconds(5))) / 4;
    ground.check_settled(victim);
    return true;
  }

  void at_each_step() {
    for (const bool first : {true, false}) {
      std::unique_ptr<Ground> ground;
      for (int step = 1 + static_cast<int>(options_.seed) % options_.every_step; goes_on();
           step += options_.every_step) {
        const bool is_new = first || !ground;
        if (is_new) ground = std::make_unique<Ground>(result_, "once", options_.verbose, false);
        if (!first && is_new) {
          Victim victim(ground->words(seed()), Victim::How::untraced);
          if (!victim.end(patience) || !victim.ended_well()) throw std::runtime_error("the worker does not work");
        }
        Victim victim(ground->words(seed()), Victim::How::traced);
        bool running = true;
        for (int i = 0; i < step && running; ++i) running = victim.step(patience);
        const std::string where = (first ? "first issuance, step " : "renewal, step ") + std::to_string(step);
        if (running) {
          victim.kill();
          ++result_.steps;
          ground->check_after_kill(victim, where + ", " + victim.stopped_at());
        }
        Victim next(ground->words(seed()), Victim::How::untraced);
        if (!next.end(patience) || !next.ended_well()) ground->fault("the next run does not end well");
        ground->check_settled(next);
        if (first) ground->add_up();
        if (!running) break;
      }
      if (!first && ground) ground->add_up();
    }
  }

  const KillOptions options_;
  std::mt19937 random_;
  KillResult result_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int grounds_ = 0;
  milliseconds typical_run_{1000};
};

}  // namespace

KillResult kill_managers(const KillOptions& options) { return Killer(options).run(); }

std::ostream& operator<<(std::ostream& out, const KillResult& result) {
  const auto row = [&](const char* what, int number) { out << std::left << std::setw(40) << what << number << '\n'; };
  row("kills", result.kills);
  row("  in recovery from the one before", result.in_recovery);
  row("  at a system call", result.steps);
  row("runs looked at after success", result.settled);
  row("orders", result.orders);
  row("certificates", result.certificates);
  row("accounts", result.accounts);
  row("key changes", result.rollovers);
  row("failed attempts", result.failed_attempts);
  row("orders more than certificates", result.extra_orders);
  row("  most after a single kill", result.most_extra);
  row("lost keys", result.lost_keys);
  row("half states", result.half_states);
  row("litter", result.litter);
  row("faults in all", static_cast<int>(result.faults.size()));
  return out;
}

}  // namespace chaos
