#include "culmen/dns_solver.hpp"

#include <mutex>
#include <set>

#include "base/name.hpp"

namespace culmen {

namespace {

constexpr std::string_view dns_01 = "dns-01", dns_account_01 = "dns-account-01";

/// RFC 8738 §7: DNS challenges are not for IP addresses. RFC 9799 §3.1.1: "dns-01" MUST NOT be used for .onion names.
bool has_a_zone(const Identifier& identifier) {
  return identifier.type == "dns" && !identifier.value.ends_with(".onion");
}

void check_type(std::string_view type) {
  if (type != dns_01 && type != dns_account_01) {
    throw Error(Errc::invalid_argument, "setting up a DNS solver",
                "\"" + printable(type, 60) + "\" is not one of its types, which are dns-01 and dns-account-01");
  }
}

/// The identifier comes from the server: check that it is a DNS name before it goes into a zone or to a user's program.
std::string checked_domain(const ChallengeContext& context) {
  const Result<std::string> name = base::canonical_dns_name(context.identifier.value);
  if (!name) throw name.error().while_doing("preparing " + printable(context.type, 60));
  return *name;
}

class FunctionProvider final : public DnsProvider {
 public:
  FunctionProvider(TxtFunction add, TxtFunction remove)
      : functions_(std::make_shared<Functions>(std::move(add), std::move(remove))) {}
  Flow<Result<void>> add_txt(std::string name, std::string value) override {
    return run(functions_, &Functions::add, std::move(name), std::move(value));
  }
  Flow<Result<void>> remove_txt(std::string name, std::string value) override {
    return run(functions_, &Functions::remove, std::move(name), std::move(value));
  }

 private:
  /// Shared with the calls, which may outlive the provider.
  struct Functions {
    Functions(TxtFunction add_, TxtFunction remove_) : add(std::move(add_)), remove(std::move(remove_)) {}
    const TxtFunction add, remove;
    std::mutex one_at_a_time;
  };

  static Flow<Result<void>> run(std::shared_ptr<Functions> functions, const TxtFunction Functions::*which,
                                std::string name, std::string value) {
    if (!((*functions).*which)) co_return Result<void>();
    std::function<Result<void>()> bound = [functions, which, name, value]() -> Result<void> {
      const std::lock_guard lock(functions->one_at_a_time);
      ((*functions).*which)(name, value);
      return {};
    };
    Result<void> done = co_await call(std::move(bound));
    co_return done;
  }

  std::shared_ptr<Functions> functions_;
};

Flow<Result<void>> wait_until_settled(std::chrono::seconds duration) {
  if (duration <= std::chrono::seconds(0)) co_return Result<void>();
  Result<void> waited = co_await wait(duration);
  co_return waited;
}

}  // namespace

TxtRecord dns_record(const ChallengeContext& context) {
  check_type(context.type);
  const std::string domain = checked_domain(context);
  std::string name = context.type == dns_01 ? Dns01Helper::record_name(domain)
                                            : DnsAccount01Helper::record_name(context.account_url, domain);
  return TxtRecord(std::move(name), Dns01Helper::txt_value(context.key_authorization));
}

std::unique_ptr<DnsProvider> make_dns_provider(TxtFunction add_txt, TxtFunction remove_txt) {
  return std::make_unique<FunctionProvider>(std::move(add_txt), std::move(remove_txt));
}

// ---- Through a provider ----

DnsSolver::DnsSolver(DnsProvider& provider, DnsSolverOptions options)
    : provider_(provider), options_(std::move(options)) {
  check_type(options_.type);
}

bool DnsSolver::can_solve(const Identifier& identifier, bool) const { return has_a_zone(identifier); }

Flow<Result<void>> DnsSolver::present(ChallengeContext context) {
  Result<TxtRecord> record = result_of([&] { return dns_record(context); });
  if (!record) co_return record.error();
  std::function<Flow<Result<void>>()> add = [&] { return provider_.add_txt(record->name, record->value); };
  Flow<Result<void>> adding = guarded(std::move(add), "");
  Result<void> added = co_await std::move(adding);
  if (!added) co_return added.error().while_doing("adding a TXT value at " + record->name);
  co_return added;
}

Flow<Result<void>> DnsSolver::ready(std::vector<ChallengeContext>) { return wait_until_settled(options_.settle); }

Flow<Result<void>> DnsSolver::cleanup(ChallengeContext context) {
  Result<TxtRecord> record = result_of([&] { return dns_record(context); });
  if (!record) co_return record.error();
  std::function<Flow<Result<void>>()> remove = [&] { return provider_.remove_txt(record->name, record->value); };
  Flow<Result<void>> removing = guarded(std::move(remove), "");
  Result<void> removed = co_await std::move(removing);
  if (!removed) co_return removed.error().while_doing("removing a TXT value at " + record->name);
  co_return removed;
}

// ---- A record that stays ----

/// Shared with the calls, which may outlive the solver.
class DnsPersistSolver::Records {
 public:
  /// Publishes the record unless that was done. One at a time.
  void publish_once(const Publish& publish, const ChallengeContext& context, const TxtRecord& record) {
    const std::lock_guard one_at_a_time(publishing_);
    if (is_in(published_, record)) return;
    publish(context, record);
    const std::lock_guard lock(mutex_);
    unsettled_.insert(record);
    published_.insert(record);
  }
  bool is_unsettled(const TxtRecord& record) { return is_in(unsettled_, record); }
  void settled(const std::vector<TxtRecord>& records) {
    const std::lock_guard lock(mutex_);
    for (const TxtRecord& record : records) unsettled_.erase(record);
  }

