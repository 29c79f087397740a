// Storage for programs that block, and the persistence API on it.
#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "culmen/blocking/storage.hpp"
#include "culmen/error.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/persist_on_storage.hpp"
#include "support/one_at_a_time.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace culmen;
using std::chrono::seconds;
using test::TemporaryFolder;

namespace {

/// The same tests over each storage.
struct EachStorage {
  template <class Test>
  static void run(Test test) {
    SUBCASE("in memory") { test(memory_storage()); }
    SUBCASE("in files") {
      const TemporaryFolder folder;
      test(file_storage(folder.path()));
    }
  }
};

PersistKey account_of(const std::string& name) { return {"ops@example.com", PersistKind::account_key, name}; }
PersistKey certificate_of(const std::string& name) { return {"ops@example.com", PersistKind::certificate, name}; }
PersistKey key_of(const std::string& name) { return {"ops@example.com", PersistKind::private_key, name}; }

}  // namespace

TEST_CASE("blocking storage: every function") {
  EachStorage::run([](std::shared_ptr<Storage> engine) {
    CHECK_THROWS_AS(blocking::Storage(nullptr), Error);
    const blocking::Storage storage(std::move(engine));
    const blocking::Storage copy = storage;
    CHECK(storage.capabilities().many_in_one);
    CHECK_FALSE(storage.load_one("scratch/a"));
    const Revision first = storage.write_one(Write("scratch/a", "value"));
    CHECK(copy.load_one("scratch/a")->revision == first);
    Write create("scratch/a", "other");
    create.expected = Revision();
    try {
      storage.write_one(create);
      FAIL("it was created twice");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::conflict);
    }
    std::vector<Write> writes;
    writes.emplace_back("scratch/a", "new");
    writes.emplace_back("scratch/b", "new");
    CHECK(storage.write(writes).size() == 2);
    const auto values = storage.load({"scratch/b", "scratch/c", "scratch/a"});
    REQUIRE(values.size() == 3);
    CHECK(values[0]->value == "new");
    CHECK_FALSE(values[1]);
    CHECK(storage.list("scratch/").size() == 2);
    CHECK(storage.list("scratch/", "scratch/a", 10, true).at(0).stored.value == "new");

    const std::optional<Lease> lease = storage.acquire("scratch/a", "test", seconds(60));
    REQUIRE(lease);
    CHECK_FALSE(copy.acquire("scratch/a", "test", seconds(60)));
    CHECK(storage.renew({*lease}, seconds(60)).at(0)->token == lease->token);
    storage.release(*lease);
    CHECK(copy.acquire("scratch/a", "test", seconds(60))->token > lease->token);

    const std::string cursor = storage.changed("scratch/", "", seconds(1));
    CHECK(storage.changed("scratch/", cursor, seconds(0)) == cursor);
    auto changed =
        std::async(std::launch::async, [copy, cursor] { return copy.changed("scratch/", cursor, seconds(60)); });
    storage.write_one(Write("scratch/a", "changed"));
    CHECK(changed.get() != cursor);
    CHECK(storage.run(load_one(*memory_storage(), "x")) == std::nullopt);
  });
}

TEST_CASE("blocking storage: a wait ends at once when it is cancelled") {
  const TemporaryFolder folder;
  const CancelToken cancel;
  const blocking::Storage storage(file_storage(folder.path()), {}, cancel);
  const std::string cursor = storage.changed("", "", seconds(1));
  auto waiting = std::async(std::launch::async, [&] { return storage.changed("", cursor, seconds(600)); });
  cancel.cancel();
  try {
    waiting.get();
    FAIL("it was not cancelled");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::cancelled);
  }
}

TEST_CASE("persistence on a storage: keeps what it is given") {
  EachStorage::run([](std::shared_ptr<Storage> engine) {
    PersistOnStorage store{blocking::Storage(engine)};
    PersistOnStorage copy = store;
    CHECK(store.get(account_of("account")) == std::nullopt);
    store.put(account_of("account"), "first");
    CHECK(copy.get(account_of("account")) == "first");
    store.put(account_of("account"), "");
    CHECK(copy.get(account_of("account")) == "");
    const std::string octets = std::string("\0\xff\r\n 7 -\n", 10);
    CHECK(store.get_certificate("ops@example.com", "*.Example") == std::nullopt);
    store.put(certificate_of("*.Example"), "certificate");
    CHECK(store.get(key_of("*.Example")) == std::nullopt);
    CHECK(store.get_certificate("ops@example.com", "*.Example") == std::nullopt);
    store.put(key_of("*.Example"), octets);
    CHECK(copy.get_certificate("ops@example.com", "*.Example") == PersistedCertificate(octets, "certificate"));
    store.put_certificate("ops@example.com", "*.Example", PersistedCertificate("new key", "new certificate"));
    CHECK(copy.get(key_of("*.Example")) == "new key");
    CHECK(copy.get(certificate_of("*.Example")) == "new certificate");

    const blocking::Storage storage(engine);
    const auto items = storage.list("realms/");
    REQUIRE(items.size() == 2);
    CHECK(items[0].key == "realms/ops@example.com/account_key/account");
    CHECK(items[1].key == "realms/ops@example.com/certificate/%2a.%45xample");
    storage.write_one(Write(items[1].key, "something else"));
    try {
      (void)store.get(key_of("*.Example"));
      FAIL("it was read");
    } catch (const Error& error) {
      CHECK(contains(error.what(), items[1].key));
    }
    CHECK_THROWS_AS(store.put(key_of("*.Example"), "key"), Error);
    CHECK_THROWS_AS(store.put(account_of(std::string(600, 'x')), "key"), Error);
  });
}

TEST_CASE("persistence on a storage: a certificate and its key are one write, with every engine") {
  PersistOnStorage store{blocking::Storage(std::make_shared<test::OneAtATime>())};
  store.put_certificate("a", "b", PersistedCertificate("key", "certificate"));
  CHECK(store.get_certificate("a", "b") == PersistedCertificate("key", "certificate"));
  store.put(PersistKey("a", PersistKind::private_key, "b"), "new key");
  CHECK(store.get_certificate("a", "b") == PersistedCertificate("new key", "certificate"));
}

TEST_CASE("persistence on a storage: halves put at the same time are both there afterwards") {
  EachStorage::run([](std::shared_ptr<Storage> engine) {
    for (int round = 0; round < 10; ++round) {
      const std::string name = std::to_string(round);
      const auto put = [&engine, &name](PersistKind kind) {
        PersistOnStorage store{blocking::Storage(engine)};
        store.put(PersistKey("a", kind, name), "value");
      };
      std::thread one(put, PersistKind::certificate), other(put, PersistKind::private_key);
      one.join();
      other.join();
      PersistOnStorage store{blocking::Storage(engine)};
      CHECK(store.get_certificate("a", name) == PersistedCertificate("value", "value"));
    }
  });
}
