#include "manager_soak.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "culmen/file_storage.hpp"
#include "culmen/manager.hpp"
#include "culmen/records.hpp"
#include "http01_server.hpp"
#include "support/run_flow.hpp"
#include "support/storage_around.hpp"
#include "support/temporary_folder.hpp"
#include "victim.hpp"

namespace chaos {

namespace {

namespace fs = std::filesystem;
using namespace culmen;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
using Kind = ManagerEvent::Kind;

constexpr std::size_t most_faults = 20;
constexpr seconds hang_limit(60);

int open_descriptors() {
  int count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd"))
    count += entry.path().empty() ? 0 : 1;
  return count - 1;  // the listing has one itself
}

long resident_kib() {
  std::ifstream file("/proc/self/statm");
  long size = 0, resident = 0;
  file >> size >> resident;
  return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

/// A storage that stops answering: its flows wait, or its calls block their threads.
class HangingStorage final : public test::StorageAround {
 public:
  enum class How { not_at_all, waiting, blocked };
  using StorageAround::StorageAround;

  void hang(How how) {
    const std::lock_guard lock(gate_->mutex);
    gate_->how = how;
    gate_->changed.notify_all();
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    Result<void> passed = co_await pass();
    if (!passed) co_return passed.error();
    co_return co_await inner->load(std::move(keys));
  }
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    Result<void> passed = co_await pass();
    if (!passed) co_return passed.error();
    co_return co_await inner->list(std::move(prefix), std::move(after), limit, with_values);
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    Result<void> passed = co_await pass();
    if (!passed) co_return passed.error();
    co_return co_await inner->write(std::move(writes));
  }
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, seconds ttl) override {
    Result<void> passed = co_await pass();
    if (!passed) co_return passed.error();
    co_return co_await inner->acquire(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, seconds ttl) override {
    Result<void> passed = co_await pass();
    if (!passed) co_return passed.error();
    co_return co_await inner->renew(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override {
    Result<void> passed = co_await pass();
    if (!passed) co_return passed.error();
    co_return co_await inner->release(std::move(lease));
  }

 private:
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    How how = How::not_at_all;
  };

  Flow<Result<void>> pass() {
    How how = How::not_at_all;
    {
      const std::lock_guard lock(gate_->mutex);
      how = gate_->how;
    }
    Result<void> passed;
    if (how == How::waiting) passed = co_await wait(hang_limit);
    if (how == How::blocked) {
      std::function<Result<void>()> block = [gate = gate_]() -> Result<void> {
        std::unique_lock lock(gate->mutex);
        gate->changed.wait_for(lock, hang_limit, [&] { return gate->how == How::not_at_all; });
        return {};
      };
      passed = co_await call(std::move(block));
    }
    co_return passed;
  }

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

class Soak {
 public:
  explicit Soak(const SoakOptions& options)
      : options_(options),
        lifetimes_(options.lifetimes),
        server_([this](std::string_view target) { return answer(target); }) {
    if (lifetimes_.empty())
      lifetimes_ = {seconds(60), seconds(120), seconds(300), seconds(900), seconds(1800), seconds(3600)};
    start_cas();
    const rlimit limit{options_.descriptors, options_.descriptors};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
      throw std::runtime_error("the number of descriptors cannot be limited");
    if (options_.storage == "memory") {
      storage_ = memory_storage();
    } else {
      FileStorageOptions files;
      files.make_folder = true;
      storage_ = file_storage(folder_ / "state", files);
    }
  }

  SoakResult run() {
    soak();
    if (result_.faults.empty()) {
      result_.stop_while_waiting = stop_while(HangingStorage::How::waiting, "waits");
      result_.stop_while_blocked = stop_while(HangingStorage::How::blocked, "blocks its threads");
    }
    return std::move(result_);
  }

 private:
  void start_cas() {
    std::vector<std::string> words = {CULMEN_SOAK_CAS, (folder_ / "root.pem").string(), std::to_string(server_.port()),
                                      std::to_string(options_.fault_percent)};
    for (const seconds lifetime : lifetimes_) words.push_back(std::to_string(lifetime.count()));
    cas_ = std::make_unique<Victim>(std::move(words), Victim::How::untraced);
    if (!cas_->wait_for_line("ready", seconds(60))) throw std::runtime_error("the test CAs do not start");
    directories_ = cas_->lines();
    directories_.resize(lifetimes_.size());
  }

  ManagerOptions manager_options(std::shared_ptr<Storage> storage) {
    ManagerOptions options;
    options.storage = std::move(storage);
    options.agree_tos = true;
    for (const std::string& directory : directories_) {
      CaOptions ca;
      ca.directory = directory;
      options.cas.push_back(ca);
    }
    for (std::size_t i = 0; i < options_.certificates; ++i) {
      CertificateSpec spec({"host" + std::to_string(i) + ".example"});
      spec.cas = {directories_[i % directories_.size()]};
      if (options_.renew_early) {
        spec.renew_before = lifetimes_[i % lifetimes_.size()] * 9 / 10;
        spec.use_renewal_info = false;
      }
      options.specs.push_back(std::move(spec));
    }
    options.client.transport.extra_root_file = (folder_ / "root.pem").string();
    options.client.transport.only_extra_root = true;
    options.width = 24;  // slow answers of the CAs take up most of the time
    options.client.session.poll_interval_limit = milliseconds(500);
    options.on_event = [this](const ManagerEvent& event) { hear(event); };
    options.log = [this](LogLevel level, std::string_view line) {
      if (level == LogLevel::debug) remember(std::string(line.substr(0, line.find(':'))), std::string(line));
    };
    return options;
  }

  void hear(const ManagerEvent& event) {
    remember(event.id, to_text(event));
    const std::lock_guard lock(mutex_);
    switch (event.kind) {
      case Kind::issued: ++result_.issued; break;
      case Kind::failed: ++result_.failed; break;
      case Kind::late: ++result_.late; break;
      default: break;
    }
  }

  /// The last lines about each certificate.
  void remember(const std::string& id, const std::string& line) {
    const auto now = std::chrono::duration_cast<milliseconds>(Clock::now() - begin_);
    const std::lock_guard lock(mutex_);
    std::vector<std::string>& lines = history_[id];
    lines.push_back(std::to_string(now.count()) + " ms: " + line);
    if (lines.size() > 25) lines.erase(lines.begin());
  }

  std::optional<std::string> answer(std::string_view target) {
    const std::lock_guard lock(answering_);
    if (!manager_) return std::nullopt;
    std::optional<std::string> found = manager_->http01(target);
    if (found) targets_.insert(std::string(target));
    return found;
  }
  void set_manager(const Manager* manager) {
    const std::lock_guard lock(answering_);
    manager_ = manager;
  }

  void fault(const std::string& what) {
    if (options_.log) *options_.log << what << std::endl;
    if (result_.faults.size() < most_faults) result_.faults.push_back(what);
  }

  void soak() {
    Manager manager(manager_options(storage_));
    set_manager(&manager);
    manager.start_thread();
    const Clock::time_point begin = Clock::now();
    Clock::time_point next_line = begin;
    int early_descriptors = 0, late_descriptors = 0;
    for (;;) {
      const auto elapsed = std::chrono::duration_cast<seconds>(Clock::now() - begin);
      look_for_expired(manager);
      const int descriptors = open_descriptors();
      result_.most_descriptors = std::max(result_.most_descriptors, descriptors);
      int& most = elapsed < options_.duration / 2 ? early_descriptors : late_descriptors;
      most = std::max(most, descriptors);
      if (result_.early_kib == 0 && elapsed >= options_.duration / 5) result_.early_kib = resident_kib();
      if (options_.log && Clock::now() >= next_line) {
        next_line += seconds(10);
        log_line(elapsed, descriptors);
      }
      if (elapsed >= options_.duration) break;
      std::this_thread::sleep_for(milliseconds(200));
    }
    result_.final_kib = resident_kib();
    if (options_.is_long && late_descriptors > early_descriptors + 8)
      fault("descriptors grew from " + std::to_string(early_descriptors) + " to " + std::to_string(late_descriptors));
    if (options_.is_long && result_.final_kib > result_.early_kib + result_.early_kib / 10)
      fault("memory grew from " + std::to_string(result_.early_kib) + " to " + std::to_string(result_.final_kib) +
            " KiB");
    std::size_t missing = 0;
    for (const CertificateStatus& status : manager.status()) missing += status.not_after ? 0 : 1;
    if (options_.is_long && missing > 0) fault(std::to_string(missing) + " certificates were never issued");
    result_.stop = stop(manager, "");
    check_cleaned_up(manager);
    set_manager(nullptr);
    cas_->write_line("CAs");
    for (int i = 0; i < 100 && result_.requests.empty(); ++i) {
      for (const std::string& line : cas_->lines()) {
        if (line.starts_with("CAs: ")) result_.requests = line;
      }
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

  void log_line(seconds elapsed, int descriptors) {
    const std::lock_guard lock(mutex_);
    *options_.log << std::setw(4) << elapsed.count() << " s: expired " << result_.expired << ", issued "
                  << result_.issued << ", failed " << result_.failed << ", late " << result_.late << ", descriptors "
                  << descriptors << ", memory " << resident_kib() << " KiB" << std::endl;
  }

  void look_for_expired(const Manager& manager) {
    const auto now = std::chrono::system_clock::now();
    for (const CertificateStatus& status : manager.status()) {
      if (!status.not_after || *status.not_after > now) continue;
      // Another one may have been stored in between: what counts is what the manager would hand out.
      if (!expired_.insert({status.id, *status.not_after}).second) continue;
      ++result_.expired;
      std::string what = status.id + " expired: " + status.reason + "; " + status.last_error;
      const std::lock_guard lock(mutex_);
      for (const std::string& line : history_[status.id]) what += "\n    " + line;
      fault(what);
    }
  }

  milliseconds stop(Manager& manager, const std::string& when) {
    const Clock::time_point begin = Clock::now();
    manager.stop();
    const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
    if (took > options_.stop_limit) fault("stopping took " + std::to_string(took.count()) + " ms" + when);
    return took;
  }

  /// No answer to a challenge, no lease.
  void check_cleaned_up(const Manager& manager) {
    std::set<std::string> targets;
    {
      const std::lock_guard lock(answering_);
      targets = targets_;
    }
    if (targets.empty()) fault("no challenge was asked for");
    for (const std::string& target : targets) {
      if (manager.http01(target)) fault("the challenge " + target + " is answered after the end");
    }
    std::vector<std::string> names;
    for (const std::string& directory : directories_) names.push_back(account_lease(directory));
    for (const CertificateStatus& status : manager.status()) names.push_back(certificate_lease(status.id));
    const std::shared_ptr<Storage> other = options_.storage == "memory" ? storage_ : file_storage(folder_ / "state");
    for (const std::string& name : names) {
      const Result<std::optional<Lease>> lease = test::run_flow(other->acquire(name, "test", seconds(10)));
      if (!lease) fault(lease.error().what());
      if (lease && !*lease) fault("the lease " + name + " is held after the end");
      if (lease && *lease) (void)test::run_flow(other->release(**lease));
    }
  }

  milliseconds stop_while(HangingStorage::How how, const std::string& what) {
    const auto hanging = std::make_shared<HangingStorage>(storage_);
    milliseconds took(0);
    {
      Manager manager(manager_options(hanging));
      set_manager(&manager);
      int issued_before = 0;
      {
        const std::lock_guard lock(mutex_);
        issued_before = result_.issued;
      }
      manager.start_thread();
      for (const CertificateStatus& status : manager.status()) (void)manager.renew_now(status.id, "a test");
      for (int i = 0; i < 3000; ++i) {
        {
          const std::lock_guard lock(mutex_);
          if (result_.issued > issued_before + 3) break;
        }
        std::this_thread::sleep_for(milliseconds(10));
      }
      hanging->hang(how);
      std::this_thread::sleep_for(milliseconds(500));
      took = stop(manager, " while storage " + what);
      set_manager(nullptr);
    }
    hanging->hang(HangingStorage::How::not_at_all);
    return took;
  }

  const SoakOptions options_;
  const Clock::time_point begin_ = Clock::now();
  std::vector<seconds> lifetimes_;
  SoakResult result_;
  const test::TemporaryFolder folder_;
  std::mutex answering_;  // guards the next two
  const Manager* manager_ = nullptr;
  std::set<std::string> targets_;
  Http01Server server_;
  std::unique_ptr<Victim> cas_;
  std::vector<std::string> directories_;
  std::shared_ptr<Storage> storage_;
  std::mutex mutex_;  // guards the numbers of issued, failed and late, and the history
  std::map<std::string, std::vector<std::string>> history_;
  std::set<std::pair<std::string, planner::Time>> expired_;
};

}  // namespace

SoakResult soak_manager(const SoakOptions& options) {
  Soak soak(options);
  return soak.run();
}

std::ostream& operator<<(std::ostream& out, const SoakResult& result) {
  out << "expired " << result.expired << ", issued " << result.issued << ", failed attempts " << result.failed
      << ", late " << result.late << "; at most " << result.most_descriptors << " descriptors; memory "
      << result.early_kib << " KiB after a fifth of the time, " << result.final_kib << " KiB at the end; stopped in "
      << result.stop.count() << " ms, while storage waits in " << result.stop_while_waiting.count()
      << " ms, while it blocks in " << result.stop_while_blocked.count() << " ms\n";
  if (!result.requests.empty()) out << result.requests << '\n';
  for (const std::string& fault : result.faults) out << "FAULT: " << fault << '\n';
  return out;
}

}  // namespace chaos
