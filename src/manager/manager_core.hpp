// The manager without threads, sockets and clocks: what plans, issues, stores and delivers, as flows.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/manager_options.hpp"
#include "culmen/nursery.hpp"
#include "culmen/records.hpp"
#include "manager/cas.hpp"
#include "manager/catalogue.hpp"
#include "manager/challenge_answers.hpp"
#include "manager/reporter.hpp"
#include "manager/seams.hpp"
#include "manager/store.hpp"

namespace culmen::manager {

struct Issuance;

/// Of each rate limit, kept back for renewals.
inline constexpr double reserve_for_renewals = 0.2;

/// One manager. run() and run_once() are executed one at a time; they may be cancelled, and their execution may be
/// destroyed at any point. All other functions may be called from any thread.
class ManagerCore : public std::enable_shared_from_this<ManagerCore> {
 public:
  /// Throws Error (invalid_argument) if the options are not valid. `owner` of the options must not be empty.
  explicit ManagerCore(ManagerOptions options, Seams seams = {});
  ~ManagerCore();
  ManagerCore(const ManagerCore&) = delete;
  ManagerCore& operator=(const ManagerCore&) = delete;

  const ManagerOptions& options() const noexcept { return options_; }

  /// Keeps the certificates fresh until stop() or cancellation, which are no errors of it.
  Flow<Result<void>> run();
  /// Brings what is due up to date. Errors: cancelled, also after stop(), and those of storage.
  Flow<Result<RunSummary>> run_once();
  /// Ends the present run, or the next one, which then ends at once.
  void stop();

  // See Manager.
  std::optional<std::string> http01(std::string_view target) const { return answers_.find(target); }
  std::vector<CertificateStatus> status(planner::Time now) const;
  void set_specs(std::vector<CertificateSpec> specs);
  Result<void> renew_now(std::string_view id, std::string why);
  Result<void> retry_now(std::string_view id);
  Result<void> revoked(std::string_view id, bool key_compromised);
  /// What is kept in memory, for tests: it must not grow with what is not wanted any more.
  struct Sizes {
    Sizes() = default;
    std::size_t certificates = 0, wake_ups = 0, not_loaded = 0, queued = 0, deliveries = 0, cas = 0, unstored = 0;
  };
  Sizes sizes() const;
  static Flow<Result<void>> ensure(std::shared_ptr<ManagerCore> self, std::string id);
  /// From memory if it is there, otherwise from storage.
  static Flow<Result<std::optional<InstalledCertificate>>> current(std::shared_ptr<ManagerCore> self, std::string id);

 private:
  enum class Mode { until_stopped, once };
  /// What a worker does about one certificate.
  struct Job {
    Job(std::shared_ptr<Entry> entry_, planner::Action action_)
        : entry(std::move(entry_)), action(std::move(action_)) {}
    std::shared_ptr<Entry> entry;
    planner::Action action;
    bool marks = false;                     ///< Only stores that there is an emergency.
    std::optional<planner::Time> again_at;  ///< When it is decided again; nullopt: at once.
    Nursery::Id child = 0;
  };
  using JobPointer = std::shared_ptr<Job>;

  // manager_core.cpp
  Flow<Result<void>> run_all(Mode mode);
  Flow<Result<void>> children(Mode mode);
  Flow<Result<void>> until_stopped();
  void reset();
  std::vector<std::shared_ptr<const Wanted>> wanted(std::vector<CertificateSpec> specs);
  double random();
  /// Those for its challenge, if it names one.
  std::vector<ChallengeSolver*> solvers_for(const CertificateSpec& spec) const;

  // plan.cpp
  Flow<Result<void>> plan(Mode mode);
  Flow<Result<void>> load_records(Mode mode);
  void start_due(Mode mode, const Instant& instant);
  void consider(const std::shared_ptr<Entry>& entry, Mode mode, const Instant& instant, std::vector<JobPointer>& early,
                std::vector<ManagerEvent>& events);
  void begin(JobPointer job, Mode mode, const Instant& instant);
  void begin_early(std::vector<JobPointer> jobs, Mode mode, const Instant& instant, std::vector<ManagerEvent>& events);
  planner::Time early_allowed_at(const planner::Action& action, planner::Time now);
  bool may_use_storage(const Instant& instant);
  void clock_was_set_back(planner::Time now);
  void spawn_queued();
  bool is_idle(planner::Time now) const;
  Flow<Result<void>> work(JobPointer job);
  Flow<Result<void>> work_on(JobPointer job);
  /// `with_left_out`: an order would try names again that were left out.
  planner::Situation situation(const Entry& entry, planner::Time now, bool with_left_out = false) const;
  planner::Action decision(const Entry& entry, planner::Time now) const;
  void collect_alarms(Entry& entry, const planner::Action& action, planner::Time now,
                      std::vector<ManagerEvent>& events) const;
  planner::Duration until_next_look(planner::Time now) const;
  /// With the mutex locked: what was read becomes what is known. Whether it can be read.
  bool adopt(const std::shared_ptr<Entry>& entry, const Result<std::optional<StoredValue>>& stored, planner::Time now,
             std::vector<ManagerEvent>& events);
  void replace_unusable(Entry& entry, const Error& why);
  void adopt_record(const std::shared_ptr<Entry>& entry, const std::optional<CertificateRecord>& record,
                    Revision revision);
  void say_all(const std::vector<ManagerEvent>& events) const;

