// The manager over each of its motors, with real sockets.
#include "culmen/manager.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <poll.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "culmen/asio/manager.hpp"
#include "culmen/certificate.hpp"
#include "culmen/records.hpp"
#include "culmen/test_ca.hpp"
#include "support/storage_around.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

namespace {

/// Long enough for a machine that is busy with something else.
constexpr std::chrono::seconds generous(60);

/// A CA that asks the manager for the answers to its challenges.
class ManagerFixture {
 public:
  ManagerFixture() : ca_(ca_options()) {
    ca_.start();
    root_.emplace(ca_.root_pem());
  }
  ~ManagerFixture() {
    const std::lock_guard lock(mutex_);
    manager_.reset();
  }

  ManagerOptions options(std::vector<std::string> names) {
    ManagerOptions options;
    options.names = std::move(names);
    options.agree_tos = true;
    options.storage = storage;
    options.cas.resize(1);
    options.cas[0].directory = ca_.directory_url();
    options.client.transport.extra_root_file = root_->path();
    options.client.session.nonce_retries = 10;
    options.on_event = [this](const ManagerEvent& event) {
      const std::lock_guard lock(mutex_);
      events_ += to_text(event) + "\n";
      if (event.kind == ManagerEvent::Kind::issuing) ++issuing_;
      changed_.notify_all();
    };
    options.installed = [this](const InstalledCertificate& certificate) {
      const std::lock_guard lock(mutex_);
      installed_.push_back(certificate);
      changed_.notify_all();
    };
    return options;
  }
  /// Whose http-01 answers the CA sees.
  void serve(const Manager& manager) {
    const std::lock_guard lock(mutex_);
    manager_ = manager;
  }
  void serve_nobody() {
    std::optional<Manager> dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(manager_);
  }

  TestCa& ca() { return ca_; }
  std::string events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<InstalledCertificate> installed() {
    const std::lock_guard lock(mutex_);
    return installed_;
  }
  bool wait_for_installed(std::size_t number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, generous, [&] { return installed_.size() >= number; });
  }
  bool wait_for_issuing() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, generous, [&] { return issuing_ > 0; });
  }

  std::shared_ptr<Storage> storage = memory_storage();

 private:
  TestCaOptions ca_options() {
    TestCaOptions options;
    options.validate = [this](const TestCaValidation& validation) -> std::optional<std::string> {
      std::optional<Manager> manager;
      {
        const std::lock_guard lock(mutex_);
        manager = manager_;
      }
      if (!manager) return "nobody serves";
      const auto answer = manager->http01("/.well-known/acme-challenge/" + validation.token);
      if (!answer) return "no answer";
      return *answer == validation.key_authorization ? std::nullopt : std::optional<std::string>("another answer");
    };
    return options;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Manager> manager_;
  std::string events_;
  std::vector<InstalledCertificate> installed_;
  int issuing_ = 0;
  TestCa ca_;
  std::optional<TemporaryFile> root_;
};

// The motors under one face: start() runs the manager, stop() ends it.

class ThreadMotor {
 public:
  void start(Manager manager) {
    manager_ = std::move(manager);
    manager_->start_thread();
    CHECK_THROWS_AS(manager_->start_thread(), Error);
    CHECK_THROWS_AS((void)manager_->run_once(), Error);
  }
  void stop() { manager_->stop(); }
  void drop() { manager_.reset(); }

 private:
  std::optional<Manager> manager_;
};

/// An event loop on poll(), on a thread of its own.
class LoopMotor {
 public:
  void start(Manager manager) {
    thread_ = std::thread([this, held = std::optional<Manager>(std::move(manager))]() mutable {
      const int descriptor = held->fd();
      for (;;) {
        pollfd one{descriptor, POLLIN, 0};
        ::poll(&one, 1, 20);
        held->process();
        const std::lock_guard lock(mutex_);
        if (stops_) break;
      }
      if (drops_) {
        held.reset();
      } else {
        held->stop();
      }
    });
  }
  void stop() { end(false); }
  void drop() { end(true); }
  ~LoopMotor() {
    if (thread_.joinable()) stop();
  }

 private:
  void end(bool drops) {
    {
      const std::lock_guard lock(mutex_);
      drops_ = drops;
      stops_ = true;
    }
    thread_.join();
  }
  std::mutex mutex_;
  bool stops_ = false, drops_ = false;
  std::thread thread_;
};

