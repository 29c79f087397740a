// Storages that outlive what uses them, with a CA and managers in virtual time.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "culmen/engine.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/stored_accounts.hpp"
#include "culmen/stored_certificates.hpp"
#include "support/faulty_storage.hpp"
#include "support/manager_world.hpp"
#include "support/step_driver.hpp"
#include "support/storage_around.hpp"
#include "support/temporary_folder.hpp"

namespace culmen::test {

/// Changes one key at a time.
class SingleWrites final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities = inner->capabilities();
    capabilities.many_in_one = false;
    return capabilities;
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    CHECK(writes.size() == 1);
    return inner->write(std::move(writes));
  }
};

enum class Engine { memory, single_writes, files };

/// What is stored. Each process opens it.
class Disk {
 public:
  explicit Disk(Engine engine) : engine_(engine) {}
  std::shared_ptr<Storage> open() const {
    if (engine_ == Engine::files) return file_storage(folder_.path());
    if (engine_ == Engine::memory) return memory_;
    return std::make_shared<SingleWrites>(memory_);
  }
  /// The same, with all changes in one write.
  std::shared_ptr<Storage> open_whole() const { return engine_ == Engine::files ? open() : memory_; }
  /// Asks before and after each call, where something can happen. Files ask anyway.
  std::shared_ptr<Storage> open_asking() const {
    if (engine_ == Engine::files) return open();
    auto storage = std::make_shared<FaultyStorage>(open(), [](const StorageCall&) { return StorageFault::slow; });
    storage->slowness = std::chrono::milliseconds(2);
    return storage;
  }
  bool is_files() const noexcept { return engine_ == Engine::files; }
  const std::filesystem::path& folder() const noexcept { return folder_.path(); }

 private:
  const Engine engine_;
  TemporaryFolder folder_;
  std::shared_ptr<Storage> memory_ = memory_storage();
};

template <class T>
Flow<Result<void>> without_value(Flow<Result<T>> flow) {
  Result<T> result = co_await std::move(flow);
  if (!result) co_return result.error();
  co_return Result<void>();
}

class StoredWorld {
 public:
  explicit StoredWorld(Engine engine, TestCaOptions options = {})
      : disk(engine), managers(1, std::move(options), disk.open()) {}

  TestCa& ca() { return managers.ca(); }
  std::shared_ptr<Storage> storage() { return managers.storage; }
  static LeaseOptions lease() {
    LeaseOptions options;
    options.owner = "test";
    options.ttl = std::chrono::seconds(10);
    return options;
  }
  template <class T>
  T drive(Flow<T> flow) {
    return managers.driver.drive(std::move(flow), "test");
  }
  engine::Session session() {
    Result<engine::Session> session = drive(engine::connect(managers.directory()));
    if (!session) FAIL(session.error().what());
    return *session;
  }
  /// By a manager that ends.
  void issue(std::vector<std::string> names = {"a.example"}, bool again = false) {
    Heard heard;
    const auto core = managers.make(managers.options(std::move(names)), heard);
    if (again) REQUIRE(core->renew_now(core->status(managers.clock.now()).front().id, "again"));
    Result<RunSummary> summary = drive(core->run_once());
    REQUIRE_MESSAGE(summary, heard.all());
    REQUIRE_MESSAGE(summary->issued.size() == 1, heard.all());
    managers.managers.clear();
  }
  std::vector<StoredCertificate> list() {
    Result<std::vector<StoredCertificate>> found = drive(list_certificates(storage()));
    if (!found) FAIL(found.error().what());
    return *found;
  }
  std::filesystem::path certificate_folder(const std::string& id = "a.example") const {
    return disk.folder() / "certificates" / id;
  }

