// The blocking face with persistence against the test CA.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <openssl/evp.h>

#include "base/base64.hpp"
#include "culmen/blocking/directory.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/persist_on_storage.hpp"
#include "culmen/storage.hpp"
#include "culmen/test_ca.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using test::TemporaryFolder;
using namespace std::chrono_literals;

namespace fs = std::filesystem;

namespace {

const std::string email = "ops@example.test";

std::uint16_t free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(descriptor);
  return ntohs(address.sin_port);
}

TestCaOptions believing() {
  TestCaOptions options;
  options.skip_validation = true;
  return options;
}

/// A running CA, and clients that trust it.
struct Bench {
  explicit Bench(const TestCaOptions& options = believing()) : ca(options) {
    ca.start();
    client_options.transport.extra_root_file = folder.write("root.pem", ca.root_pem());
    fs::create_directory(folder.path() / "store");
  }
  template <class Store>
  blocking::DirectoryHandle directory(Store store) const {
    return blocking::DirectoryHandle::from_url(store, DirectoryUrl::other(ca.directory_url()), client_options);
  }
  FilePersist files() const { return FilePersist(folder.path() / "store"); }
  int requests(const std::string& resource) const {
    const auto counts = ca.request_counts();
    const auto found = counts.find(resource);
    return found == counts.end() ? 0 : found->second;
  }

  TemporaryFolder folder;
  mutable TestCa ca;
  ClientOptions client_options;
};

/// Has the CA believe every challenge.
blocking::CsrOrder proven(blocking::NewOrder order) {
  for (int tries = 0; !order.confirm_validations(); ++tries) {
    REQUIRE(tries < 10);
    for (const blocking::Auth& auth : order.authorizations()) {
      if (auth.need_challenge()) auth.dns_challenge().validate(0ms);
    }
    order.refresh();
  }
  return *order.confirm_validations();
}

blocking::CertificateWithKey issue(const blocking::AccountHandle& account, const std::string& name,
                                   const std::vector<std::string>& alt_names = {}) {
  return proven(account.new_order(name, alt_names)).finalize_pkey(create_p256_key(), 0ms).download_and_save_cert();
}

std::vector<std::string> names_of(const blocking::CertificateWithKey& certificate) {
  std::vector<std::string> names;
  for (const Identifier& identifier : certificate.api_certificate().identifiers) names.push_back(identifier.value);
  std::ranges::sort(names);
  return names;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

PersistKey certificate_of(const std::string& name) { return {email, PersistKind::certificate, name}; }
PersistKey key_of(const std::string& name) { return {email, PersistKind::private_key, name}; }
const PersistKey account_key(email, PersistKind::account_key, "account");

/// Fails when told to: a store of the user's own.
class TroubledStore : public Persist {
 public:
  struct State {
    MemoryPersist memory;
    std::string failing_put, failing_get;  // part of the key's text; empty: none
  };
  void put(const PersistKey& key, std::string_view value) override {
    refuse(key, state->failing_put, "the disk is full");
    state->memory.put(key, value);
  }
  std::optional<std::string> get(const PersistKey& key) override {
    refuse(key, state->failing_get, "the disk is broken");
    return state->memory.get(key);
  }
  std::shared_ptr<State> state = std::make_shared<State>();

 private:
  static void refuse(const PersistKey& key, const std::string& failing, const char* why) {
    if (!failing.empty() && key.to_string().find(failing) != std::string::npos) throw std::runtime_error(why);
  }
};

/// Takes its time to read, as a store behind a network does.
class SlowStore : public Persist {
 public:
  void put(const PersistKey& key, std::string_view value) override { memory_.put(key, value); }
  std::optional<std::string> get(const PersistKey& key) override {
    std::optional<std::string> value = memory_.get(key);
    std::this_thread::sleep_for(50ms);
    return value;
  }

 private:
  MemoryPersist memory_;
};

}  // namespace