class AsioMotor {
 public:
  void start(Manager manager) {
    manager_ = manager;
    boost::asio::co_spawn(context_, run(std::move(manager)),
                          boost::asio::bind_cancellation_slot(signal_.slot(), [this](const std::exception_ptr& thrown) {
                            failed_ = thrown != nullptr;
                            ended_ = true;
                          }));
    thread_ = std::thread([this] { context_.run(); });
  }
  void stop() {
    manager_->stop();
    thread_.join();
    CHECK(ended_);
    CHECK(!failed_);
  }
  /// Here the coroutine holds the last handle: it is cancelled.
  void drop() {
    manager_.reset();
    boost::asio::post(context_, [this] { signal_.emit(boost::asio::cancellation_type::terminal); });
    thread_.join();
    CHECK(ended_);
    CHECK(!failed_);
  }
  ~AsioMotor() {
    if (thread_.joinable()) stop();
  }

 private:
  boost::asio::io_context context_;
  boost::asio::cancellation_signal signal_;
  std::optional<Manager> manager_;
  bool ended_ = false, failed_ = false;
  std::thread thread_;
};

template <class Check>
void with_each_motor(Check check) {
  SUBCASE("thread") {
    ThreadMotor motor;
    check(motor);
  }
  SUBCASE("event loop") {
    LoopMotor motor;
    check(motor);
  }
  SUBCASE("Asio") {
    AsioMotor motor;
    check(motor);
  }
}

/// Hangs in calls that nobody can interrupt, from hang() on.
class StuckStorage final : public StorageAround {
 public:
  explicit StuckStorage(std::chrono::seconds longest) : StorageAround(memory_storage()) { shared_->longest = longest; }
  ~StuckStorage() override { go_on(); }
  void hang() {
    const std::lock_guard lock(shared_->mutex);
    shared_->hangs = true;
  }
  void go_on() {
    const std::lock_guard lock(shared_->mutex);
    shared_->hangs = false;
    shared_->changed.notify_all();
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    Result<void> called = co_await call_storing(wait_function());
    if (!called) co_return called.error();
    co_return co_await inner->load(std::move(keys));
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    Result<void> called = co_await call_storing(wait_function());
    if (!called) co_return called.error();
    co_return co_await inner->write(std::move(writes));
  }
  Flow<Result<void>> release(Lease lease) override {
    Result<void> called = co_await call_storing(wait_function());
    if (!called) co_return called;
    co_return co_await inner->release(std::move(lease));
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool hangs = false;
    std::chrono::seconds longest{0};
  };
  std::function<Result<void>()> wait_function() {
    return [shared = shared_]() -> Result<void> {
      std::unique_lock lock(shared->mutex);
      shared->changed.wait_for(lock, shared->longest, [&] { return !shared->hangs; });
      return {};
    };
  }
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

TEST_CASE("manager: issues, serves its challenges, renews on demand and stops, over each motor") {
  with_each_motor([](auto& motor) {
    ManagerFixture fixture;
    const Manager manager(fixture.options({"a.example", "b.example"}));
    Manager used = manager;
    fixture.serve(manager);
    motor.start(manager);
    REQUIRE_MESSAGE(fixture.wait_for_installed(1), fixture.events());
    CHECK(used.renew_now("a.example", "test"));
    REQUIRE_MESSAGE(fixture.wait_for_installed(2), fixture.events());
    const std::vector<InstalledCertificate> installed = fixture.installed();
    CHECK(installed[0].key_pem != installed[1].key_pem);
    CHECK(Certificate::from_pem(installed[1].chain_pem).matches(PrivateKey::from_pem(installed[1].key_pem)));
    const std::optional<InstalledCertificate> current = used.current("a.example");
    REQUIRE(current);
    CHECK(current->generation == 2);
    CHECK(current->key_pem == installed[1].key_pem);
    CHECK(used.status().size() == 1);
    CHECK(!used.http01("/.well-known/acme-challenge/nothing"));
    motor.stop();
    used.stop();  // does nothing
    CHECK(fixture.ca().request_counts().at("new-order") == 2);
    // It can be started again, in another way.
    fixture.ca().reset_counts();
    const RunSummary summary = used.run_once();
    CHECK(summary.looked_at == 1);
    CHECK(summary.issued.empty());
    CHECK(summary.failed.empty());
  });
}

TEST_CASE("manager: run_once blocks until all is done, and can be cancelled") {
  ManagerFixture fixture;
  Manager manager(fixture.options({"a.example"}));
  fixture.serve(manager);
  const RunSummary summary = manager.run_once();
  CHECK(summary.issued == std::vector<std::string>{"a.example"});
  CHECK(fixture.installed().size() == 1);
  CHECK(manager.current("a.example"));
  const CancelToken token;
  token.cancel();
  CHECK(manager.renew_now("a.example", "test"));
  CHECK_THROWS_AS((void)manager.run_once(token), Error);
}

TEST_CASE("manager: the last handle stops it") {
  with_each_motor([](auto& motor) {
    ManagerFixture fixture;
    {
      Manager manager(fixture.options({"a.example"}));
      fixture.serve(manager);
      motor.start(std::move(manager));
    }
    REQUIRE_MESSAGE(fixture.wait_for_installed(1), fixture.events());
    fixture.serve_nobody();
    motor.drop();
    CHECK(fixture.installed().size() == 1);
  });
}

TEST_CASE("manager: stops within two seconds in the middle of an order, also while storage hangs") {
  for (const bool hangs : {false, true}) {
    CAPTURE(hangs);
    with_each_motor([hangs](auto& motor) {
      ManagerFixture fixture;
      // The coroutine ends when its flow does: no sooner than the storage, which may take two seconds for each step.
      const bool waits = std::is_same_v<decltype(motor), AsioMotor&>;
      const auto storage = std::make_shared<StuckStorage>(waits ? std::chrono::seconds(2) : generous);
      fixture.storage = storage;
      TestCaFault slow("authz", TestCaFault::Kind::slow);
      slow.times = 1000;
      slow.delay = 20s;
      fixture.ca().plan(slow);
      const Manager manager(fixture.options({"a.example"}));
      fixture.serve(manager);
      motor.start(manager);
      REQUIRE_MESSAGE(fixture.wait_for_issuing(), fixture.events());
      if (hangs) storage->hang();
      const auto begin = SteadyClock::now();
      motor.stop();
      const auto took = SteadyClock::now() - begin;
      CHECK(took < 10s);  // two, on a machine that has nothing else to do
      MESSAGE("stopped in ", std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), " ms");
      storage->go_on();
    });
  }
}

