// culmen run: renews without end, as a service.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/process_lock.hpp"
#include "describe.hpp"
#include "files.hpp"
#include "host.hpp"
#include "interrupt.hpp"
#include "keeper.hpp"
#include "late.hpp"
#include "output.hpp"
#include "service_manager.hpp"

namespace culmen::cli {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// What other processes have changed is seen within a minute.
constexpr std::chrono::seconds look_pause(60), look_pause_after_failure(10);
// A program of --on-failure that failed is tried again after this time.
constexpr std::chrono::seconds alarm_pause(3600);
// An event is a reason to look, but many of them come together.
constexpr std::chrono::seconds event_pause(3);

struct RunFlags {
  RunFlags() = default;
  StateFlags state;
  KeepOptions keep;
};

/// What threads and signal handlers write to when there is something to do.
class Doorbell {
 public:
  Doorbell() : file_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (file_ < 0) throw Error(Errc::io_failed, "starting", std::generic_category().message(errno));
  }
  ~Doorbell() { close(file_); }
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  int descriptor() const noexcept { return file_; }
  void ring() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(file_, &one, sizeof one);
  }
  /// Until it was rung, or `until`.
  void wait(SteadyTime until) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd file{file_, POLLIN, 0};
    (void)poll(&file, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3600 * 1000)));
    std::uint64_t rung = 0;
    [[maybe_unused]] const auto got = read(file_, &rung, sizeof rung);
  }

 private:
  int file_;
};

class Service {
 public:
  Service(const Host& host, const KeepOptions& options, ServiceManager& manager, const Doorbell& bell, Output& output)
      : host_(host),
        manager_(manager),
        bell_(bell),
        output_(output),
        alarm_(late_alarm(host, output)),
        keeper_(host, options, output, [this] { changed(); }) {}

  void run();

 private:
  void changed();
  void look();
  void say_not_looked(const std::string& why);
  bool look_once();
  std::vector<Kept> wanted(const std::vector<culmen::StoredCertificate>& certificates);
  void tell_of_late(const std::vector<culmen::StoredCertificate>& certificates, const std::vector<std::string>& lost);
  void say_status(const std::vector<culmen::StoredCertificate>& certificates);
  void say_lost(const std::vector<culmen::StoredCertificate>& certificates, const std::vector<std::string>& lost);
  void say_start(const std::vector<culmen::StoredCertificate>& certificates);
  void say_problem(const std::string& id, const std::string& text);
  void settle_problems();
  void wait() const;

  const Host& host_;
  ServiceManager& manager_;
  const Doorbell& bell_;
  Output& output_;
  std::atomic<bool> has_changed_ = false;
  bool is_ready_ = false;
  SteadyTime look_at_, looked_at_;
  const LateAlarm alarm_;
  std::map<std::string, SteadyTime> told_at_;  ///< By id: when it was last tried to tell.
  std::set<std::string> problems_;             ///< Ids: of this look.
  std::set<std::string> problems_before_;      ///< Of the look before.
  std::future<void> alarm_run_;
  RunningKeeper keeper_;
};

void Service::changed() {
  has_changed_ = true;
  bell_.ring();
}

void Service::run() {
  manager_.status("Reading the storage");
  while (!interrupted()) {
    const bool hung_up = take_hangup(), was_ready = is_ready_;
    if (hung_up) {
      output_.say_of({}, "reloading", "SIGHUP: reading certificates and settings again");
      if (is_ready_) manager_.reloading();
    }
    if (has_changed_.exchange(false)) look_at_ = std::min(look_at_, looked_at_ + event_pause);
    if (hung_up || std::chrono::steady_clock::now() >= look_at_) look();
    if (hung_up && was_ready) manager_.ready();
    keeper_.tick();
    manager_.alive();
    if (!interrupted()) wait();
  }
  manager_.stopping();
  output_.say_of({}, "stopping", "Stopping");
  keeper_.stop();
}

void Service::wait() const {
  SteadyTime until = look_at_;
  const auto consider = [&until](std::optional<SteadyTime> time) {
    if (time) until = std::min(until, *time);
  };
  consider(keeper_.next_tick());
  consider(output_.say_repeats());
  if (const auto interval = manager_.watchdog_interval()) consider(std::chrono::steady_clock::now() + *interval / 2);
  bell_.wait(until);
}

void Service::look() {
  const bool good = look_once();
  looked_at_ = std::chrono::steady_clock::now();
  look_at_ = looked_at_ + (good ? look_pause : look_pause_after_failure);
}

void Service::say_not_looked(const std::string& why) {
  LogEntry entry(LogLevel::error, printable(why, 4000));
  entry.event = "storage_failed";
  entry.topic = "storage";
  output_.line(entry);
}

/// Whether storage could be read.
bool Service::look_once() {
  try {
    std::set<std::string> doubles;
    for (const auto& [change, error] : finish_begun(host_, std::chrono::seconds(1), output_)) {
      say_problem(change.from, error.what());
      if (host_.run(find_certificate(host_.storage(), change.from))) doubles.insert(change.to);
    }
    std::vector<culmen::StoredCertificate> certificates = host_.certificates();
    std::erase_if(certificates, [&](const auto& each) { return doubles.contains(each.id); });
    keeper_.keep(wanted(certificates));
    const std::vector<std::string> lost = host_.lost_ids(certificates);
    say_lost(certificates, lost);
    for (const culmen::StoredCertificate& certificate : certificates) keeper_.write_outputs(certificate);
    if (!is_ready_) {
      is_ready_ = true;
      manager_.ready();
      say_start(certificates);
    }
    settle_problems();
    say_status(certificates);
    tell_of_late(certificates, lost);
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::cancelled) say_not_looked(error.while_doing("looking at the certificates").what());
  } catch (const std::exception& exception) {
    say_not_looked(std::string("looking at the certificates: ") + exception.what());
  }
  return false;
}

