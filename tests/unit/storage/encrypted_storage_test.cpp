#include "culmen/encrypted_storage.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "culmen/cas_leases.hpp"
#include "culmen/error.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/records.hpp"
#include "support/virtual_storage.hpp"

using namespace culmen;

namespace {

StorageKey storage_key(const std::string& id, std::uint8_t octet) { return StorageKey(id, Bytes(32, octet)); }

std::vector<StorageKey> one_key() { return {storage_key("k1", 1)}; }

}  // namespace

TEST_CASE("encrypted storage: conforms") {
  const std::shared_ptr<Storage> memory = memory_storage();
  CHECK(test::conformance_failures(StorageUnderTest([memory] { return encrypted_storage(memory, one_key()); })) == "");
}

TEST_CASE("encrypted storage: what has private keys is not readable in the store, the rest is") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const std::shared_ptr<Storage> storage = encrypted_storage(memory, one_key());
  const std::string ca = "https://ca.example/dir";
  for (const std::string& key :
       {account_key_of(ca), generation_key("a", 12), pending_order_key("a"), unused_key_of("19700101T000000Z", "ab")}) {
    CAPTURE(key);
    REQUIRE(time.drive(write_one(*storage, Write(key, "a secret"))));
    const std::string stored = time.drive(load_one(*memory, key)).value()->value;
    CHECK(stored.starts_with("culmen-enc 1 k1\n"));
    CHECK(stored.find("secret") == std::string::npos);
    CHECK(time.drive(load_one(*storage, key)).value()->value == "a secret");
  }
  for (const std::string& key : {certificate_record_key("a"), rates_key(ca, "b"), challenge_key("http-01", "c")}) {
    CAPTURE(key);
    REQUIRE(time.drive(write_one(*storage, Write(key, "no secret"))));
    CHECK(time.drive(load_one(*memory, key)).value()->value == "no secret");
  }
  // What was stored before there was a key, and its replacement.
  const std::string key = pending_order_key("b");
  REQUIRE(time.drive(write_one(*memory, Write(key, "plain"))));
  const StoredValue plain = *time.drive(load_one(*storage, key)).value();
  CHECK(plain.value == "plain");
  Write replacement(key, "plain");
  replacement.expected = plain.revision;
  REQUIRE(time.drive(write_one(*storage, replacement)));
  CHECK(time.drive(load_one(*memory, key)).value()->value.starts_with("culmen-enc 1 k1\n"));
}

TEST_CASE("encrypted storage: keys are replaced one after the other, and errors name them") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const std::string key = pending_order_key("a");
  const auto load = [&](std::vector<StorageKey> keys) {
    const std::shared_ptr<Storage> storage = encrypted_storage(memory, std::move(keys));
    // What cannot be decrypted hides nothing else in a list.
    const auto listed = time.drive(storage->list("certificates/", "", 10, true)).value();
    const auto loaded = time.drive(load_one(*storage, key));
    REQUIRE(listed.size() == 1);
    CHECK(listed.front().key == key);
    CHECK(listed.front().stored.revision.none() == !loaded.has_value());
    CHECK(listed.front().stored.value == (loaded ? (*loaded)->value : ""));
    if (loaded) return (*loaded)->value;
    CHECK(loaded.error().code() == Errc::crypto_failed);
    return std::string(loaded.error().what());
  };
  REQUIRE(time.drive(write_one(*encrypted_storage(memory, one_key()), Write(key, "a secret"))));
  CHECK(load(one_key()) == "a secret");
  CHECK(load({storage_key("k2", 2), storage_key("k1", 1)}) == "a secret");
  CHECK(load({storage_key("k2", 2), storage_key("k3", 3)}) ==
        "decrypting the value of \"certificates/a/pending\": it is encrypted with the key \"k1\", which is not among "
        "those "
        "given (\"k2\", \"k3\")");
  CHECK(load({storage_key("k1", 9)}).find("the key \"k1\" does not decrypt it") != std::string::npos);

  const std::shared_ptr<Storage> next = encrypted_storage(memory, {storage_key("k2", 2), storage_key("k1", 1)});
  REQUIRE(time.drive(write_one(*next, Write(key, "a new secret"))));
  CHECK(load({storage_key("k2", 2)}) == "a new secret");

  // A value in another place, or damaged.
  std::string stored = time.drive(load_one(*memory, key)).value()->value;
  REQUIRE(time.drive(write_one(*memory, Write(pending_order_key("b"), stored))));
  CHECK(!time.drive(load_one(*next, pending_order_key("b"))));
  for (const std::size_t size : {std::size_t{13}, std::size_t{15}, std::size_t{16}, stored.size() - 1}) {
    CAPTURE(size);
    REQUIRE(time.drive(write_one(*memory, Write(key, stored.substr(0, size)))));
    CHECK(!time.drive(load_one(*next, key)));
  }
}