TEST_CASE("manager: several threads may stop it, also while it starts") {
  ManagerFixture fixture;
  Manager manager(fixture.options({"a.example"}));
  for (int round = 0; round < 50; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&manager] { manager.stop(); });
    manager.start_thread();
    for (int i = 0; i < 3; ++i) threads.emplace_back([&manager] { manager.stop(); });
    for (std::thread& thread : threads) thread.join();
    manager.stop();
  }
  manager.start_thread();  // it is stopped for sure, and can run again
  manager.stop();
}

TEST_CASE("manager: a callback inside process() may stop it, or destroy the last handle") {
  bool destroys = false;
  SUBCASE("stop") {}
  SUBCASE("destroy") { destroys = true; }
  ManagerFixture fixture;
  std::optional<Manager> manager;
  bool called = false;
  ManagerOptions options = fixture.options({"a.example"});
  options.on_event = [&](const ManagerEvent&) {
    if (std::exchange(called, true)) return;
    if (destroys) {
      manager.reset();
    } else {
      manager->stop();
    }
  };
  manager.emplace(std::move(options));
  const int descriptor = manager->fd();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!called && std::chrono::steady_clock::now() < limit) {
    pollfd readable{descriptor, POLLIN, 0};
    ::poll(&readable, 1, 1000);
    manager->process();
  }
  CHECK(called);
  CHECK(manager.has_value() != destroys);
}

TEST_CASE("manager: process() does not start it") {
  ManagerFixture fixture;
  Manager manager(fixture.options({"a.example"}));
  manager.process();
  (void)manager.fd();
  manager.process();
  manager.stop();
  manager.process();
  manager.start_thread();  // throws if it runs
  manager.stop();
}

TEST_CASE("manager: a callback may destroy the last handle") {
  // The thread outlives the handle for a moment, so what it uses is shared.
  struct Holder {
    std::mutex mutex;
    std::optional<Manager> manager;
  };
  const auto holder = std::make_shared<Holder>();
  ManagerOptions options;
  options.names = {"a.example"};
  options.storage = memory_storage();
  options.cas.resize(1);
  options.cas[0].directory = "https://127.0.0.1:1/directory";
  options.on_event = [holder](const ManagerEvent&) {
    std::optional<Manager> dropped;
    const std::lock_guard lock(holder->mutex);
    dropped.swap(holder->manager);
  };
  const std::weak_ptr<Storage> storage = options.storage;
  {
    const std::lock_guard lock(holder->mutex);
    holder->manager.emplace(std::move(options));
    holder->manager->start_thread();
  }
  options = ManagerOptions();
  const auto limit = SteadyClock::now() + generous;
  while (!storage.expired() && SteadyClock::now() < limit) std::this_thread::sleep_for(5ms);
  CHECK(storage.expired());
}

TEST_CASE("manager: options that are not valid throw") {
  const ManagerOptions without_storage;
  CHECK_THROWS_AS((void)Manager(without_storage), Error);
  ManagerFixture fixture;
  ManagerOptions options = fixture.options({"a.example"});
  options.client.transport.extra_root_file = "/nowhere/root.pem";
  Manager manager(std::move(options));
  CHECK_THROWS_AS(manager.start_thread(), Error);
  CHECK_THROWS_AS((void)manager.fd(), Error);
  CHECK_THROWS_AS((void)manager.run_once(), Error);
  manager.stop();
}