TEST_CASE("from nothing to a certificate that is kept, http-01 answered for real") {
  TestCaOptions options;
  options.http_port = free_port();
  options.resolve = {{"*", "127.0.0.1"}};
  const Bench bench(options);
  Http01Solver web(options.http_port, "127.0.0.1");
  web.start_thread();

  const blocking::DirectoryHandle directory = bench.directory(bench.files());
  CHECK(directory.api_directory().url == bench.ca.directory_url());
  const blocking::AccountHandle account = directory.account(email);
  CHECK(account.api_account().status == AccountStatus::valid);
  CHECK(account.api_account().contacts == std::vector<std::string>{"mailto:" + email});
  CHECK(account.realm() == email);
  CHECK(account.certificate("example.test") == std::nullopt);

  blocking::NewOrder order = account.new_order("example.test", {"www.example.test", "Example.TEST"});
  CHECK(order.api_order().identifiers.size() == 2);
  CHECK_FALSE(order.is_validated());
  const int before = bench.requests("total");
  CHECK_FALSE(order.confirm_validations());
  CHECK(bench.requests("total") == before);
  const std::vector<blocking::Auth> auths = order.authorizations();
  REQUIRE(auths.size() == 2);
  for (const blocking::Auth& auth : auths) {
    CHECK(auth.need_challenge());
    CHECK(auth.domain_name() == auth.api_auth().identifier.value);
    const blocking::ChallengeHandle challenge = auth.http_challenge();
    CHECK(challenge.need_validate());
    CHECK(challenge.http_proof() == account.api_account().key_authorization(challenge.http_token()));
    web.add(challenge.http_token(), challenge.http_proof());
    challenge.validate(1ms);
    web.remove(challenge.http_token());
  }
  order.refresh();
  CHECK(order.is_validated());
  for (const blocking::Auth& auth : order.authorizations()) {
    CHECK_FALSE(auth.need_challenge());
    CHECK_FALSE(auth.http_challenge().need_validate());
    auth.http_challenge().validate(1ms);  // nothing is left to do
  }
  CHECK(bench.requests("challenge") == 2);

  const blocking::CertOrder issued = order.confirm_validations()->finalize_pkey(create_p384_key(), 1ms);
  const blocking::CertificateWithKey certificate = issued.download_and_save_cert();
  CHECK(certificate.is_matching());
  CHECK(names_of(certificate) == std::vector<std::string>{"example.test", "www.example.test"});
  CHECK(PrivateKey::from_pem(certificate.private_key()).type() == "ec:P-384");
  CHECK(pem_to_der(certificate.private_key()).front() == certificate.private_key_der());
  CHECK(pem_to_der(certificate.certificate()).front() == certificate.certificate_der());
  CHECK(pem_to_der(certificate.certificate()).size() >= 2);
  CHECK(certificate.valid_days_left() >= 88);
  CHECK(certificate.valid_days_left() <= 90);

  const std::optional<blocking::CertificateWithKey> kept = account.certificate("example.test");
  REQUIRE(kept);
  CHECK(kept->certificate() == certificate.certificate());
  CHECK(kept->private_key() == certificate.private_key());

  // Other programs can use the file as it is.
  const std::string file = bench.files().file_of(certificate_of("example.test")).string();
  CHECK(run_program("openssl x509 -noout -subject -in " + file).status == 0);
  const ProgramRun key = run_program("openssl pkey -pubout -in " + file);
  const ProgramRun leaf = run_program("openssl x509 -noout -pubkey -in " + file);
  CHECK(key.status == 0);
  CHECK(key.output == leaf.output);
}

TEST_CASE("the account is the same on the next day, and its key in the store is the one it has") {
  const Bench bench;
  const blocking::AccountHandle first = bench.directory(bench.files()).account(email);
  CHECK(first.api_account().created);
  CHECK(bench.files().get(account_key) == first.acme_private_key_pem());
  const blocking::AccountHandle second = bench.directory(bench.files()).account(email);
  CHECK_FALSE(second.api_account().created);
  CHECK(second.api_account().url == first.api_account().url);
  CHECK(second.acme_private_key_pem() == first.acme_private_key_pem());
  CHECK(bench.directory(bench.files()).account("other@example.test").api_account().url != first.api_account().url);
}

