// Stored accounts: damage, other key types, several at once, and answers that are lost.
#include <fstream>

#include "support/stored_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr Engine every_kind_of_engine[] = {Engine::memory, Engine::single_writes, Engine::files};

std::optional<AccountRecord> stored_account(StoredWorld& world) {
  const std::optional<std::string> value = world.managers.stored(account_key_of(world.managers.directory()));
  if (!value) return std::nullopt;
  Result<AccountRecord> record = decode_account(*value);
  REQUIRE(record);
  return *record;
}

Result<Account> register_one(StoredWorld& world, const std::string& key_type = {}, bool replace = false) {
  return world.drive(
      register_stored_account(world.storage(), world.session(), key_type, {}, replace, StoredWorld::lease()));
}

}  // namespace

TEST_CASE("stored accounts: an account is made once, found, shown, and ended") {
  for (const Engine engine : every_kind_of_engine) {
    StoredWorld world(engine);
    const LeaseOptions lease = StoredWorld::lease();
    Result<Account> found = world.drive(find_stored_account(world.storage(), world.session(), lease));
    REQUIRE(!found);
    CHECK(found.error().code() == Errc::account_does_not_exist);
    int asked = 0;
    const std::function<AccountOptions()> options = [&asked] {
      ++asked;
      AccountOptions given;
      given.contacts.emplace_back("mailto:ops@example.com");
      return given;
    };
    Result<Account> made =
        world.drive(register_stored_account(world.storage(), world.session(), "ec:P-384", options, false, lease));
    REQUIRE(made);
    CHECK(made->created);
    CHECK(made->contacts.size() == 1);
    made = world.drive(register_stored_account(world.storage(), world.session(), "ec:P-256", options, false, lease));
    REQUIRE(made);
    CHECK(asked == 1);
    CHECK(made->key.private_key().type() == "ec:P-384");
    found = world.drive(find_stored_account(world.storage(), world.session(), lease));
    REQUIRE(found);
    CHECK(found->url == made->url);
    const auto all = world.drive(list_accounts(world.storage()));
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    CHECK(all->front().server == storage_part_text(server_part(world.managers.directory())));
    CHECK(all->front().record.url == made->url);
    CHECK(all->front().damage.empty());
    const auto ended = world.drive(deactivate_stored_account(world.storage(), world.session(), lease));
    REQUIRE(ended);
    CHECK(PrivateKey::from_pem(*world.managers.stored(*ended)).same_key_as(made->key.private_key()));
    const auto none = world.drive(list_accounts(world.storage()));
    REQUIRE(none);
    CHECK(none->empty());
    if (world.disk.is_files()) CHECK(fs::is_empty(world.disk.folder() / "accounts"));
    const Result<Account> next = register_one(world);
    REQUIRE(next);
    CHECK(next->url != made->url);
  }
}

TEST_CASE("stored accounts: what the options throw is the error, and nothing is stored") {
  StoredWorld world(Engine::memory);
  const std::function<AccountOptions()> options = []() -> AccountOptions {
    throw Error(Errc::user_action_required, "asking for consent", "not given");
  };
  const Result<Account> made =
      world.drive(register_stored_account(world.storage(), world.session(), "", options, false, StoredWorld::lease()));
  REQUIRE(!made);
  CHECK(made.error().code() == Errc::user_action_required);
  CHECK(world.managers.keys("").empty());
  CHECK(world.ca().sizes().accounts == 0);
}

TEST_CASE("stored accounts: a key that no account was made with gives way to one of another type") {
  for (const bool is_refused_type : {false, true}) {
    StoredWorld world(Engine::files);
    TestCaFault refusal("new-account", TestCaFault::Kind::status);
    refusal.status = 400;
    refusal.problem_type = is_refused_type ? "badSignatureAlgorithm" : "invalidContact";
    world.ca().plan(refusal);
    Result<Account> made = register_one(world, "ec:P-521");
    REQUIRE(!made);
    const std::string refused_pem = stored_account(world)->key_pem;
    CHECK(PrivateKey::from_pem(refused_pem).type() == "ec:P-521");
    CHECK(stored_account(world)->url.empty());
    if (is_refused_type) {  // the CA says so to any request with that key
      refusal.times = 2;
      world.ca().plan(refusal);
      made = register_one(world, "ec:P-521");
      REQUIRE(!made);
      CHECK(made.error().code() == Errc::bad_signature_algorithm);
      CHECK(stored_account(world)->key_pem == refused_pem);
    }
    made = register_one(world, "ec:P-256");
    REQUIRE_MESSAGE(made, (made ? "" : made.error().what()));
    CHECK(made->key.private_key().type() == "ec:P-256");
    world.check_account_works();
    REQUIRE(world.managers.keys("keys/unused/").size() == 1);
    CHECK(*world.managers.stored(world.managers.keys("keys/unused/").front()) == refused_pem);
  }
}

