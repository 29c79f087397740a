// Stored certificates beside managers: what is listed, what is damaged, who waits for whom.
#include <fstream>
#include <iterator>

#include "support/errors.hpp"
#include "support/stored_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr Engine every_engine[] = {Engine::memory, Engine::single_writes, Engine::files};

void write_over(const fs::path& path, const std::string& contents) {
  fs::remove_all(path);
  std::ofstream(path, std::ios::binary) << contents;
}

std::string contents_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// What is in keys/unused, whether it can be read as a key or not.
std::vector<std::string> set_aside(StoredWorld& world) {
  std::vector<std::string> values;
  for (const std::string& key : world.managers.keys("keys/unused/")) values.push_back(*world.managers.stored(key));
  return values;
}

bool has(const std::vector<std::string>& texts, const std::string& text) {
  return std::ranges::find(texts, text) != texts.end();
}

}  // namespace

TEST_CASE("stored certificates: all are listed, also those that were never issued") {
  for (const Engine engine : every_engine) {
    StoredWorld world(engine);
    CHECK(world.list().empty());
    world.issue();
    world.issue({"c.example", "b.example"});
    CertificateRecord never;
    never.last_error = "tried";
    world.managers.store(certificate_record_key("Never.example"), encode(never));
    const std::vector<StoredCertificate> all = world.list();
    REQUIRE(all.size() == 3);
    CHECK(all[0].id == "Never.example");
    CHECK(!all[0].live);
    CHECK(all[0].damage.empty());
    CHECK(all[0].record.last_error == "tried");
    CHECK(all[1].id == "a.example");
    CHECK(all[2].id == "c.example");
    CHECK(all[1].record.server == world.managers.directory());
    REQUIRE(all[1].live);
    check_pair(*all[1].live, {"a.example"});
    CHECK(all[1].damage.empty());

    Result<std::optional<StoredCertificate>> found = world.drive(find_certificate(world.storage(), "a.example"));
    REQUIRE(found);
    REQUIRE(*found);
    CHECK((*found)->record.certificate_id == all[1].record.certificate_id);
    found = world.drive(find_certificate(world.storage(), "a.exampl"));
    REQUIRE(found);
    CHECK(!*found);
  }
}

TEST_CASE("stored certificates: what does not exist is not_found, and leaves no trace") {
  for (const Engine engine : every_engine) {
    StoredWorld world(engine);
    const LeaseOptions lease = StoredWorld::lease();
    const engine::Session session = world.session();
    const std::function<Result<void>(CertificateRecord&)> change = [](CertificateRecord&) { return Result<void>(); };
    const auto change_it = world.drive(change_certificate(world.storage(), "x", change, lease));
    const auto remove_it = world.drive(remove_certificate(world.storage(), "x", lease));
    const auto rename_it = world.drive(rename_certificate(world.storage(), "x", "y", lease));
    const auto revoke_it = world.drive(revoke_stored_certificate(world.storage(), session, "x", std::nullopt, lease));
    REQUIRE(!change_it);
    REQUIRE(!remove_it);
    REQUIRE(!rename_it);
    REQUIRE(!revoke_it);
    CHECK(change_it.error().code() == Errc::not_found);
    CHECK(remove_it.error().code() == Errc::not_found);
    CHECK(rename_it.error().code() == Errc::not_found);
    CHECK(revoke_it.error().code() == Errc::not_found);
    CHECK(std::string(remove_it.error().what()).find("\"x\"") != std::string::npos);
    CHECK(world.managers.keys("").empty());
    if (world.disk.is_files()) CHECK(!fs::exists(world.disk.folder() / "leases"));
  }
}