TEST_CASE("programs that start at the same time with one store make one account, and leave one key") {
  const Bench bench;
  std::function<std::shared_ptr<Persist>()> another;
  SUBCASE("files") {
    another = [&] { return std::make_shared<FilePersist>(bench.folder.path() / "store"); };
  }
  SUBCASE("in memory") {
    another = [memory = MemoryPersist()] { return std::make_shared<MemoryPersist>(memory); };
  }
  SUBCASE("on a storage") {
    another = [storage = blocking::Storage(memory_storage())] { return std::make_shared<PersistOnStorage>(storage); };
  }
  for (int round = 0; round < 8; ++round) {
    const std::string realm = "round" + std::to_string(round);
    std::vector<std::future<std::string>> starters;
    for (int i = 0; i < 3; ++i) {
      starters.push_back(std::async(std::launch::async, [&] {
        return blocking::DirectoryHandle::from_url(another(), DirectoryUrl::other(bench.ca.directory_url()),
                                                   bench.client_options)
            .account_with_realm(realm, {})
            .acme_private_key_pem();
      }));
    }
    const std::optional<std::string> kept = [&] {
      std::vector<std::string> keys;
      for (auto& starter : starters) keys.push_back(starter.get());
      for (const std::string& key : keys) CHECK(key == keys.front());
      return another()->get({realm, PersistKind::account_key, "account"});
    }();
    CHECK(kept.has_value());
    CHECK(bench.ca.sizes().accounts == static_cast<std::size_t>(round + 1));
    CHECK_FALSE(another()->get({realm, PersistKind::account_key, "account/pending"}));
  }
}

TEST_CASE("an account without an e-mail address, with other contacts, with a key of one's own") {
  const Bench bench;
  const blocking::DirectoryHandle directory = bench.directory(bench.files());
  CHECK(directory.account_with_realm("us").api_account().contacts.empty());
  const std::vector<std::string> contacts = {"mailto:a@example.test", "mailto:b@example.test"};
  CHECK(directory.account_with_realm("them", contacts).api_account().contacts == contacts);
  CHECK(contains(thrown_by([&] { return directory.account("us"); }), "account_with_realm"));

  const AccountKey key = AccountKey::generate("rsa:2048");
  AccountOptions options;
  options.agree_tos = true;
  const blocking::AccountHandle ours = directory.account_with_key("ours", key, options);
  CHECK(ours.acme_private_key_pem() == key.to_pem());
  CHECK(bench.files().get({"ours", PersistKind::account_key, "account"}) == std::nullopt);
}

TEST_CASE("an account that is bound to one outside") {
  TestCaOptions options = believing();
  options.external_account_required = true;
  options.eab_keys = {{"kid", Bytes(32, 7)}};
  options.terms_of_service = "https://example.test/terms";
  const Bench bench(options);
  const blocking::DirectoryHandle directory = bench.directory(MemoryPersist());
  CHECK(contains(thrown_by([&] { return directory.account(email); }), "external_account_required"));
  CHECK(directory.account_with_realm(email, {}, EabOptions("kid", Bytes(32, 7))).api_account().created);
}

TEST_CASE("a store that cannot be read is not one without an account: no second account is made") {
  const Bench bench;
  bench.directory(bench.files()).account(email);
  const fs::path file = bench.files().file_of(account_key);
  fs::remove(file);
  fs::create_directory(file);
  const int before = bench.requests("new-account");
  CHECK(contains(thrown_by([&] { return bench.directory(bench.files()).account(email); }), "io_failed"));
  CHECK(bench.requests("new-account") == before);

  const TroubledStore store;
  store.state->failing_get = "account_key";
  CHECK_THROWS_WITH_AS(bench.directory(store).account(email), "the disk is broken", std::runtime_error);
  CHECK(bench.requests("new-account") == before);
  CHECK(store.state->memory.get(account_key) == std::nullopt);
}

