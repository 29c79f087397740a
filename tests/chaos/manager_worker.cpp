// manager_worker FOLDER DIRECTORY ROOT PORT SEED once|loop: keeps certificates with a manager, and changes the key of
// the account from time to time, until it is killed. See manager_kills.cpp, which does that.
//
// "loop" renews everything, prints "settled" when the manager is stopped, waits for a line on its standard input, and
// then renews and changes keys for good. "once" has one certificate: it renews it, changes the key, renews it again,
// and ends.
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "culmen/driver.hpp"
#include "culmen/engine.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/manager.hpp"
#include "culmen/records.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"
#include "http01_server.hpp"

namespace {

using namespace culmen;
using std::chrono::milliseconds;

/// One line on standard output, in one system call.
void say(const std::string& line) {
  const std::string whole = line + "\n";
  (void)!::write(STDOUT_FILENO, whole.data(), whole.size());
}

struct Arguments {
  std::string folder, directory, root;
  std::uint16_t port = 0;
  unsigned seed = 0;
  bool once = false;
};

ClientOptions client_options(const Arguments& arguments) {
  ClientOptions options;
  options.transport.extra_root_file = arguments.root;
  options.transport.only_extra_root = true;
  options.session.poll_interval_limit = milliseconds(200);
  options.session.poll_deadline = std::chrono::seconds(5);
  return options;
}

std::vector<CertificateSpec> wanted(const Arguments& arguments) {
  std::vector<CertificateSpec> specs;
  specs.push_back(CertificateSpec({"plain.example"}));
  if (arguments.once) return specs;
  specs.push_back(CertificateSpec({"two.example", "www.two.example"}));
  specs.back().key_types = {"ec:P-256", "ec:P-384"};
  specs.push_back(CertificateSpec({"reused.example"}));
  specs.back().reuse_key = true;
  return specs;
}

/// A manager that tells what it does, and knows what it has issued.
class Keeper {
 public:
  explicit Keeper(const Arguments& arguments) : manager_(options(arguments)) {
    answer_with(manager_);
    manager_.start_thread();
  }
  ~Keeper() {
    answer_with(std::nullopt);
    manager_.stop();
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  void renew(const std::string& id) { (void)manager_.renew_now(id, "the test wants it"); }
  /// Until these certificates were issued by this manager.
  void wait_for(const std::vector<std::string>& ids) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      for (const std::string& id : ids) {
        if (!issued_.contains(id)) return false;
      }
      return true;
    });
  }

  static std::optional<std::string> answer(std::string_view target) {
    std::optional<Manager> manager;  // a copy, so that it is still there
    {
      const std::lock_guard lock(answering_mutex_);
      manager = answering_;
    }
    return manager ? manager->http01(target) : std::nullopt;
  }

 private:
  static void answer_with(std::optional<Manager> manager) {
    const std::lock_guard lock(answering_mutex_);
    answering_.swap(manager);
  }
  ManagerOptions options(const Arguments& arguments) {
    ManagerOptions options;
    options.specs = wanted(arguments);
    options.agree_tos = true;
    FileStorageOptions files;
    files.make_folder = true;
    options.storage = file_storage(arguments.folder, files);
    CaOptions ca;
    ca.directory = arguments.directory;
    options.cas.push_back(ca);
    options.width = 2;
    options.emergency_per_hour = 0;  // everything is renewed before it is due, again and again
    options.client = client_options(arguments);
    options.on_event = [this](const ManagerEvent& event) {
      say(std::string(to_string(event.kind)) + " " + event.id + " " + event.detail);
      if (event.kind != ManagerEvent::Kind::issued) return;
      const std::lock_guard lock(mutex_);
      issued_.insert(event.id);
      changed_.notify_all();
    };
    return options;
  }

  static inline std::mutex answering_mutex_;
  static inline std::optional<Manager> answering_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> issued_;
  Manager manager_;
};

