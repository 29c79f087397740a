#include "culmen/dns_solver.hpp"

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
  FunctionProvider(TxtFunction add, TxtFunction remove) : add_(std::move(add)), remove_(std::move(remove)) {}
  Flow<Result<void>> add_txt(std::string name, std::string value) override {
    return run(add_, std::move(name), std::move(value));
  }
  Flow<Result<void>> remove_txt(std::string name, std::string value) override {
    return run(remove_, std::move(name), std::move(value));
  }

 private:
  static Flow<Result<void>> run(TxtFunction function, std::string name, std::string value) {
    if (!function) co_return Result<void>();
    std::function<Result<void>()> bound = [&function, &name, &value]() -> Result<void> {
      function(name, value);
      return {};
    };
    Result<void> done = co_await call(std::move(bound));
    co_return done;
  }

  TxtFunction add_, remove_;
};

Flow<Result<void>> settle(std::chrono::seconds duration) {
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
  Result<void> added = co_await provider_.add_txt(record->name, record->value);
  if (!added) co_return added.error().while_doing("adding a TXT value at " + record->name);
  co_return co_await settle(options_.settle);
}

Flow<Result<void>> DnsSolver::cleanup(ChallengeContext context) {
  Result<TxtRecord> record = result_of([&] { return dns_record(context); });
  if (!record) co_return record.error();
  Result<void> removed = co_await provider_.remove_txt(record->name, record->value);
  if (!removed) co_return removed.error().while_doing("removing a TXT value at " + record->name);
  co_return removed;
}

// ---- A record that stays ----

DnsPersistSolver::DnsPersistSolver(Directory directory, Account account, Publish publish, DnsPersistOptions options)
    : directory_(std::move(directory)),
      account_(std::move(account)),
      publish_(std::move(publish)),
      options_(std::move(options)) {}

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
  bool is_new = false;
  std::function<Result<void>()> bound = [this, &context, &is_new]() -> Result<void> {
    const TxtRecord wanted = record(context);
    const std::lock_guard lock(mutex_);
    if (published_.contains(wanted)) return {};
    if (publish_) {
      publish_(context, wanted);
      is_new = true;
    }
    published_.insert(wanted);
    return {};
  };
  Result<void> done = co_await call(std::move(bound));
  if (!done) co_return done;
  if (is_new) done = co_await settle(options_.settle);
  co_return done;
}

Flow<Result<void>> DnsPersistSolver::cleanup(ChallengeContext) { co_return Result<void>(); }

}  // namespace culmen