TEST_CASE("the account's key is kept when the CA has taken it, and lost in no case") {
  const Bench bench;
  const blocking::DirectoryHandle directory = bench.directory(bench.files());
  TestCaFault lost("new-account", TestCaFault::Kind::drop_after);
  lost.times = 6;  // the request and its repetitions
  bench.ca.plan(lost);
  CHECK(thrown_by([&] { return directory.account(email); }) != "(nothing thrown)");
  CHECK(bench.files().get(account_key) == std::nullopt);
  const blocking::AccountHandle account = directory.account(email);
  CHECK_FALSE(account.api_account().created);  // the first attempt's, whose answer was lost
  CHECK(bench.files().get(account_key) == account.acme_private_key_pem());

  // Without a place for the key, no account is made with it.
  const TroubledStore store;
  store.state->failing_put = "account_key";
  const int before = bench.requests("new-account");
  CHECK_THROWS_WITH_AS(bench.directory(store).account(email), "the disk is full", std::runtime_error);
  CHECK(bench.requests("new-account") == before);
}

TEST_CASE("kept under the primary name as given, with a wildcard and a CA that lists names in another order") {
  TestCaOptions options = believing();
  options.faults.reorder_identifiers = true;
  const Bench bench(options);
  const blocking::AccountHandle account = bench.directory(bench.files()).account(email);
  const std::vector<std::string> alt_names = {"*.Zebra.test", "aardvark.test", "*.aardvark.test"};
  const blocking::CertificateWithKey certificate = issue(account, "Zebra.test", alt_names);
  CHECK(names_of(certificate) ==
        std::vector<std::string>{"*.aardvark.test", "*.zebra.test", "aardvark.test", "zebra.test"});
  REQUIRE(account.certificate("Zebra.test"));
  CHECK(account.certificate("Zebra.test")->certificate_der() == certificate.certificate_der());
  for (const char* other : {"*.zebra.test", "*.Zebra.test", "zebra.test", "aardvark.test", "*.aardvark.test"}) {
    CAPTURE(other);
    CHECK(account.certificate(other) == std::nullopt);
  }
  const blocking::CertificateWithKey wildcard = issue(account, "*.zebra.test", {"zebra.test"});
  CHECK(account.certificate("*.zebra.test")->certificate_der() == wildcard.certificate_der());
  CHECK(account.certificate("Zebra.test")->certificate_der() == certificate.certificate_der());
}

TEST_CASE("names that stores before have taken for each other, and realms") {
  const Bench bench;
  const blocking::DirectoryHandle directory = bench.directory(bench.files());
  const blocking::AccountHandle account = directory.account(email),
                                other = directory.account_with_realm("ops_example.test");
  const Bytes dots = issue(account, "a.b.test").certificate_der();
  const Bytes dash = issue(account, "a-b.test").certificate_der();
  const Bytes theirs = issue(other, "a.b.test").certificate_der();
  CHECK(account.certificate("a.b.test")->certificate_der() == dots);
  CHECK(account.certificate("a-b.test")->certificate_der() == dash);
  CHECK(other.certificate("a.b.test")->certificate_der() == theirs);
  CHECK(account.certificate("a_b.test") == std::nullopt);
}

TEST_CASE("persistence is optional: nothing kept, or not yet") {
  const Bench bench;
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  const blocking::CertificateWithKey certificate = issue(account, "example.test");
  CHECK(certificate.is_matching());
  CHECK(account.certificate("example.test") == std::nullopt);
  CHECK(account.unsaved_order("example.test") == std::nullopt);

  MemoryPersist memory;
  const blocking::AccountHandle with_memory = bench.directory(memory).account(email);
  const blocking::CertOrder issued =
      proven(with_memory.new_order("example.test")).finalize_pkey(create_rsa_key(2048), 0ms);
  CHECK(issued.download_cert().is_matching());
  CHECK(with_memory.certificate("example.test") == std::nullopt);
  issued.download_and_save_cert();
  CHECK(with_memory.certificate("example.test").has_value());
  CHECK(memory.get(certificate_of("example.test")) == with_memory.certificate("example.test")->certificate());
  CHECK(contains(thrown_by([&] { return blocking::DirectoryHandle::from_url(nullptr, DirectoryUrl::lets_encrypt()); }),
                 "NoPersist"));
}