TEST_CASE("stored certificates: an order that was never issued is removed, its key is not") {
  for (const Engine engine : every_engine) {
    StoredWorld world(engine);
    PendingOrder pending;
    pending.order_url = "https://ca0.test/order";
    pending.key_pem = PrivateKey::generate().to_pem();
    world.managers.store(certificate_record_key("a.example"), encode(CertificateRecord()));
    world.managers.store(pending_order_key("a.example"), encode(pending));
    Result<Revocation> revoked = world.drive(
        revoke_stored_certificate(world.storage(), world.session(), "a.example", std::nullopt, StoredWorld::lease()));
    REQUIRE(!revoked);
    CHECK(revoked.error().code() == Errc::not_found);
    const auto removed = world.drive(remove_certificate(world.storage(), "a.example", StoredWorld::lease()));
    REQUIRE(removed);
    REQUIRE(removed->size() == 1);
    CHECK(*world.managers.stored(removed->front()) == pending.key_pem);
    CHECK(world.list().empty());
    if (world.disk.is_files()) CHECK(!fs::exists(world.certificate_folder()));
  }
}

TEST_CASE("stored certificates: each damage of files is named, and can be removed without the loss of a key") {
  struct Damage {
    std::string name;
    std::function<void(const fs::path&)> make;
    const char* named;    // in the damage
    bool key_is_damaged;  // and kept as it is, or missing
  };
  const Damage damages[] = {
      {"record.json is garbage", [](const fs::path& f) { write_over(f / "record.json", "{\"live\": oops"); },
       "record.json", false},
      {"record.json is empty", [](const fs::path& f) { write_over(f / "record.json", ""); }, "record.json", false},
      {"record.json is of another type",
       [](const fs::path& f) { write_over(f / "record.json", "{\"live\":1,\"names\":3}"); }, "names", false},
      {"the key is missing", [](const fs::path& f) { fs::remove(f / "1/key.pem"); }, "key.pem", true},
      {"the key is empty", [](const fs::path& f) { write_over(f / "1/key.pem", ""); }, "key.pem", true},
      {"the key is garbage", [](const fs::path& f) { write_over(f / "1/key.pem", "no key\n"); }, "private key", true},
      {"the chain is missing", [](const fs::path& f) { fs::remove(f / "1/fullchain.pem"); }, "fullchain.pem", false},
      {"the chain is empty", [](const fs::path& f) { write_over(f / "1/fullchain.pem", ""); }, "", false},
      {"meta.json is missing", [](const fs::path& f) { fs::remove(f / "1/meta.json"); }, "meta.json", false},
      {"meta.json is garbage", [](const fs::path& f) { write_over(f / "1/meta.json", "x"); }, "meta.json", false},
      {"live leads nowhere",
       [](const fs::path& f) {
         fs::remove(f / "live");
         fs::create_symlink("7", f / "live");
       },
       "live", false},
      {"live is missing", [](const fs::path& f) { fs::remove(f / "live"); }, "live", false},
      {"live is a folder",
       [](const fs::path& f) {
         fs::remove(f / "live");
         fs::rename(f / "1", f / "live");
       },
       "live", false},
      {"live is a copy",
       [](const fs::path& f) {
         fs::remove(f / "live");
         fs::copy(f / "1", f / "live", fs::copy_options::recursive);
       },
       nullptr, false},
      {"the pending order is garbage",
       [](const fs::path& f) {
         fs::create_directory(f / "pending");
         write_over(f / "pending/order.json", "[");
         write_over(f / "pending/key.pem", PrivateKey::generate().to_pem());
       },
       "order.json", false},
      {"the pending order is empty",
       [](const fs::path& f) {
         fs::create_directory(f / "pending");
         write_over(f / "pending/order.json", "");
         write_over(f / "pending/key.pem", PrivateKey::generate().to_pem());
       },
       "order.json", false},
      {"a key is without an order",
       [](const fs::path& f) {
         fs::create_directory(f / "pending");
         write_over(f / "pending/key.pem", PrivateKey::generate().to_pem());
       },
       nullptr, false},
      {"a generation was not finished",
       [](const fs::path& f) {
         fs::create_directory(f / "2");
         write_over(f / "2/key.pem", PrivateKey::generate().to_pem());
       },
       nullptr, false},
  };
  for (const Damage& damage : damages) {
    CAPTURE(damage.name);
    StoredWorld world(Engine::files);
    world.issue();
    const fs::path folder = world.certificate_folder();
    damage.make(folder);
    std::vector<std::string> keys;
    for (const auto& file : fs::recursive_directory_iterator(folder)) {
      const std::string contents = file.is_regular_file() ? contents_of(file.path()) : std::string();
      if (file.path().filename() == "key.pem" && !contents.empty() && !has(keys, contents)) keys.push_back(contents);
    }
    CHECK(keys.empty() == (damage.key_is_damaged && damage.name != "the key is garbage"));
    const std::vector<StoredCertificate> all = world.list();
    REQUIRE(all.size() == 1);
    CHECK(all.front().id == "a.example");
    CHECK(all.front().damage.empty() == (damage.named == nullptr));
    if (damage.named && !all.front().damage.empty()) {
      std::string text;
      for (const std::string& each : all.front().damage) text += each + "\n";
      INFO(text);
      CHECK(text.find(damage.named) != std::string::npos);
    }
    const auto removed = world.drive(remove_certificate(world.storage(), "a.example", StoredWorld::lease()));
    REQUIRE_MESSAGE(removed, (removed ? "" : removed.error().what()));
    CHECK(world.list().empty());
    CHECK(!fs::exists(folder));
    const std::vector<std::string> kept = set_aside(world);
    CHECK(kept.size() == removed->size());
    for (const std::string& key : keys) CHECK(has(kept, key));
    CHECK(world.managers.keys("certificates/").empty());
  }
}