std::vector<Kept> Service::wanted(const std::vector<culmen::StoredCertificate>& certificates) {
  std::vector<Kept> wanted;
  for (const culmen::StoredCertificate& certificate : certificates) {
    Intent intent = intent_of(host_, certificate, false);
    if (intent.error) {
      say_problem(certificate.id, intent.error->what());
    } else if (intent.kept) {
      wanted.push_back(std::move(*intent.kept));
    } else if (!intent.obstacle.empty()) {
      say_problem(certificate.id, "not renewed: " + intent.obstacle);
    }
  }
  return wanted;
}

void Service::say_lost(const std::vector<culmen::StoredCertificate>& certificates,
                       const std::vector<std::string>& lost) {
  for (const std::string& id : lost) say_problem(id, host_.lost_text(id));
  if (!certificates.empty()) return;
  try {
    host_.check_used();
  } catch (const Failure& failure) {
    LogEntry entry(LogLevel::warning, failure.message + ". " + failure.advice);
    entry.event = "storage_unused";
    entry.topic = "storage";
    output_.line(entry);
  }
}

/// What is kept, and until when.
void Service::say_start(const std::vector<culmen::StoredCertificate>& certificates) {
  if (certificates.empty()) {
    output_.say_of({}, "started",
                   "There is no certificate in " + host_.place() + "; new ones are seen within a minute");
  }
  for (const culmen::StoredCertificate& certificate : certificates) {
    if (!certificate.damage.empty() || !certificate.live) continue;
    const Shown seen = shown(certificate);
    output_.say_of(certificate.id, "started",
                   printable(certificate.id) + ": valid until " + time_text(seen.leaf.not_after) + ", renewal on " +
                       time_text(seen.due.at));
  }
}

void Service::say_problem(const std::string& id, const std::string& text) {
  LogEntry entry(LogLevel::warning, printable(id) + ": " + printable(text, 2000));
  entry.certificate = id;
  entry.event = "not_kept";
  entry.topic = entry.event + " " + id;
  output_.line(entry);
  problems_.insert(id);
}

void Service::settle_problems() {
  for (const std::string& id : problems_before_) {
    if (!problems_.contains(id)) output_.settled("not_kept " + id);
  }
  problems_before_ = std::exchange(problems_, {});
}

void Service::tell_of_late(const std::vector<culmen::StoredCertificate>& certificates,
                           const std::vector<std::string>& lost) {
  using std::chrono::seconds;
  if (alarm_run_.valid() && alarm_run_.wait_for(seconds(0)) != std::future_status::ready) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  std::vector<LateCertificate> late = untold(alarm_, host_, certificates, lost);
  std::erase_if(late, [&](const LateCertificate& each) {
    const auto told = told_at_.find(each.id);
    return told != told_at_.end() && now < told->second + alarm_pause;
  });
  if (late.empty()) return;
  for (const LateCertificate& each : late) told_at_[each.id] = now;
  alarm_run_ = std::async(std::launch::async, [this, late = std::move(late)] {
    try {
      alarm_.tell(late);
    } catch (const Error& error) {
      output_.warn(printable(error.while_doing("telling of late certificates").what(), 4000));
    }
  });
}

void Service::say_status(const std::vector<culmen::StoredCertificate>& certificates) {
  std::optional<planner::Time> next;
  std::size_t failing = 0;
  for (const culmen::StoredCertificate& certificate : certificates) {
    if (!certificate.damage.empty() || !certificate.record.last_error.empty()) ++failing;
    if (!certificate.damage.empty() || !certificate.live) continue;
    const planner::Time due = shown(certificate).due.at;
    if (!next || due < *next) next = due;
  }
  std::string text =
      std::to_string(certificates.size()) + (certificates.size() == 1 ? " certificate" : " certificates");
  if (failing > 0) text += ", " + std::to_string(failing) + " failing";
  if (next) text += ", next renewal " + time_text(*next);
  manager_.status(text);
}

/// One is enough for a state folder; two would compete for leases and ports.
ProcessLock only_one(const Host& host) {
  make_private_folder(host.local_folder());
  const std::filesystem::path file = host.local_folder() / "run.lock";
  if (std::optional<ProcessLock> lock = ProcessLock::take(file)) return std::move(*lock);
  const pid_t process = ProcessLock::holder(file);
  throw Failure(exit_failed, "held",
                "another culmen run works with the state folder " + host.folder().string() + " already" +
                    (process > 0 ? ": process " + std::to_string(process) : ""),
                "One is enough. End it first: systemctl stop culmen.service" +
                    (process > 0 ? ", or kill " + std::to_string(process) : "") + ".");
}

int run_service(const RunFlags& flags, Output& output) {
  output.verbose(flags.keep.connection.verbose);
  output.log_as_json(flags.keep.connection.log_format == "json");
  output.with_times();
  output.collapse_repeats();
  ServiceManager manager;
  const Doorbell bell;
  serve_signals(bell.descriptor());
  const Host host(flags.state, Host::Access::read, output);
  const ProcessLock lock = only_one(host);
  Service(host, flags.keep, manager, bell, output).run();
  return exit_ok;
}

}  // namespace

void define_run(Command& command) {
  auto flags = std::make_shared<RunFlags>();
  add_state_flags(command, flags->state);
  add_account_flags(command, flags->keep.account);
  add_log_flag(command, flags->keep.connection);
  add_transport_flags(command, flags->keep.connection);
  command.set_action([flags](Output& output) { return run_service(*flags, output); });
}

}  // namespace culmen::cli
