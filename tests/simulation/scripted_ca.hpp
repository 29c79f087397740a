// CAs as a seam of the manager: what they do follows a script, and what is asked of them is counted and judged apart
// from what the manager counts.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "culmen/issue.hpp"
#include "culmen/private_key.hpp"
#include "culmen/rate_ledger.hpp"
#include "culmen/renewal_info.hpp"
#include "simulation/monitor.hpp"

namespace culmen::simulation {

/// A time in which a CA refuses new orders with 429.
struct Refusal {
  Interval when;
  std::optional<std::chrono::seconds> retry_after;
};

/// What one CA does.
struct CaScript {
  CaScript() = default;
  std::vector<Interval> down;     ///< Requests are not answered.
  std::vector<Interval> failing;  ///< They are answered with 500.
  std::vector<Refusal> refusals;
  double invalid_share = 0;                                  ///< Of validations.
  std::chrono::milliseconds fastest{1'000}, slowest{8'000};  ///< An issuance, all in all.
  std::chrono::seconds lifetime{90 * 86'400};
  std::chrono::seconds backdated{3'600};  ///< notBefore; at most a twentieth of the lifetime.
  std::chrono::seconds renewal_retry_after{6 * 3'600};
  bool offers_renewal_info = true;
  std::vector<RateLimit> limits;
  // From then on, that share of the certificates issued before has a window in the past.
  std::optional<Time> incident;
  double incident_share = 1.0 / 3;
};

/// All CAs of a simulation. Not thread-safe.
class ScriptedCas {
 public:
  /// A certificate as it was issued.
  struct Issued {
    std::uint32_t name = 0;
    std::uint8_t ca = 0;
    std::uint8_t key = 0;
    bool affected = false;  ///< Of an incident.
    bool replaced = false;
    Time issued_at, not_before, not_after;
    Time asked_at, next_ask;  ///< About its renewal.
    std::size_t asked_by = 0;
    // By each of two managers, since the first question.
    Time first_asked_at;
    std::array<std::uint16_t, 2> questions{};
    std::size_t disturbances = 0;  ///< At the first question.
  };

  ScriptedCas(ProcessDriver& driver, Monitor& monitor, std::uint64_t seed, std::size_t names,
              std::vector<CaScript> scripts);

  static std::string directory(std::size_t ca) { return "https://ca" + std::to_string(ca) + ".example/directory"; }
  std::size_t size() const noexcept { return cas_.size(); }

  /// For Seams::issue and Seams::renewal_info of that manager.
  Flow<Result<IssuedCertificate>> issue(std::size_t manager, std::string directory, IssueRequest request);
  Flow<Result<RenewalInfo>> renewal_info(std::size_t manager, std::string directory, std::string certificate_id);

  /// A certificate that was there before the simulation, with its age.
  std::size_t seed_certificate(std::size_t name, std::chrono::seconds age);
  std::string chain_text(std::size_t serial) const;
  std::string certificate_id_of(std::size_t serial) const;
  const std::string& key_pem(std::size_t key) const { return pems_[key]; }
  const Issued& issued(std::size_t serial) const { return issued_[serial]; }
  /// The serial number of a chain; nullopt: it is not one of ours.
  std::optional<std::size_t> serial_of(const std::string& chain) const;

  /// Until when the CA does not issue, for reasons of its own; without what the script says of it.
  Intervals dynamic_blocks(std::size_t ca) const { return cas_[ca].blocked; }
  const CaScript& script(std::size_t ca) const { return cas_[ca].script; }

  struct Counts {
    std::size_t orders = 0, issued = 0, failed = 0, questions = 0, crossings = 0, extra_orders = 0, refused = 0;
    std::size_t peak_an_hour = 0;
  };
  const Counts& counts() const noexcept { return counts_; }

  /// Within that time, two managers may ask the same question.
  std::chrono::seconds concurrency{120};
  /// The numbers of the names that this manager has asked about in the last minute: the answer may not be stored yet.
  std::vector<std::size_t> asked_lately(std::size_t manager) const;
  /// As ManagerOptions has it: orders for certificates that only an incident makes due must not be more in an hour.
  unsigned emergency_per_hour = 0;
  /// For the planted bug of that kind: the manager hears half of the Retry-After.
  bool halves_retry_after = false;
  /// What an attempt waits that fails, in place: for the planted bug of that kind.
  std::function<std::chrono::seconds(unsigned failures)> sleeps_in_job;

 private:
  enum class State : std::uint8_t { pending, ready, valid, invalid };
  struct Order {
    std::uint32_t name = 0;
    std::uint8_t ca = 0;
    State state = State::pending;
    bool known = false;  ///< The manager has stored its URL.
    Time created, expires;
    std::size_t serial = 0;
    std::uint8_t key = 0;
    std::size_t disturbances = 0;  ///< When it was created.
  };
  struct Bucket {
    double level = 0;
    Time at;
  };
  /// What happened about one name at one CA.
  struct History {
    unsigned failures = 0;
    Errc last{};
    Time failed_at;
    std::optional<std::chrono::seconds> retry_after;
    bool had_certificate = false;
  };
  struct Ca {
    explicit Ca(CaScript script_) : script(std::move(script_)) {}
    CaScript script;
    std::vector<std::unordered_map<std::size_t, Bucket>> buckets;  // by limit, then whom it concerns
    std::vector<History> histories;
    Intervals blocked;
    std::deque<Time> early_orders;  ///< In the last hour, for what only an incident makes due.
  };
  struct Attempt;

  Flow<Result<IssuedCertificate>> attempt(std::size_t manager, std::size_t ca, std::size_t name, IssueRequest& request);
  std::size_t ca_of(const std::string& directory) const;
  double dice() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  /// What keeps it from answering now.
  std::optional<Error> trouble(const Ca& ca) const;
  void check_back_off(std::size_t ca, std::size_t name);
  void check_questions(Issued& issued, std::size_t serial, std::size_t manager, const Ca& ca);
  void check_emergencies(std::size_t ca, std::size_t name);
  bool names_predecessor(std::size_t ca, std::size_t name, const IssueRequest& request) const;
  Result<std::uint64_t> create_order(std::size_t ca, std::size_t name, IssueRequest& request);
  std::uint64_t open_order(std::size_t ca, std::size_t name);
  std::optional<Error> count_order(std::size_t ca, std::size_t name, bool ari_exempt);
  void count(std::size_t ca, const RateLimit& limit, std::size_t index, std::size_t name);
  double level(const Ca& ca, const RateLimit& limit, std::size_t index, std::size_t whom) const;
  void issue_certificate(Order& order);
  IssuedCertificate certificate(const Order& order, const std::string& url, const PrivateKey& key) const;
  std::pair<Time, Time> window(const Issued& issued) const;
  bool is_in_window(const Issued& issued) const;

  ProcessDriver& driver_;
  Monitor& monitor_;
  std::mt19937_64 random_;
  std::vector<Ca> cas_;
  std::vector<PrivateKey> keys_;
  std::vector<std::string> pems_;
  std::vector<Bytes> public_keys_;
  std::unordered_map<std::string, std::uint8_t> keys_by_pem_;
  std::vector<Issued> issued_;
  std::unordered_map<std::uint64_t, Order> orders_;
  std::uint64_t last_order_ = 0;
  std::vector<std::uint8_t> next_key_;       // by name
  std::vector<std::uint32_t> newest_;        // by name: the serial number + 1
  std::vector<std::uint64_t> newest_order_;  // by name
  std::int64_t hour_ = 0;
  std::size_t orders_this_hour_ = 0;
  Counts counts_;
};

/// The newest certificate of a name, as the CAs know it.
}  // namespace culmen::simulation