TEST_CASE("encrypted storage: keys that are not valid") {
  const auto error_of = [](std::vector<StorageKey> keys) -> std::string {
    try {
      (void)encrypted_storage(memory_storage(), std::move(keys));
    } catch (const Error& error) {
      CHECK(error.code() == Errc::invalid_argument);
      return error.detail();
    }
    return "";
  };
  CHECK(error_of(one_key()) == "");
  CHECK(error_of({}) == "there is no key");
  CHECK(error_of({StorageKey("k1", Bytes(31, 1))}) == "the key \"k1\" has 31 octets; it needs 32");
  CHECK(error_of({storage_key("k1", 1), storage_key("k1", 2)}) == "there are two keys \"k1\"");
  for (const char* id : {"", "K", "a b", "a\n"}) {
    CHECK(error_of({storage_key(id, 1)}).find("is not the id of a key") != std::string::npos);
  }
}

TEST_CASE("encrypted storage: a kind of key that is not known is encrypted") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const std::shared_ptr<Storage> storage = encrypted_storage(memory, one_key());
  for (const char* key : {"realms/r/account_key/a", "realms/r/certificate/a", "x", "new/kind",
                          "certificates/a/b/record", "certificates/record", "accounts/a/record", "keys/other"}) {
    CAPTURE(key);
    REQUIRE(time.drive(write_one(*memory, Write(key, "plain"))));
    CHECK(time.drive(load_one(*storage, key)).value()->value == "plain");  // from before
    REQUIRE(time.drive(write_one(*storage, Write(key, "a secret"))));
    CHECK(time.drive(load_one(*memory, key)).value()->value.starts_with("culmen-enc 1 k1\n"));
    CHECK(time.drive(load_one(*storage, key)).value()->value == "a secret");
  }
}

TEST_CASE("encrypted storage: what a later version encrypted is an error") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const std::string key = pending_order_key("a");
  REQUIRE(time.drive(write_one(*memory, Write(key, "culmen-enc 2 k1\nabc"))));
  const auto loaded = time.drive(load_one(*encrypted_storage(memory, one_key()), key));
  REQUIRE(!loaded);
  CHECK(loaded.error().code() == Errc::crypto_failed);
  CHECK(loaded.error().detail().find("a newer version wrote it") != std::string::npos);
}

TEST_CASE("storages around others refuse nullptr and what they cannot wrap") {
  const auto code_of = [](const std::function<void()>& wrap) {
    try {
      wrap();
    } catch (const Error& error) {
      return error.code();
    }
    return Errc::io_failed;
  };
  CHECK(code_of([] { (void)encrypted_storage(nullptr, one_key()); }) == Errc::invalid_argument);
  CHECK(code_of([] { (void)cas_leases(nullptr); }) == Errc::invalid_argument);
  CHECK(code_of([] { (void)encrypted_storage(file_storage("/x"), one_key()); }) == Errc::invalid_argument);
  CHECK(code_of([] { (void)cas_leases(file_storage("/x")); }) == Errc::invalid_argument);
}