TEST_CASE("stored accounts: a key of the same type, or of no type in particular, is used") {
  for (const std::string& type : {std::string(), std::string("ec:P-384")}) {
    StoredWorld world(Engine::memory);
    AccountRecord record;
    record.key_pem = AccountKey::generate("ec:P-384").to_pem();
    world.managers.store(account_key_of(world.managers.directory()), encode(record));
    const Result<Account> made = register_one(world, type);
    REQUIRE(made);
    CHECK(made->key.private_key().same_key_as(PrivateKey::from_pem(record.key_pem)));
    CHECK(world.managers.keys("keys/").empty());
  }
}

TEST_CASE("stored accounts: an import keeps what is there, and leaves a key change alone") {
  StoredWorld world(Engine::memory);
  const std::string directory = world.managers.directory();
  const LeaseOptions lease = StoredWorld::lease();
  const auto import = [&](const Account& account) {
    return world.drive(import_account(world.storage(), directory, account, lease));
  };
  const Account account("https://ca.test/account/7", AccountKey::generate());
  const Account other("https://ca.test/account/8", AccountKey::generate());
  REQUIRE(import(Account("", account.key)));
  REQUIRE(import(Account("", account.key)));
  CHECK(stored_account(world)->url.empty());
  REQUIRE(import(account));
  REQUIRE(import(Account("", account.key)));
  REQUIRE(import(account));
  CHECK(stored_account(world)->url == account.url);
  const Result<void> refused = import(other);
  REQUIRE(!refused);
  CHECK(refused.error().code() == Errc::conflict);

  AccountRecord changing = *stored_account(world);
  changing.next_key_pem = other.key.to_pem();
  const std::string value = encode(changing);
  world.managers.store(account_key_of(directory), value);
  CHECK(import(account));
  CHECK(import(other));  // its key may be the account's already
  CHECK(!import(Account("https://ca.test/account/9", AccountKey::generate())));
  CHECK(world.managers.stored(account_key_of(directory)) == value);
  CHECK(world.managers.keys("keys/unused/").empty());
}

TEST_CASE("stored accounts: damage is an error that names the key, and says what to do") {
  for (const bool is_empty : {true, false}) {
    CAPTURE(is_empty);
    StoredWorld world(Engine::files);
    world.issue();
    const std::string server = *storage_part_text(server_part(world.managers.directory()));
    const fs::path file = world.disk.folder() / "accounts" / server / "account.key";
    REQUIRE(fs::exists(file));
    std::ofstream(file, std::ios::trunc) << (is_empty ? "" : "-----BEGIN PRIVATE KEY-----\nx\n");
    const LeaseOptions lease = StoredWorld::lease();
    const engine::Session session = world.session();
    std::vector<Result<void>> results;
    results.push_back(world.drive(without_value(find_stored_account(world.storage(), session, lease))));
    results.push_back(
        world.drive(without_value(register_stored_account(world.storage(), session, "", {}, false, lease))));
    results.push_back(world.drive(without_value(change_stored_account_key(world.storage(), session, "", lease))));
    results.push_back(world.drive(without_value(deactivate_stored_account(world.storage(), session, lease))));
    results.push_back(world.drive(
        without_value(revoke_stored_certificate(world.storage(), session, "a.example", std::nullopt, lease))));
    for (const Result<void>& result : results) {
      REQUIRE(!result);
      const std::string text = result.error().what();
      CAPTURE(text);
      CHECK(text.find("accounts/") != std::string::npos);
      CHECK(text.find("backup") != std::string::npos);
    }
    const auto all = world.drive(list_accounts(world.storage()));
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    CHECK(!all->front().damage.empty());
    CHECK(world.ca().sizes().accounts == 1);
    if (is_empty) continue;
    // The way out: the damaged text is kept as it is.
    REQUIRE(register_one(world, "", true));
    world.check_account_works();
    REQUIRE(world.managers.keys("keys/unused/").size() == 1);
    CHECK(world.managers.stored(world.managers.keys("keys/unused/").front())->ends_with("\nx\n"));
  }
}

