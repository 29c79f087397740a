#include "culmen/key_file_accounts.hpp"

#include <doctest/doctest.h>

#include "culmen/error.hpp"
#include "culmen/records.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/virtual_storage.hpp"

using namespace culmen;
using test::file_text;
using Names = std::vector<std::string>;

namespace {

const std::string ca = "https://ca.example:14000/dir";
const std::string key_pem = test_data("keys/p256.pkcs8.pem"), next_pem = test_data("keys/rsa2048.pkcs8.pem");

/// A storage in memory with an account of its own, and around it one whose account is in a file.
struct World {
  test::VirtualTime time;
  test::TemporaryFolder folder;
  std::shared_ptr<Storage> inner = memory_storage();
  std::shared_ptr<Storage> storage = with_key_file_account(inner, folder / "my.key");

  AccountRecord account(const std::string& server = ca) {
    const Result<std::optional<StoredValue>> loaded = time.drive(load_one(*storage, account_key_of(server)));
    return decode_account(loaded.value().value().value).value();
  }
  Result<Revision> put(const AccountRecord& record, std::optional<Revision> expected = std::nullopt) {
    Write write(account_key_of(ca), encode(record));
    write.expected = std::move(expected);
    return time.drive(write_one(*storage, write));
  }
};

AccountRecord record(const std::string& url, const std::string& next = "") {
  AccountRecord made;
  made.key_pem = key_pem;
  made.url = url;
  made.next_key_pem = next;
  return made;
}

}  // namespace

TEST_CASE("key file accounts: the account is in the files, everything else in the storage") {
  World world;
  const std::string other = certificate_record_key("a");
  REQUIRE(world.time.drive(write_one(*world.inner, Write(account_key_of(ca), "of the storage"))));
  REQUIRE(world.time.drive(write_one(*world.storage, Write(other, "x"))));
  CHECK(world.time.drive(load_one(*world.inner, other)).value()->value == "x");
  CHECK_FALSE(world.time.drive(load_one(*world.storage, account_key_of(ca))).value());

  const Result<Revision> made = world.put(record("https://ca.example:14000/account/1"), Revision());
  REQUIRE(made);
  CHECK(world.folder.names() == Names{"my.key", "my.key.account-url"});
  CHECK(file_text(world.folder / "my.key") == key_pem);
  CHECK(test::mode_of(world.folder / "my.key") == 0600);
  CHECK(file_text(world.folder / "my.key.account-url") == "https://ca.example:14000/account/1\n");
  const auto all = world.time.drive(world.storage->load({other, account_key_of(ca), certificate_record_key("b")}));
  REQUIRE(all);
  CHECK((*all)[0]->value == "x");
  CHECK((*all)[1]->revision == *made);
  CHECK_FALSE((*all)[2]);
  CHECK(world.time.drive(load_one(*world.inner, account_key_of(ca))).value()->value == "of the storage");
}

TEST_CASE("key file accounts: a rollover keeps both keys until it is done") {
  World world;
  const std::string url = "https://ca.example:14000/account/1";
  Result<Revision> revision = world.put(record(url, next_pem));
  REQUIRE(revision);
  CHECK(file_text(world.folder / "my.key.new") == next_pem);
  CHECK(world.account().next_key_pem == next_pem);
  AccountRecord after = record(url);
  after.key_pem = next_pem;
  REQUIRE(world.put(after, *revision));
  CHECK(world.folder.names() == Names{"my.key", "my.key.account-url"});
  CHECK(world.account().key_pem == next_pem);
  // The key that is replaced is kept.
  REQUIRE(world.time.drive(write_one(*world.storage, Write(unused_key_of("19700101T000000Z", "ab"), key_pem))));
  CHECK(file_text(world.folder / "my.key.unused-19700101t000000z-ab") == key_pem);
}

TEST_CASE("key file accounts: a key may be used with several CAs, and its URL counts at its own") {
  World world;
  world.folder.write("my.key", key_pem);
  CHECK(world.account().url == "");
  world.folder.write("my.key.account-url", "https://ca.example:14000/account/1\r\n");
  CHECK(world.account().url == "https://ca.example:14000/account/1");
  CHECK(world.account("https://other.example/dir").url == "");
  CHECK(world.account("https://ca.example/dir").url == "");
}

TEST_CASE("key file accounts: what cannot be, names the file and changes nothing") {
  World world;
  const std::string file = world.folder.write("my.key", "no key");
  const Result<std::optional<StoredValue>> damaged = world.time.drive(load_one(*world.storage, account_key_of(ca)));
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code() == Errc::crypto_failed);
  CHECK(contains(damaged.error().what(), "reading the account key " + file));
  CHECK_FALSE(world.put(record("")));
  CHECK(file_text(file) == "no key");

  world.folder.write("my.key", key_pem);
  const Result<Revision> conflict = world.put(record("https://ca.example:14000/account/1"), Revision("another"));
  REQUIRE_FALSE(conflict);
  CHECK(conflict.error().code() == Errc::conflict);
  const Result<Revision> removed = world.time.drive(write_one(*world.storage, Write(account_key_of(ca))));
  REQUIRE_FALSE(removed);
  CHECK(removed.error().code() == Errc::invalid_argument);
  CHECK(world.folder.names() == Names{"my.key"});
}