TEST_CASE("a key pair of one's own") {
  const Bench bench;
  const blocking::AccountHandle account = bench.directory(bench.files()).account(email);
  const PrivateKey key = create_p384_key();
  const blocking::CsrOrder order = proven(account.new_order("example.test"));
  CHECK(contains(thrown_by([&] { return order.finalize("no key", 0ms); }), "crypto_failed"));
  const blocking::CertificateWithKey certificate = order.finalize(key.to_pem(), 0ms).download_and_save_cert();
  CHECK(PrivateKey::from_pem(certificate.private_key()).same_key_as(key));
  CHECK(certificate.api_certificate().matches(key));
}

TEST_CASE("the key is in the store before finalize leaves, and the certificate in use keeps its own") {
  const Bench bench;
  const TroubledStore store;
  const blocking::AccountHandle account = bench.directory(store).account(email);
  const blocking::CertificateWithKey old = issue(account, "example.test");
  const int before = bench.requests("finalize");

  const PrivateKey key = create_p256_key();
  const blocking::CsrOrder order = proven(account.new_order("example.test"));
  store.state->failing_put = "private_key";
  CHECK_THROWS_WITH_AS(order.finalize_pkey(key, 0ms), "the disk is full", std::runtime_error);
  CHECK(bench.requests("finalize") == before);
  store.state->failing_put = "";

  // The answer is lost, also that to the question what became of it; the certificate is there to be fetched.
  bench.ca.plan(TestCaFault("finalize", TestCaFault::Kind::drop_after));
  TestCaFault silent("order", TestCaFault::Kind::drop_after);
  silent.times = 6;
  bench.ca.plan(silent);
  CHECK(thrown_by([&] { return order.finalize_pkey(key, 0ms); }) != "(nothing thrown)");
  CHECK(account.certificate("example.test")->certificate_der() == old.certificate_der());
  const std::optional<blocking::CertOrder> unsaved =
      bench.directory(store).account(email).unsaved_order("example.test");
  REQUIRE(unsaved);
  CHECK(account.certificate("example.test")->certificate_der() == old.certificate_der());
  const blocking::CertificateWithKey fresh = unsaved->download_and_save_cert();
  CHECK(fresh.api_certificate().matches(key));
  CHECK(account.certificate("example.test")->certificate_der() == fresh.certificate_der());
  CHECK(account.unsaved_order("example.test") == std::nullopt);
  CHECK(bench.ca.issued().size() == 2);
}

TEST_CASE("two orders for one name: neither loses the other's key") {
  const Bench bench;
  const MemoryPersist memory;
  const blocking::AccountHandle account = bench.directory(memory).account(email);
  issue(account, "example.test");
  const PrivateKey first = create_p256_key(), second = create_p256_key();
  const blocking::CsrOrder one = proven(account.new_order("example.test"));
  const blocking::CsrOrder other = proven(account.new_order("example.test", {"www.example.test"}));
  one.finalize_pkey(first, 0ms);
  other.finalize_pkey(second, 0ms);

  // The program ended here. Both certificates are issued, and both can be saved.
  const blocking::AccountHandle later = bench.directory(memory).account(email);
  std::optional<blocking::CertOrder> unsaved = later.unsaved_order("example.test");
  REQUIRE(unsaved);
  CHECK(unsaved->download_and_save_cert().api_certificate().matches(second));
  unsaved = later.unsaved_order("example.test");
  REQUIRE(unsaved);
  CHECK(unsaved->download_and_save_cert().api_certificate().matches(first));
  CHECK(later.unsaved_order("example.test") == std::nullopt);

  // What was saved does not come back with the next order.
  issue(later, "example.test");
  CHECK(later.unsaved_order("example.test") == std::nullopt);
}

