#include "manager_kills.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "culmen/certificate.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/engine.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/records.hpp"
#include "culmen/test_ca.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"
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
constexpr int most_faults = 20;

/// A CA, a state folder, and what happened to them so far.
class Ground {
 public:
  Ground(KillResult& result, std::string mode, bool verbose, bool with_faults)
      : result_(result),
        mode_(std::move(mode)),
        verbose_(verbose),
        with_faults_(with_faults),
        port_(cli_test::free_port()),
        ca_(options(port_)) {
    ca_.start();
    root_ = files_.write("root.pem", ca_.root_pem());
  }

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
    where_ = where;
    last_lines_ = victim.lines();
    ++result_.kills;
    ++kills_since_;
    count_lines();
    check(false);
  }
  /// After a run that came to an end.
  void check_settled(Victim& victim) {
    last_lines_ = victim.lines();
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
  void fault(const std::string& what) {
    if (result_.faults.size() >= most_faults) return;
    std::string whole = where_ + ": " + what;
    if (verbose_) {
      for (const std::string& line : last_lines_) whole += "\n    " + line;
    }
    std::cerr << whole << std::endl;
    result_.faults.push_back(std::move(whole));
  }
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
      if (!with_faults_) std::cerr << where_ << ": " << line << std::endl;
    }
  }
  void half(const std::string& what) {
    ++result_.half_states;
    fault("half a state: " + what);
  }
  void lost(const std::string& what) {
    ++result_.lost_keys;
    fault("a lost key: " + what);
  }
  void litter(const std::string& what) {
    ++result_.litter;
    fault("litter: " + what);
  }

  template <class T>
  T drive(Flow<T> flow) {
    if (!driver_) {
      TransportOptions transport;
      transport.extra_root_file = root_;
      transport.only_extra_root = true;
      driver_ = std::make_unique<drivers::BlockingDriver>(transport, nullptr);
    }
    Execution<T> execution(std::move(flow), &drivers::instant_now);
    driver_->drive(execution);
    return execution.result();
  }

  void check(bool settled) {
    set_faults(false);
    if (fs::exists(folder())) {
      check_links();
      if (settled) check_litter();
      check_records(settled);
    }
    set_faults(with_faults_);
  }

  /// What a web server sees, whatever is half done.
  void check_links() {
    const fs::path certificates = folder() / "certificates";
    if (!fs::exists(certificates)) return;
    for (const fs::directory_entry& entry : fs::directory_iterator(certificates)) {
      const fs::path live = entry.path() / "live";
      if (!fs::is_symlink(fs::symlink_status(live))) continue;
      try {
        const std::string chain = test::file_text(live / "fullchain.pem");
        const Certificate leaf = Certificate::from_pem(chain);
        if (!leaf.matches(PrivateKey::from_pem(test::file_text(live / "key.pem"))))
          half(live.string() + ": the key is not the certificate's");
        if (!chain.starts_with(test::file_text(live / "cert.pem"))) half(live.string() + ": cert.pem is another one");
      } catch (const Error& error) {
        half(live.string() + ": " + error.what());
      }
    }
  }

  void check_litter() {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder())) {
      const std::string name = entry.path().filename().string();
      const std::string path = fs::relative(entry.path(), folder()).string();
      const bool is_staged = path.starts_with(".staging/");
      if (name == ".journal" || name.ends_with(".tmp") || name == "pending" || is_staged) litter(path);
      if (path.starts_with("state/challenges")) litter(path);
    }
  }

  void check_records(bool settled) {
    // A copy: reading finishes what the killed one began, which the next run has to do.
    const test::TemporaryFolder place;
    const fs::path copy = place / "state";
    fs::copy(folder(), copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    const std::shared_ptr<Storage> storage = file_storage(copy);
    Result<std::vector<StoredItem>> items = drive(storage->list("", "", 1000, true));
    if (!items) {
      half(items.error().what());
      return;
    }
    std::map<std::string, std::string> values;
    std::vector<PrivateKey> keys;
    for (const StoredItem& item : *items) {
      if (item.stored.revision.none()) {
        const Result<std::optional<StoredValue>> why = drive(load_one(*storage, item.key));
        half(item.key + ": " + (why ? "" : why.error().what()));
        continue;
      }
      values[item.key] = item.stored.value;
    }
    for (const auto& [key, value] : values) collect_keys(key, value, keys);
    std::vector<std::string> ids = {"plain.example"};
    if (mode_ == "loop") ids.insert(ids.end(), {"reused.example", "two.example", "two.example@ec"});
    for (const std::string& id : ids) check_certificate(id, values, settled);
    check_issued(keys);
    check_account(values, settled);
  }

  void collect_keys(const std::string& key, const std::string& value, std::vector<PrivateKey>& keys) {
    std::string pem;
    if (key.starts_with("keys/unused/")) {
      pem = value;
    } else if (key.ends_with("/pending")) {
      const Result<PendingOrder> pending = decode_pending_order(value);
      if (!pending) half(key + ": " + pending.error().what());
      if (pending) pem = pending->key_pem;
    } else if (key.starts_with("certificates/") && !key.ends_with("/record")) {
      const Result<Generation> generation = decode_generation(value);
      if (!generation) half(key + ": " + generation.error().what());
      if (generation) pem = generation->key_pem;
      if (generation && !Certificate::from_pem(generation->chain_pem).matches(PrivateKey::from_pem(pem)))
        half(key + ": the key is not the certificate's");
    }
    if (!pem.empty()) keys.push_back(PrivateKey::from_pem(pem));
  }

  void check_certificate(const std::string& id, const std::map<std::string, std::string>& values, bool settled) {
    const auto found = values.find(certificate_record_key(id));
    if (found == values.end()) {
      if (settled) half(id + " has no record");
      return;
    }
    const Result<CertificateRecord> record = decode_certificate_record(found->second);
    if (!record) {
      half(id + ": " + record.error().what());
      return;
    }
    std::size_t generations = 0;
    for (const auto& [key, value] : values) {
      const std::string prefix = certificate_lease(id) + "/";
      generations += key.starts_with(prefix) && std::isdigit(static_cast<unsigned char>(key[prefix.size()])) ? 1 : 0;
    }
    if (settled && generations > 2) litter(id + " has " + std::to_string(generations) + " generations");
    if (record->live == 0) {
      if (settled) half(id + ": no generation counts");
      return;
    }
    const auto live = values.find(generation_key(id, record->live));
    if (live == values.end()) {
      half(id + ": generation " + std::to_string(record->live) + " counts, and does not exist");
      return;
    }
    const Result<Generation> generation = decode_generation(live->second);
    if (!generation) return;  // said already
    const Certificate leaf = Certificate::from_pem(generation->chain_pem);
    if (leaf.not_after != record->not_after) half(id + ": the record is about another certificate");
    if (leaf.identifiers.size() != record->names.size()) half(id + ": the record has other names");
  }

  /// The newest certificate of each kind that the CA issued has its key in storage, live or pending.
  void check_issued(const std::vector<PrivateKey>& keys) {
    const std::vector<std::string> issued = ca_.issued();
    for (; seen_ < issued.size(); ++seen_) {
      const Certificate leaf = Certificate::from_pem(issued[seen_]);
      std::string kind = std::to_string(leaf.public_key_der.size());
      for (const Identifier& name : leaf.identifiers) kind += " " + name.value;
      newest_.insert_or_assign(std::move(kind), leaf);
    }
    for (const auto& [kind, leaf] : newest_) {
      const bool is_there =
          std::ranges::any_of(keys, [&leaf = leaf](const PrivateKey& key) { return leaf.matches(key); });
      if (!is_there) lost("of the newest certificate for " + kind);
    }
  }

  /// One account, and storage has its key.
  void check_account(const std::map<std::string, std::string>& values, bool settled) {
    const std::size_t accounts = ca_.sizes().accounts;
    if (accounts > 1) fault("there are " + std::to_string(accounts) + " accounts");
    if (accounts == 0) return;
    const auto found = values.find(account_key_of(ca_.directory_url()));
    if (found == values.end()) {
      lost("the account has no record");
      return;
    }
    const Result<AccountRecord> record = decode_account(found->second);
    if (!record) {
      half("the account's record: " + record.error().detail());
      return;
    }
    if (settled && (record->url.empty() || !record->next_key_pem.empty())) half("the account's record is not complete");
    Result<engine::Session> session = drive(engine::connect(ca_.directory_url()));
    if (!session) throw session.error();
    for (const std::string& pem : {record->key_pem, record->next_key_pem}) {
      if (pem.empty()) continue;
      const Result<Account> account = drive(engine::find_account(*session, AccountKey::from_pem(pem)));
      if (account) return;
      if (account.error().code() != Errc::account_does_not_exist) throw account.error();
    }
    lost("the CA knows neither key of the account's record");
  }

  KillResult& result_;
  const std::string mode_;
  const bool verbose_, with_faults_;
  const std::uint16_t port_;
  const test::TemporaryFolder files_;
  TestCa ca_;
  std::string root_;
  std::unique_ptr<drivers::BlockingDriver> driver_;
  std::string where_;
  std::vector<std::string> last_lines_;
  std::size_t seen_ = 0;
  std::map<std::string, Certificate> newest_;
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