  // issue_one.cpp
  Flow<Result<void>> issue(JobPointer job);
  Flow<Result<void>> issue_under_lease(Issuance& issuance);
  Flow<Result<void>> mark_emergency(JobPointer job);
  Flow<Result<void>> mark_emergencies();
  Flow<Result<void>> store_mark(Issuance& issuance);
  // order.cpp
  Flow<Result<void>> prepare_pending(Issuance& issuance);
  Flow<Result<void>> drop_pending(Issuance& issuance, bool keep_key);
  Flow<Result<void>> store_pending(Issuance& issuance);
  Flow<Result<IssueRequest>> prepare_request(Issuance& issuance);
  Flow<Result<void>> ask_program(Issuance& issuance, IssueRequest& request);
  Flow<Result<void>> refuse_compromised_key(const Issuance& issuance, const IssueRequest& request);
  bool is_limited(const Entry& entry, const Ca& ca, planner::Time now, bool with_left_out) const;
  Flow<Result<void>> count_order(Issuance& issuance, std::string replaces);
  Flow<Result<void>> before_order(Issuance& issuance, std::string replaces);
  Flow<Result<void>> order(Issuance& issuance, IssueRequest request);
  // install.cpp
  Flow<Result<void>> write_record(Issuance& issuance);
  Flow<Result<void>> write_record(Issuance& issuance, std::vector<Write> before, std::vector<Write> after);
  Flow<Result<void>> install(Issuance& issuance, IssuedCertificate issued);
  // failed_attempt.cpp
  Flow<Result<void>> fail(Issuance& issuance, Error error);
  Flow<Result<bool>> leave_out(Issuance& issuance, planner::Failure failure, Error error);
  void count_failure(Issuance& issuance, planner::Failure failure, const Error& error, planner::Time now);
  void update_health(Ca& ca, planner::Failure failure, planner::Time now);
  void say_ca_events();

  // renewal_info.cpp
  Flow<Result<void>> ask_renewal_info(JobPointer job);
  // watch.cpp
  Flow<Result<void>> look_in_storage(JobPointer job);
  Flow<Result<void>> watch_storage();
  Flow<Result<bool>> find_changes();
  Flow<Result<void>> keep_ledgers();
  Flow<Result<void>> store_ledgers();
  // delivery.cpp
  Flow<Result<void>> deliver(Mode mode);
  Flow<Result<bool>> deliver_some();
  Flow<Result<bool>> still_counts(std::shared_ptr<Entry> entry);
  bool is_wanted_by_sink(const Entry& entry) const;
  void counts_from_now_on(const std::shared_ptr<Entry>& entry);
  std::optional<planner::Duration> until_next_delivery(planner::Time now) const;

  ManagerOptions options_;  ///< Not changed any more; its specs are in the catalogue.
  const Seams seams_;
  const Reporter reporter_;
  Store store_;
  ChallengeAnswers answers_;
  AnswerSolver own_solver_;
  std::vector<ChallengeSolver*> solvers_;

  /// Guards what follows. Never held while a flow waits or a callback runs.
  mutable std::mutex mutex_;
  Cas cas_;
  Catalogue catalogue_;
  std::mt19937_64 generator_;
  RunSummary summary_;
  std::vector<ManagerEvent> ca_events_;  ///< Not told yet.
  Event wake_;                           ///< For the plan.
  Event stop_;

  // Of the execution.
  Nursery* nursery_ = nullptr;
  // What waits for a worker. Both have their turns, so that neither many new certificates nor many renewals hold the
  // others up; what is urgent comes first.
  /// First what is urgent, by when it expires; then the others, by when they should begin.
  std::multimap<std::pair<bool, planner::Time>, JobPointer> queued_;
  std::deque<JobPointer> queued_new_;  ///< Of certificates that were never issued.
  bool is_turn_of_new_ = false;
  std::size_t running_ = 0;
  bool said_loaded_ = false;
  planner::Time load_at_;   ///< When records are read again, after an error.
  planner::Time next_ari_;  ///< When the next question about renewals may be asked.
  Event ledger_changed_;    ///< In memory, and storing it has failed.
  Event deliver_;
  struct Delivery {
    Delivery() = default;
    planner::Time not_before;
    unsigned failures = 0;
  };
  std::map<std::shared_ptr<Entry>, Delivery, OlderEntry> deliveries_;
};

}  // namespace culmen::manager