  /// The thumbprints of all private keys in storage.
  std::set<std::string> private_keys() {
    std::set<std::string> found;
    const auto add = [&found](const std::string& pem) {
      if (!pem.empty()) found.insert(PrivateKey::from_pem(pem).thumbprint());
    };
    for (const std::string& key : managers.keys("")) {
      const std::string value = managers.stored(key).value_or("");
      if (key.starts_with("accounts/")) {
        const Result<AccountRecord> account = decode_account(value);
        REQUIRE(account);
        add(account->key_pem);
        add(account->next_key_pem);
      } else if (key.starts_with("keys/unused/")) {
        add(value);
      } else if (key.ends_with("/pending")) {
        const Result<PendingOrder> pending = decode_pending_order(value);
        REQUIRE(pending);
        add(pending->key_pem);
      } else if (key.starts_with("certificates/") && !key.ends_with("/record")) {
        const Result<Generation> generation = decode_generation(value);
        REQUIRE(generation);
        add(generation->key_pem);
      }
    }
    return found;
  }
  /// The stored account is one that the CA knows by that key.
  void check_account_works() {
    const engine::Session connected = session();
    Result<Account> account = drive(find_stored_account(storage(), connected, lease()));
    REQUIRE_MESSAGE(account, (account ? "" : account.error().what()));
    Result<Account> shown = drive(engine::get_account(connected, *account));
    REQUIRE_MESSAGE(shown, (shown ? "" : shown.error().what()));
    CHECK(shown->status == AccountStatus::valid);
  }

  Disk disk;
  ManagerWorld managers;
};

/// What is tried with a crash at each of its asks.
struct Story {
  std::function<void(StoredWorld&)> prepare;
  std::function<Flow<Result<void>>(std::shared_ptr<Storage>, engine::Session)> act;
  std::function<void(StoredWorld&)> check;
  /// What the same call says if the first has done everything.
  Errc when_done = Errc::conflict;
};

/// In memory, and with one write: files are slow.
inline void prepare(StoredWorld& world, const Story& story) {
  const std::shared_ptr<Storage> disk = std::exchange(world.managers.storage, memory_storage());
  story.prepare(world);
  std::vector<Write> writes;
  for (const std::string& key : world.managers.keys("")) writes.emplace_back(key, world.managers.stored(key));
  world.managers.storage = disk;
  const std::shared_ptr<Storage> whole = world.disk.open_whole();
  if (!writes.empty()) REQUIRE(world.drive(whole->write(writes)));
}

/// Ends it at each ask, in each way, and makes the same call again: no key is lost, and what was begun is finished.
inline void tell_with_crashes(const Story& story) {
  using What = StepDriver::What;
  for (const Engine engine : {Engine::memory, Engine::single_writes, Engine::files}) {
    const int engine_number = static_cast<int>(engine);
    std::size_t asks = 0;  // not known yet
    int repeated = 0;
    for (std::size_t at = 0; asks == 0; ++at) {
      for (const What what : {What::crash_before, What::crash_after, What::cancel}) {
        if (what == What::cancel && engine == Engine::files) continue;  // as in memory
        const int what_number = static_cast<int>(what);
        CAPTURE(engine_number);
        CAPTURE(at);
        CAPTURE(what_number);
        StoredWorld world(engine);
        prepare(world, story);
        const std::set<std::string> keys_before = world.private_keys();
        const engine::Session session = world.session();
        bool ended = false;
        {
          StepDriver driver(world.managers.clock,
                            [&](const HttpRequest& request) { return world.managers.answer(request); });
          driver.at = at;
          driver.what = what;
          auto execution = std::make_unique<Execution<Result<void>>>(story.act(world.disk.open_asking(), session),
                                                                     [&] { return world.managers.clock.instant(); });
          driver.run(*execution, std::chrono::minutes(5), [] { return false; });
          if (execution->done()) {
            const Result<void> result = execution->result();
            ended = static_cast<bool>(result);
            if (at >= driver.asks) {
              REQUIRE_MESSAGE(ended, (ended ? "" : result.error().what()));
              asks = driver.asks;  // nothing has happened to it
            }
          }
          driver.leave();
        }
        const std::set<std::string> keys_between = world.private_keys();
        if (!ended) {
          Result<void> again = world.drive(story.act(world.disk.open(), world.session()));
          const bool was_done = !again && again.error().code() == story.when_done;
          REQUIRE_MESSAGE((again || was_done), (again ? "" : again.error().what()));
          ++repeated;
        }
        story.check(world);
        const std::set<std::string> keys_after = world.private_keys();
        CHECK(std::ranges::includes(keys_after, keys_before));
        CHECK(std::ranges::includes(keys_after, keys_between));
        if (asks > 0) break;
      }
    }
    CHECK(asks > 3);
    CHECK(repeated > static_cast<int>(asks) / 2);
    MESSAGE("engine ", engine_number, ": ", asks, " asks, ended early ", repeated, " times");
  }
}

}  // namespace culmen::test