TEST_CASE("stored certificates: a damaged value of any engine is listed and removed, what is in it is kept") {
  StoredWorld world(Engine::memory);
  world.issue();
  const std::string generation = *world.managers.stored(generation_key("a.example", 1));
  world.managers.store(generation_key("a.example", 1), generation.substr(0, generation.size() - 5));
  world.managers.store(certificate_record_key("b.example"), "{");
  world.managers.store(pending_order_key("b.example"), "[1]");
  const std::vector<StoredCertificate> all = world.list();
  REQUIRE(all.size() == 2);
  CHECK(all[0].damage.size() == 1);
  CHECK(!all[0].live);
  CHECK(all[1].damage.size() == 2);
  for (const StoredCertificate& each : all)
    CHECK(world.drive(remove_certificate(world.storage(), each.id, StoredWorld::lease())));
  CHECK(world.list().empty());
  CHECK(has(set_aside(world), generation.substr(0, generation.size() - 5)));
}

TEST_CASE("stored certificates: who finds the lease held waits, and says so after its patience") {
  for (const Engine engine : every_engine) {
    StoredWorld world(engine);
    world.issue();
    const std::shared_ptr<Storage> other = world.disk.open();
    const Result<std::optional<Lease>> held =
        world.drive(other->acquire(certificate_lease("a.example"), "other", 600s));
    REQUIRE(held);
    REQUIRE(*held);
    LeaseOptions lease = StoredWorld::lease();
    lease.patience = 7s;
    std::string told;
    lease.on_wait = [&](const std::string& name, std::chrono::seconds at_most) {
      told += name + " " + std::to_string(at_most.count()) + "\n";
    };
    const auto begin = world.managers.clock.now();
    auto removed = world.drive(remove_certificate(world.storage(), "a.example", lease));
    REQUIRE(!removed);
    CHECK(removed.error().code() == Errc::held);
    CHECK(std::string(removed.error().what()).find("certificates/a.example") != std::string::npos);
    CHECK(world.managers.clock.now() - begin >= 6s);
    CHECK(world.managers.clock.now() - begin <= 8s);
    CHECK(told == "certificates/a.example 7\n");

    // A cancellation ends the wait at once.
    lease.patience = 600s;
    std::optional<Errc> ended;
    ExecutionBase& execution = world.managers.driver.start<Result<std::vector<std::string>>>(
        remove_certificate(world.storage(), "a.example", lease), [&](const Result<std::vector<std::string>>& result) {
          ended = result ? Errc::conflict : result.error().code();
        });
    world.managers.pass(20s);
    CHECK(!ended);
    world.managers.driver.cancel(execution);
    world.managers.pass(10ms);
    REQUIRE(ended);
    CHECK(*ended == Errc::cancelled);

    // One who releases it is followed.
    std::optional<bool> done;
    world.managers.driver.start<Result<std::vector<std::string>>>(
        remove_certificate(world.storage(), "a.example", lease),
        [&](const Result<std::vector<std::string>>& result) { done = static_cast<bool>(result); });
    world.managers.pass(20s);
    CHECK(!done);
    REQUIRE(world.drive(other->release(**held)));
    world.managers.pass(2s);
    REQUIRE(done);
    CHECK(*done);
  }
}