TEST_CASE("orders for one name, finalized on several threads: no key is lost") {
  const Bench bench;
  SlowStore store;
  const blocking::AccountHandle account = bench.directory(store).account(email);
  std::vector<blocking::CsrOrder> orders;
  for (int i = 0; i < 6; ++i) {
    orders.push_back(proven(account.new_order("example.test", {"n" + std::to_string(i) + ".example.test"})));
  }
  std::vector<std::thread> threads;
  for (const blocking::CsrOrder& order : orders) {
    threads.emplace_back([&order] { order.finalize_pkey(create_p256_key(), 0ms); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string kept = store.get(key_of("example.test/pending")).value();
  for (const blocking::CsrOrder& order : orders) CHECK(contains(kept, "order: " + order.api_order().url + "\n"));
}

TEST_CASE("an order that was finalized elsewhere: waiting ends, and the key that counts is kept") {
  const Bench bench;
  const MemoryPersist memory;
  const blocking::AccountHandle account = bench.directory(memory).account(email);
  blocking::NewOrder order = account.new_order("example.test");
  const PrivateKey key = create_p256_key();
  proven(order).finalize_pkey(key, 0ms);  // another program, with the same order
  order.refresh();
  CHECK(order.api_order().status == OrderStatus::valid);
  CHECK(order.is_validated());
  REQUIRE(order.confirm_validations());
  const std::string thrown =
      thrown_by([&] { return order.confirm_validations()->finalize_pkey(create_p256_key(), 0ms); });
  CHECK(contains(thrown, "invalid_argument"));
  CHECK(contains(thrown, "finalized before"));
  REQUIRE(account.unsaved_order("example.test"));
  CHECK(account.unsaved_order("example.test")->download_and_save_cert().api_certificate().matches(key));
}

TEST_CASE("an unsaved order that the CA does not know, or that came to nothing, is none") {
  const Bench bench;
  MemoryPersist memory;
  const blocking::AccountHandle account = bench.directory(memory).account(email);
  const PersistKey pending = key_of("example.test/pending");
  CHECK(account.unsaved_order("example.test") == std::nullopt);
  const std::string unknown = account.new_order("example.test").api_order().url + "nonsense";
  memory.put(pending, "order: " + unknown + "\n" + create_p256_key().to_pem());
  CHECK(account.unsaved_order("example.test") == std::nullopt);
  memory.put(pending,
             "order: " + account.new_order("example.test").api_order().url + "\n" + create_p256_key().to_pem());
  CHECK(account.unsaved_order("example.test") == std::nullopt);
  memory.put(pending, "nonsense");
  CHECK(contains(thrown_by([&] { return account.unsaved_order("example.test"); }), "not as culmen left it"));
}

TEST_CASE("an order with more authorizations than names: none is handed out") {
  TestCaOptions options = believing();
  options.faults.extra_authorizations = {"elsewhere.example.test"};
  const Bench bench(options);
  const blocking::AccountHandle account = bench.directory(bench.files()).account(email);
  const blocking::NewOrder order = account.new_order("a.example.test");
  const int before = bench.requests("authz");
  CHECK(thrown_by([&] { return order.authorizations(); }).starts_with("bad_response: "));
  CHECK(bench.requests("authz") == before);
}

TEST_CASE("an unsaved order whose certificate was refused is over") {
  TestCaOptions options = believing();
  options.faults.other_public_key = true;
  const Bench bench(options);
  const blocking::AccountHandle account = bench.directory(bench.files()).account(email);
  for (int i = 0; i < 2; ++i) {
    const blocking::CertOrder order = proven(account.new_order("example.test")).finalize_pkey(create_p256_key(), 0ms);
    CHECK(account.unsaved_order("example.test").has_value());
    CHECK(thrown_by([&] { return order.download_and_save_cert(); }).starts_with("bad_response: "));
    CHECK(account.unsaved_order("example.test") == std::nullopt);
  }
}

TEST_CASE("what the store throws while saving reaches the caller, and the order can still be saved") {
  const Bench bench;
  const TroubledStore store;
  const blocking::AccountHandle account = bench.directory(store).account(email);
  const blocking::CertOrder issued = proven(account.new_order("example.test")).finalize_pkey(create_p256_key(), 0ms);
  store.state->failing_put = "certificate/";
  CHECK_THROWS_WITH_AS(issued.download_and_save_cert(), "the disk is full", std::runtime_error);
  CHECK(account.certificate("example.test") == std::nullopt);
  store.state->failing_put = "";
  store.state->failing_get = "certificate/";
  CHECK_THROWS_WITH_AS(account.certificate("example.test"), "the disk is broken", std::runtime_error);
  store.state->failing_get = "";
  issued.download_and_save_cert();
  CHECK(account.certificate("example.test").has_value());
}

TEST_CASE("no certificate unless it and its key are there, and belong together") {
  const Bench bench;
  MemoryPersist memory;
  const blocking::AccountHandle account = bench.directory(memory).account(email);
  const blocking::CertificateWithKey certificate = issue(account, "example.test");
  memory.put(certificate_of("certificate.test"), certificate.certificate());
  CHECK(account.certificate("certificate.test") == std::nullopt);
  memory.put(key_of("key.test"), certificate.private_key());
  CHECK(account.certificate("key.test") == std::nullopt);
  memory.put_certificate(email, "both.test",
                         PersistedCertificate(certificate.private_key(), certificate.certificate()));
  CHECK(account.certificate("both.test").has_value());
  memory.put(key_of("both.test"), create_p256_key().to_pem());
  CHECK(account.certificate("both.test") == std::nullopt);
  memory.put(key_of("both.test"), "what is this");
  CHECK(contains(thrown_by([&] { return account.certificate("both.test"); }), "crypto_failed"));
}

TEST_CASE("an order that came to nothing ends at once, and says why") {
  const Bench bench;
  bench.ca.force_validation("bad.test", false);
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  blocking::NewOrder order = account.new_order("bad.test");
  const blocking::ChallengeHandle challenge = order.authorizations().at(0).http_challenge();
  CHECK(seconds_of([&] {
          const std::string thrown = thrown_by([&] { return challenge.validate(100ms), 0; });
          CHECK(contains(thrown, "authorization_invalid"));
          CHECK(contains(thrown, "bad.test"));
        }) < 5);
  CHECK(seconds_of([&] {
          const std::string thrown = thrown_by([&] { return order.refresh(), 0; });
          CHECK(contains(thrown, "order_invalid"));
          CHECK(contains(thrown, "bad.test"));
        }) < 5);
  CHECK_FALSE(order.confirm_validations());
}

TEST_CASE("waiting has an end, and Retry-After wins over the caller's delay") {
  TestCaOptions options = believing();
  options.faults.pending_polls = 1000;
  const Bench bench(options);
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  const auto challenge = [&] { return account.new_order("slow.test").authorizations().at(0).http_challenge(); };

  blocking::ChallengeHandle one = challenge();
  bench.ca.reset_counts();
  CHECK(seconds_of([&] { CHECK(contains(thrown_by([&] { return one.validate(0ms, 1s), 0; }), "deadline")); }) < 5);
  CHECK(bench.requests("authz") <= 7);  // a delay of nothing is none to hammer with

  TestCaFaults faults = options.faults;
  faults.retry_after = "300";
  bench.ca.set_faults(faults);
  one = challenge();
  CHECK(seconds_of([&] {
          try {
            one.validate(10ms, 10s);
            FAIL("validated");
          } catch (const Error& error) {
            CHECK(error.code() == Errc::deadline);
            CHECK(error.retry_after() == 300s);
          }
        }) < 5);

  faults.retry_after = "2";
  faults.pending_polls = 1;
  bench.ca.set_faults(faults);
  one = challenge();
  const double waited = seconds_of([&] { one.validate(60s, 100s); });
  CHECK(waited >= 1.9);
  CHECK(waited < 20);
}

TEST_CASE("finalization that takes its time is waited for, with an end") {
  TestCaOptions options = believing();
  options.faults.processing_polls = 2;
  const Bench bench(options);
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  CHECK(issue(account, "example.test").is_matching());
  TestCaFaults faults = options.faults;
  faults.processing_polls = 1000;
  bench.ca.set_faults(faults);
  const blocking::CsrOrder order = proven(account.new_order("slow.test"));
  CHECK(contains(thrown_by([&] { return order.finalize_pkey(create_p256_key(), 0ms, 1s); }), "deadline"));
}

TEST_CASE("a loop around refresh() does not hammer the CA") {
  const Bench bench;
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  blocking::NewOrder order = account.new_order("example.test");
  const double seconds = seconds_of([&] {
    for (int i = 0; i < 4; ++i) order.refresh();
  });
  CHECK(seconds >= 1.7);  // 0, 250, 500, 1000 ms
}

TEST_CASE("a CA that is known to know the names: no challenge is needed, and nonces are refused meanwhile") {
  TestCaOptions options = believing();
  options.faults.reuse_authorizations = true;
  options.faults.reject_nonces_percent = 30;
  options.faults.ready_race = true;
  const Bench bench(options);
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  issue(account, "example.test");
  const blocking::NewOrder again = account.new_order("example.test");
  CHECK(again.is_validated());
  for (const blocking::Auth& auth : again.authorizations()) CHECK_FALSE(auth.need_challenge());
  CHECK(again.confirm_validations()->finalize_pkey(create_p256_key(), 0ms).download_cert().is_matching());
}

TEST_CASE("proofs, and challenges that are not offered") {
  const Bench bench;
  const blocking::AccountHandle account = bench.directory(NoPersist()).account(email);
  const std::vector<blocking::Auth> auths = account.new_order("*.example.test").authorizations();
  REQUIRE(auths.size() == 1);
  CHECK(auths[0].domain_name() == "example.test");
  CHECK(auths[0].api_auth().wildcard);
  const std::string thrown = thrown_by([&] { return auths[0].http_challenge(); });
  CHECK(contains(thrown, "not_offered"));
  CHECK(contains(thrown, "dns-01"));

  const blocking::ChallengeHandle challenge = auths[0].dns_challenge();
  const std::string proof = account.api_account().key_authorization(challenge.api_challenge().token);
  std::array<std::uint8_t, 32> digest{};
  REQUIRE(EVP_Digest(proof.data(), proof.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1);
  CHECK(challenge.tls_alpn_proof() == digest);
  CHECK(challenge.dns_proof() == base::base64url_encode(digest));

  for (const std::string token : {"", "../../etc/passwd", "a/b", "a.b", "a b", "a\nb"}) {
    CAPTURE(token);
    culmen::Challenge odd = challenge.api_challenge();
    odd.token = token;
    const blocking::ChallengeHandle wrapped(account, auths[0].api_auth().url, odd);
    CHECK(contains(thrown_by([&] { return wrapped.http_token(); }), "bad_response"));
    CHECK(contains(thrown_by([&] { return wrapped.dns_proof(); }), "bad_response"));
  }
}

TEST_CASE("revoked, with a reason") {
  const Bench bench;
  const blocking::AccountHandle account = bench.directory(MemoryPersist()).account(email);
  const blocking::CertificateWithKey certificate = issue(account, "example.test");
  CHECK(contains(thrown_by([&] { return account.revoke_certificate(certificate, 7), 0; }), "invalid_argument"));
  CHECK_FALSE(bench.ca.is_revoked(certificate.certificate()));
  account.revoke_certificate(certificate, 4);
  CHECK(bench.ca.is_revoked(certificate.certificate()));
  CHECK(contains(thrown_by([&] { return account.revoke_certificate(certificate), 0; }), "already_revoked"));
}

TEST_CASE("days left are whole, and below zero from the moment of expiry") {
  const Bench bench;
  const blocking::CertificateWithKey certificate = issue(bench.directory(NoPersist()).account(email), "example.test");
  const auto end = certificate.api_certificate().not_after;
  CHECK(certificate.valid_days_left(end - 48h) == 2);
  CHECK(certificate.valid_days_left(end - 48h + 1s) == 1);
  CHECK(certificate.valid_days_left(end - 1s) == 0);
  CHECK(certificate.valid_days_left(end + 1s) == -1);
  CHECK(certificate.valid_days_left(end + 25h) == -2);
}

TEST_CASE("the CAs with a name of their own, and the keys") {
  CHECK(resolve_directory_url(DirectoryUrl::lets_encrypt().str()) == "https://acme-v02.api.letsencrypt.org/directory");
  CHECK(resolve_directory_url(DirectoryUrl::lets_encrypt_staging().str()) ==
        "https://acme-staging-v02.api.letsencrypt.org/directory");
  CHECK(DirectoryUrl::other("https://ca.test/dir").str() == "https://ca.test/dir");
  CHECK(create_p256_key().type() == "ec:P-256");
  CHECK(create_p384_key().type() == "ec:P-384");
  CHECK(create_rsa_key(2048).type() == "rsa:2048");
  CHECK(contains(thrown_by([] { return create_rsa_key(512); }), "unsupported_key_type"));
}