TEST_CASE("stored accounts: a deactivated account is replaced when that is asked for") {
  for (const Engine engine : every_kind_of_engine) {
    StoredWorld world(engine);
    const Result<Account> first = register_one(world);
    REQUIRE(first);
    REQUIRE(world.drive(engine::deactivate_account(world.session(), *first)));
    const Result<Account> second = register_one(world, "", true);
    REQUIRE(second);
    CHECK(second->url != first->url);
    world.check_account_works();
    const auto unused = world.managers.keys("keys/unused/");
    REQUIRE(unused.size() == 1);
    CHECK(PrivateKey::from_pem(*world.managers.stored(unused.front())).same_key_as(first->key.private_key()));
  }
}

TEST_CASE("stored accounts: four first starters at once make one account") {
  for (const Engine engine : every_kind_of_engine) {
    StoredWorld world(engine);
    std::vector<std::string> urls;
    std::vector<std::shared_ptr<Storage>> storages;
    for (int i = 0; i < 4; ++i) {
      const engine::Session session = world.session();
      storages.push_back(world.disk.open());
      LeaseOptions lease = StoredWorld::lease();
      lease.owner = "starter " + std::to_string(i);
      world.managers.driver.start<Result<Account>>(
          register_stored_account(storages.back(), session, "", {}, false, lease),
          [&urls](const Result<Account>& made) { urls.push_back(made ? made->url : made.error().what()); });
    }
    Heard heard;
    world.managers.run(world.managers.make(world.managers.options(), heard));
    world.managers.pass(2min);
    REQUIRE(urls.size() == 4);
    for (const std::string& url : urls) CHECK(url == urls.front());
    CHECK(world.ca().sizes().accounts == 1);
    CHECK(world.managers.live());
    CHECK(world.managers.record()->account == urls.front());
    world.check_account_works();
  }
}

TEST_CASE("stored accounts: a key change beside revocations loses no account, whenever they begin") {
  for (const Engine engine : {Engine::memory, Engine::files}) {
    const int engine_number = static_cast<int>(engine);
    for (int after = 0; after < 200; after += engine == Engine::files ? 40 : 10) {
      CAPTURE(engine_number);
      CAPTURE(after);
      StoredWorld world(engine);
      world.issue();
      world.issue({"b.example"});
      const std::set<std::string> before = world.private_keys();
      std::vector<std::string> failures;
      const auto add_failure = [&failures](const auto& result) {
        failures.push_back(result ? std::string() : result.error().what());
      };
      const engine::Session one = world.session(), other = world.session();
      const std::shared_ptr<Storage> first = world.disk.open(), second = world.disk.open();
      world.managers.driver.start<Result<Account>>(change_stored_account_key(first, one, "", StoredWorld::lease()),
                                                   add_failure);
      world.managers.pass(std::chrono::milliseconds(after));
      for (const char* const id : {"a.example", "b.example"}) {
        world.managers.driver.start<Result<Revocation>>(
            revoke_stored_certificate(second, other, id, std::nullopt, StoredWorld::lease()), add_failure);
      }
      world.managers.pass(2min);
      CHECK(failures == std::vector<std::string>(3));
      world.check_account_works();
      CHECK(world.ca().sizes().accounts == 1);
      CHECK(std::ranges::includes(world.private_keys(), before));
      CHECK(!world.managers.record("a.example")->revoked.empty());
      CHECK(!world.managers.record("b.example")->revoked.empty());
    }
  }
}