TEST_CASE("stored certificates: the lease is renewed while the CA takes its time") {
  StoredWorld world(Engine::memory);
  world.issue();
  TestCaFault slow("revoke-cert", TestCaFault::Kind::slow);
  slow.delay = 50s;
  const engine::Session session = world.session();
  world.ca().plan(slow);
  std::optional<bool> done;
  world.managers.driver.start<Result<Revocation>>(
      revoke_stored_certificate(world.storage(), session, "a.example", 4, StoredWorld::lease()),
      [&](const Result<Revocation>& result) { done = static_cast<bool>(result); });
  world.managers.pass(40s);  // four times to live
  CHECK(!done);
  const auto taken = world.drive(world.storage()->acquire(certificate_lease("a.example"), "other", 10s));
  REQUIRE(taken);
  CHECK(!*taken);
  world.managers.pass(20s);
  REQUIRE(done);
  CHECK(*done);
  CHECK(!world.managers.record()->revoked.empty());
  CHECK(!world.managers.record()->key_compromised);
}

TEST_CASE("stored certificates: a lease that is lost changes nothing, and says so") {
  StoredWorld world(Engine::memory);
  world.issue();
  TestCaFault slow("revoke-cert", TestCaFault::Kind::slow);
  slow.delay = 50s;
  const engine::Session session = world.session();
  world.ca().plan(slow);
  const auto storage = std::make_shared<FaultyStorage>(world.storage(), [](const StorageCall& call) {
    return call.operation == "renew" ? StorageFault::lost_before : StorageFault::none;
  });
  const Result<Revocation> revoked =
      world.drive(revoke_stored_certificate(storage, session, "a.example", 4, StoredWorld::lease()));
  REQUIRE(!revoked);
  CHECK(revoked.error().code() == Errc::fenced);
  CHECK(world.managers.record()->revoked.empty());
}

TEST_CASE("stored certificates: revoked again is success, and the CA's refusal an error") {
  for (const Engine engine : every_engine) {
    StoredWorld world(engine);
    world.issue();
    PendingOrder pending;
    pending.order_url = "https://ca0.test/order";
    pending.key_pem = PrivateKey::generate().to_pem();
    world.managers.store(pending_order_key("a.example"), encode(pending));
    Result<Revocation> revoked = world.drive(
        revoke_stored_certificate(world.storage(), world.session(), "a.example", std::nullopt, StoredWorld::lease()));
    REQUIRE(revoked);
    CHECK(!revoked->was_revoked_before);
    const std::string since = world.managers.record()->revoked;
    CHECK(!since.empty());
    CHECK(world.managers.stored(pending_order_key("a.example")));  // it has another key
    world.managers.pass(100s);
    revoked =
        world.drive(revoke_stored_certificate(world.storage(), world.session(), "a.example", 1, StoredWorld::lease()));
    REQUIRE(revoked);
    CHECK(revoked->was_revoked_before);
    CHECK(world.managers.record()->revoked == since);
    CHECK(world.managers.record()->key_compromised);

    // Another account: it is asked all the same.
    world.issue({"b.example"});
    const auto made =
        world.drive(register_stored_account(world.storage(), world.session(), "", {}, true, StoredWorld::lease()));
    REQUIRE(made);
    CHECK(world.managers.record("b.example")->account != made->url);
    revoked = world.drive(
        revoke_stored_certificate(world.storage(), world.session(), "b.example", std::nullopt, StoredWorld::lease()));
    REQUIRE(!revoked);
    CHECK(revoked.error().code() == Errc::unauthorized);
    CHECK(world.managers.record("b.example")->revoked.empty());
  }
}