/// Gives the account another key, as a program beside the manager does: whatever happens, storage has the key that
/// counts.
Flow<Result<void>> roll_over(std::shared_ptr<Storage> storage, std::string directory, SessionOptions session_options) {
  const std::string name = account_key_of(directory);
  Result<std::optional<Lease>> lease =
      co_await storage->acquire(account_lease(directory), "rollover", std::chrono::seconds(60));
  if (!lease) co_return lease.error();
  if (!*lease) co_return Result<void>();
  Result<std::optional<StoredValue>> stored = co_await load_one(*storage, name);
  if (!stored) co_return stored.error();
  Result<AccountRecord> record = AccountRecord();
  if (*stored) record = decode_account((*stored)->value);
  if (!record) co_return record.error();
  if (record->url.empty() || !record->next_key_pem.empty()) {  // the manager makes it, or settles it
    Result<void> released = co_await storage->release(**lease);
    co_return released;
  }
  const AccountKey next = AccountKey::generate();
  record->next_key_pem = next.to_pem();
  Write begun(name, encode(*record));
  begun.expected = (*stored)->revision;
  begun.fence = **lease;
  Result<Revision> revision = co_await write_one(*storage, std::move(begun));
  if (!revision) co_return revision.error();

  Result<engine::Session> session = co_await engine::connect(directory, session_options);
  if (!session) co_return session.error();
  Account account(record->url, AccountKey::from_pem(record->key_pem));
  Result<Account> changed = co_await engine::key_change(*session, std::move(account), next);
  if (changed) {
    // The old key is kept: no key is removed that an account was ever found with.
    std::vector<Write> writes;
    writes.emplace_back(unused_key_of("20260101t000000z", std::to_string((*lease)->token)), record->key_pem);
    record->key_pem = std::exchange(record->next_key_pem, "");
    Write ended(name, encode(*record));
    ended.expected = *revision;
    ended.fence = **lease;
    writes.push_back(std::move(ended));
    Result<std::vector<Revision>> written = co_await storage->write(std::move(writes));
    if (!written) co_return written.error();
  }
  Result<void> released = co_await storage->release(**lease);
  if (!changed) co_return changed.error();
  co_return released;
}

/// On the calling thread.
void roll_over_now(const Arguments& arguments, drivers::BlockingDriver& driver) {
  say("rollover");
  Execution<Result<void>> execution(
      roll_over(file_storage(arguments.folder), arguments.directory, client_options(arguments).session),
      &drivers::instant_now);
  driver.drive(execution);
  const Result<void> outcome = execution.result();
  say(outcome ? "rolled" : std::string("unrolled ") + outcome.error().what());
}

void run(const Arguments& arguments) {
  const chaos::Http01Server server(&Keeper::answer, arguments.port);
  drivers::BlockingDriver driver(client_options(arguments).transport, nullptr);
  std::vector<std::string> ids, all;  // of the specs, and of their certificates
  for (const CertificateSpec& spec : wanted(arguments)) {
    ids.push_back(id_of(spec));
    for (const std::string& id : certificate_ids(spec)) all.push_back(id);
  }
  {
    Keeper keeper(arguments);
    for (const std::string& id : ids) keeper.renew(id);
    keeper.wait_for(all);
  }
  if (arguments.once) {
    roll_over_now(arguments, driver);
    Keeper keeper(arguments);
    for (const std::string& id : ids) keeper.renew(id);
    keeper.wait_for(all);
    return;
  }
  say("settled");
  std::string line;
  if (!std::getline(std::cin, line)) return;
  Keeper keeper(arguments);
  std::mt19937 random(arguments.seed);
  for (;;) {
    std::this_thread::sleep_for(milliseconds(random() % 40));
    if (random() % 8 == 0) {
      roll_over_now(arguments, driver);
    } else {
      keeper.renew(ids[random() % ids.size()]);
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 7) throw std::runtime_error("usage: manager_worker FOLDER DIRECTORY ROOT PORT SEED once|loop");
  Arguments arguments;
  arguments.folder = argv[1];
  arguments.directory = argv[2];
  arguments.root = argv[3];
  arguments.port = static_cast<std::uint16_t>(std::atoi(argv[4]));
  arguments.seed = static_cast<unsigned>(std::atoi(argv[5]));
  arguments.once = std::string(argv[6]) == "once";
  run(arguments);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "manager_worker: " << error.what() << std::endl;
  return 1;
}