TEST_CASE("stored accounts: a begun key change is ended by whoever comes next, whatever URL is stored") {
  for (const bool arrived : {false, true}) {
    for (const bool has_other_url : {false, true}) {
      CAPTURE(arrived);
      CAPTURE(has_other_url);
      StoredWorld world(Engine::files);
      const Result<Account> made = register_one(world);
      REQUIRE(made);
      const AccountKey next = AccountKey::generate();
      if (arrived) REQUIRE(world.drive(engine::key_change(world.session(), *made, next)));
      AccountRecord record = *stored_account(world);
      record.next_key_pem = next.to_pem();
      if (has_other_url) record.url += "X";
      world.managers.store(account_key_of(world.managers.directory()), encode(record));
      const Result<Account> found =
          world.drive(find_stored_account(world.storage(), world.session(), StoredWorld::lease()));
      REQUIRE_MESSAGE(found, (found ? "" : found.error().what()));
      CHECK(found->url == made->url);
      CHECK(found->key.thumbprint() == (arrived ? next.thumbprint() : made->key.thumbprint()));
      world.check_account_works();
      CHECK(stored_account(world)->next_key_pem.empty());
      CHECK(world.private_keys().size() == 2);
    }
  }
}

TEST_CASE("stored accounts: an answer that is lost, again and again, costs neither a key nor an account") {
  struct Lost {
    std::string resource;
    std::function<Flow<Result<void>>(std::shared_ptr<Storage>, engine::Session)> act;
    Errc when_done;
  };
  const LeaseOptions lease = StoredWorld::lease();
  const Lost all[] = {
      {"key-change",
       [lease](std::shared_ptr<Storage> storage, engine::Session session) {
         return without_value(change_stored_account_key(std::move(storage), session, "", lease));
       },
       Errc::conflict},
      {"new-account",
       [lease](std::shared_ptr<Storage> storage, engine::Session session) {
         return without_value(register_stored_account(std::move(storage), session, "", {}, false, lease));
       },
       Errc::conflict},
      {"revoke-cert",
       [lease](std::shared_ptr<Storage> storage, engine::Session session) {
         return without_value(revoke_stored_certificate(std::move(storage), session, "a.example", 1, lease));
       },
       Errc::conflict},
      {"account",
       [lease](std::shared_ptr<Storage> storage, engine::Session session) {
         return without_value(deactivate_stored_account(std::move(storage), session, lease));
       },
       Errc::account_does_not_exist},
  };
  for (const Lost& lost : all) {
    for (const TestCaFault::Kind kind :
         {TestCaFault::Kind::drop_before, TestCaFault::Kind::drop_after, TestCaFault::Kind::garbage}) {
      for (const int times : {1, 2, 12}) {
        for (const bool lookups_too : {false, true}) {
          CAPTURE(lost.resource);
          CAPTURE(static_cast<int>(kind));
          CAPTURE(times);
          CAPTURE(lookups_too);
          // A 200 is all that a CA says of a revocation.
          if (kind == TestCaFault::Kind::garbage && lost.resource == "revoke-cert") continue;
          StoredWorld world(Engine::memory);
          const bool is_first = lost.resource == "new-account";
          if (!is_first) world.issue();
          const engine::Session session = world.session();
          TestCaFault fault(lost.resource, kind);
          fault.times = times;
          world.ca().plan(fault);
          if (lookups_too && !is_first) {
            fault.resource = "new-account";
            world.ca().plan(fault);
          }
          const std::set<std::string> before = world.private_keys();
          const Result<void> first = world.drive(lost.act(world.storage(), session));
          const std::set<std::string> between = world.private_keys();
          bool is_done = static_cast<bool>(first);
          for (int tries = 0; !is_done && tries < 30; ++tries) {
            const Result<void> again = world.drive(lost.act(world.storage(), session));
            is_done = again || again.error().code() == lost.when_done;
          }
          CHECK(is_done);
          CHECK(std::ranges::includes(world.private_keys(), before));
          CHECK(std::ranges::includes(world.private_keys(), between));
          CHECK(world.ca().sizes().accounts == 1);
          if (lost.resource != "account") world.check_account_works();
          if (lost.resource == "revoke-cert") CHECK(world.ca().is_revoked(world.ca().issued().front()));
        }
      }
    }
  }
}