 private:
  bool is_in(const std::set<TxtRecord>& records, const TxtRecord& record) {
    const std::lock_guard lock(mutex_);
    return records.contains(record);
  }

  std::mutex publishing_;  // apart from the other: ready() must not wait for a user's function
  std::mutex mutex_;
  std::set<TxtRecord> published_;
  std::set<TxtRecord> unsettled_;  // of these, those that no ready() has waited for
};

DnsPersistSolver::DnsPersistSolver(Directory directory, Account account, Publish publish, DnsPersistOptions options)
    : directory_(std::move(directory)),
      account_(std::move(account)),
      publish_(std::make_shared<const Publish>(std::move(publish))),
      options_(std::move(options)),
      records_(std::make_shared<Records>()) {}

bool DnsPersistSolver::can_solve(const Identifier& identifier, bool) const { return has_a_zone(identifier); }

TxtRecord DnsPersistSolver::record(const ChallengeContext& context) const {
  DnsPersist01Helper::Options options = options_.record;
  options.wildcard = options.wildcard || context.wildcard;
  const std::string domain = checked_domain(context);
  return TxtRecord(DnsPersist01Helper::record_name(domain),
                   DnsPersist01Helper::record_value(context.challenge, directory_, account_.url,
                                                    account_.key.thumbprint(), domain, options));
}

Flow<Result<void>> DnsPersistSolver::present(ChallengeContext context) {
  Result<TxtRecord> wanted = result_of([&] { return record(context); });
  if (!wanted) co_return wanted.error();
  if (!*publish_) co_return Result<void>();
  std::function<Result<void>()> bound = [records = records_, publish = publish_, context,
                                         wanted = *wanted]() -> Result<void> {
    records->publish_once(*publish, context, wanted);
    return {};
  };
  Result<void> done = co_await call(std::move(bound));
  co_return done;
}

Flow<Result<void>> DnsPersistSolver::ready(std::vector<ChallengeContext> contexts) {
  std::vector<TxtRecord> unsettled;
  for (const ChallengeContext& context : contexts) {
    Result<TxtRecord> wanted = result_of([&] { return record(context); });
    if (!wanted) co_return wanted.error();
    if (records_->is_unsettled(*wanted)) unsettled.push_back(std::move(*wanted));
  }
  if (unsettled.empty()) co_return Result<void>();
  Result<void> waited = co_await wait_until_settled(options_.settle);
  if (waited) records_->settled(unsettled);
  co_return waited;
}

Flow<Result<void>> DnsPersistSolver::cleanup(ChallengeContext) { co_return Result<void>(); }

}  // namespace culmen