TEST_CASE("stored certificates: an import needs a pair, and an id that is free") {
  StoredWorld world(Engine::files);
  world.issue();
  Generation generation = *world.managers.live();
  const LeaseOptions lease = StoredWorld::lease();
  auto imported = world.drive(import_certificate(world.storage(), "b.example", CertificateRecord(), generation, lease));
  REQUIRE(imported);
  imported = world.drive(import_certificate(world.storage(), "b.example", CertificateRecord(), generation, lease));
  CHECK(imported);  // the same again
  world.issue({"c.example"});
  imported = world.drive(
      import_certificate(world.storage(), "b.example", CertificateRecord(), *world.managers.live("c.example"), lease));
  REQUIRE(!imported);
  CHECK(imported.error().code() == Errc::conflict);
  generation.key_pem = PrivateKey::generate().to_pem();
  imported = world.drive(import_certificate(world.storage(), "d.example", CertificateRecord(), generation, lease));
  REQUIRE(!imported);
  CHECK(imported.error().code() == Errc::crypto_failed);
  generation.chain_pem = "none";
  imported = world.drive(import_certificate(world.storage(), "d.example", CertificateRecord(), generation, lease));
  REQUIRE(!imported);
  CHECK(imported.error().code() == Errc::crypto_failed);
  imported = world.drive(import_certificate(world.storage(), "../d", CertificateRecord(), generation, lease));
  REQUIRE(!imported);
  CHECK(imported.error().code() == Errc::invalid_argument);
  CHECK(world.list().size() == 3);
}

TEST_CASE("stored certificates: an imported certificate is kept by a manager, and renewed when it is due") {
  StoredWorld world(Engine::memory);
  StoredWorld elsewhere(Engine::memory);
  elsewhere.issue();
  CertificateRecord record;
  record.server = world.managers.directory();
  record.spec = CertificateSpec({"a.example"});
  REQUIRE(world.drive(
      import_certificate(world.storage(), "a.example", record, *elsewhere.managers.live(), StoredWorld::lease())));
  Heard heard;
  world.managers.run(world.managers.make(world.managers.options(), heard));
  world.managers.pass(24h);
  CHECK(heard.installed.size() == 1);
  CHECK(world.managers.orders() == 0);
  world.managers.pass(24h * 70);
  CHECK(heard.installed.size() == 2);
  CHECK(world.managers.record()->live == 2);
}

TEST_CASE("stored certificates: a new name that is in use is a conflict") {
  for (const Engine engine : every_engine) {
    StoredWorld world(engine);
    world.issue();
    world.issue({"b.example"});
    const auto renamed =
        world.drive(rename_certificate(world.storage(), "a.example", "b.example", StoredWorld::lease()));
    REQUIRE(!renamed);
    CHECK(renamed.error().code() == Errc::conflict);
    CHECK(world.list().size() == 2);
  }
}

TEST_CASE("stored certificates: a removal while a manager renews loses no key, and leaves nothing half") {
  for (const Engine engine : {Engine::memory, Engine::files}) {
    StoredWorld world(engine);
    Heard heard;
    const auto core = world.managers.make(world.managers.options(), heard);
    world.managers.run(core);
    world.managers.pass(1min);
    REQUIRE(world.managers.live());
    for (int i = 0; i < 12; ++i) {
      CAPTURE(i);
      const std::set<std::string> before = world.private_keys();
      REQUIRE(core->renew_now("a.example", "again"));
      world.managers.pass(std::chrono::milliseconds(i * 15));
      const std::shared_ptr<Storage> own = world.disk.open();
      const auto removed = world.drive(remove_certificate(own, "a.example", StoredWorld::lease()));
      const bool was_held = !removed && removed.error().code() == Errc::held;
      REQUIRE_MESSAGE((removed || was_held), (removed ? "" : removed.error().what()));
      CHECK(std::ranges::includes(world.private_keys(), before));
      world.managers.pass(10min);
      const std::vector<StoredCertificate> all = world.list();
      CHECK(all.size() <= 1);
      if (all.empty()) continue;
      CHECK(all.front().damage.empty());
      REQUIRE(all.front().live);
      check_pair(*all.front().live, {"a.example"});
    }
    // Every key that the CA has certified is somewhere.
    const std::set<std::string> keys = world.private_keys();
    CHECK(keys.size() >= world.ca().issued().size());
  }
}
