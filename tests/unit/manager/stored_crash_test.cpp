// Each change of stored certificates and accounts, ended at each of its asks.
#include "support/stored_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {

LeaseOptions test_lease() { return StoredWorld::lease(); }

/// An order in progress, with that key.
void store_pending_order(StoredWorld& world, const std::string& key_pem) {
  PendingOrder pending;
  pending.order_url = "https://ca0.test/acme/order/1";
  pending.server = world.managers.directory();
  pending.names = {"a.example"};
  pending.key_type = "ec:P-256";
  pending.key_pem = key_pem;
  world.managers.store(pending_order_key("a.example"), encode(pending));
}

void check_no_certificate(StoredWorld& world, const std::string& id) {
  for (const std::string& key : world.managers.keys("certificates/")) {
    CHECK(!key.starts_with(certificate_lease(id) + "/"));
  }
  if (world.disk.is_files()) CHECK(!std::filesystem::exists(world.certificate_folder(id)));
}

}  // namespace

TEST_CASE("stored certificates: a removal that ends anywhere loses no key, and is finished by the same call") {
  Story story;
  story.prepare = [](StoredWorld& world) {
    world.issue();
    store_pending_order(world, PrivateKey::generate().to_pem());
  };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session) {
    return without_value(remove_certificate(std::move(storage), "a.example", test_lease()));
  };
  story.check = [](StoredWorld& world) {
    check_no_certificate(world, "a.example");
    CHECK(world.list().empty());
    CHECK(world.managers.keys("keys/unused/").size() == 2);
  };
  story.when_done = Errc::not_found;
  tell_with_crashes(story);
}

TEST_CASE(
    "stored certificates: renaming that ends anywhere leaves one of both whole, and is finished by the same call") {
  Story story;
  story.prepare = [](StoredWorld& world) {
    world.issue();
    world.issue({"a.example"}, true);
    store_pending_order(world, PrivateKey::generate().to_pem());
    CHECK(world.managers.keys("certificates/").size() == 4);
  };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session) {
    return rename_certificate(std::move(storage), "a.example", "b.example", test_lease());
  };
  story.check = [](StoredWorld& world) {
    check_no_certificate(world, "a.example");
    const std::vector<StoredCertificate> all = world.list();
    REQUIRE(all.size() == 1);
    CHECK(all.front().id == "b.example");
    CHECK(all.front().damage.empty());
    REQUIRE(all.front().live);
    check_pair(*all.front().live, {"a.example"});
    CHECK(all.front().pending);
    REQUIRE(all.front().record.spec);
    CHECK(id_of(*all.front().record.spec) == "b.example");
    CHECK(world.managers.keys("certificates/").size() == 4);
    CHECK(world.managers.keys("keys/").empty());
  };
  story.when_done = Errc::not_found;
  tell_with_crashes(story);
}

TEST_CASE("stored certificates: an import that ends anywhere is finished by the same call") {
  TestCaOptions options;
  StoredWorld elsewhere(Engine::memory, options);
  elsewhere.issue({"imported.example"});
  const Generation generation = *elsewhere.managers.live("imported.example");
  Story story;
  story.prepare = [](StoredWorld&) {};
  story.act = [generation](std::shared_ptr<Storage> storage, engine::Session) {
    CertificateRecord record;
    record.server = "https://ca.test/directory";
    return import_certificate(std::move(storage), "imported.example", record, generation, test_lease());
  };
  story.check = [generation](StoredWorld& world) {
    const std::vector<StoredCertificate> all = world.list();
    REQUIRE(all.size() == 1);
    CHECK(all.front().damage.empty());
    REQUIRE(all.front().live);
    CHECK(all.front().live->chain_pem == generation.chain_pem);
    CHECK(all.front().record.names == std::vector<std::string>{"imported.example"});
    CHECK(all.front().record.key_type == "ec:P-256");
    CHECK(!all.front().record.certificate_id.empty());
    CHECK(all.front().record.not_after == Certificate::from_pem(generation.chain_pem).not_after);
  };
  tell_with_crashes(story);
}

TEST_CASE("stored certificates: a revocation that ends anywhere is finished by the same call") {
  Story story;
  story.prepare = [](StoredWorld& world) {
    world.issue();
    store_pending_order(world, world.managers.live()->key_pem);
  };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session session) {
    return without_value(revoke_stored_certificate(std::move(storage), session, "a.example", 1, test_lease()));
  };
  story.check = [](StoredWorld& world) {
    CHECK(world.ca().is_revoked(world.ca().issued().front()));
    const CertificateRecord record = *world.managers.record();
    CHECK(record.revoked.starts_with("2026-"));
    CHECK(record.key_compromised);
    CHECK(!world.managers.stored(pending_order_key("a.example")));
    CHECK(world.managers.keys("keys/unused/").size() == 1);
    CHECK(world.ca().sizes().accounts == 1);
  };
  tell_with_crashes(story);
}

TEST_CASE("stored accounts: a registration that ends anywhere makes one account") {
  Story story;
  story.prepare = [](StoredWorld&) {};
  story.act = [](std::shared_ptr<Storage> storage, engine::Session session) {
    return without_value(register_stored_account(std::move(storage), session, "ec:P-384", {}, false, test_lease()));
  };
  story.check = [](StoredWorld& world) {
    CHECK(world.ca().sizes().accounts == 1);
    world.check_account_works();
    CHECK(world.private_keys().size() == 1);
  };
  tell_with_crashes(story);
}

TEST_CASE("stored accounts: an import that ends anywhere is finished by the same call, and loses no key") {
  const AccountKey imported = AccountKey::generate();
  const AccountKey unused = AccountKey::generate();
  for (const bool is_replacing : {false, true}) {
    Story story;
    story.prepare = [&](StoredWorld& world) {
      AccountRecord record;
      record.key_pem = unused.to_pem();
      if (is_replacing) world.managers.store(account_key_of(world.managers.directory()), encode(record));
    };
    story.act = [imported](std::shared_ptr<Storage> storage, engine::Session session) {
      return import_account(std::move(storage), session.directory_url(), Account("https://ca.test/account/7", imported),
                            test_lease());
    };
    story.check = [&](StoredWorld& world) {
      const Result<AccountRecord> record =
          decode_account(*world.managers.stored(account_key_of(world.managers.directory())));
      REQUIRE(record);
      CHECK(record->url == "https://ca.test/account/7");
      CHECK(record->directory_url == world.managers.directory());
      CHECK(PrivateKey::from_pem(record->key_pem).same_key_as(imported.private_key()));
      CHECK(world.managers.keys("keys/unused/").size() == (is_replacing ? 1 : 0));
      CHECK(world.ca().sizes().accounts == 0);
    };
    tell_with_crashes(story);
  }
}

TEST_CASE("stored accounts: a new account in place of another keeps the old key, wherever that ends") {
  Story story;
  story.prepare = [](StoredWorld& world) { world.issue(); };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session session) {
    return without_value(register_stored_account(std::move(storage), session, "", {}, true, test_lease()));
  };
  story.check = [](StoredWorld& world) {
    // One more if the new account was stored, and nobody heard of it.
    CHECK(world.ca().sizes().accounts >= 2);
    CHECK(world.ca().sizes().accounts <= 3);
    world.check_account_works();
    CHECK(world.managers.keys("keys/unused/").size() == world.ca().sizes().accounts - 1);
  };
  tell_with_crashes(story);
}

TEST_CASE("stored accounts: a key change that ends anywhere loses neither the account nor a key") {
  Story story;
  story.prepare = [](StoredWorld& world) { world.issue(); };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session session) {
    return without_value(change_stored_account_key(std::move(storage), session, "", test_lease()));
  };
  story.check = [](StoredWorld& world) {
    CHECK(world.ca().sizes().accounts == 1);
    world.check_account_works();
    CHECK(!world.managers.keys("keys/unused/").empty());
    const Result<AccountRecord> record =
        decode_account(*world.managers.stored(account_key_of(world.managers.directory())));
    REQUIRE(record);
    CHECK(record->next_key_pem.empty());
  };
  tell_with_crashes(story);
}

TEST_CASE("stored accounts: a deactivation that ends anywhere is finished by the same call, and keeps the key") {
  Story story;
  story.prepare = [](StoredWorld& world) { world.issue(); };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session session) {
    return without_value(deactivate_stored_account(std::move(storage), session, test_lease()));
  };
  story.check = [](StoredWorld& world) {
    CHECK(world.managers.keys("accounts/").empty());
    const std::vector<std::string> unused = world.managers.keys("keys/unused/");
    REQUIRE(unused.size() == 1);
    const AccountKey key = AccountKey::from_pem(*world.managers.stored(unused.front()));
    const Result<Account> found = world.drive(engine::find_account(world.session(), key));
    REQUIRE(!found);
    CHECK(found.error().code() == Errc::unauthorized);
  };
  story.when_done = Errc::account_does_not_exist;
  tell_with_crashes(story);
}

TEST_CASE("stored certificates: a change of the record that ends anywhere is made by the same call") {
  Story story;
  story.prepare = [](StoredWorld& world) { world.issue(); };
  story.act = [](std::shared_ptr<Storage> storage, engine::Session) {
    std::function<Result<void>(CertificateRecord&)> change = [](CertificateRecord& record) -> Result<void> {
      record.emergency = "tested";
      return {};
    };
    return without_value(change_certificate(std::move(storage), "a.example", change, test_lease()));
  };
  story.check = [](StoredWorld& world) { CHECK(world.managers.record()->emergency == "tested"); };
  tell_with_crashes(story);
}
