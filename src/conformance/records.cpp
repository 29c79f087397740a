// Tests of the keys that typed engines know: they keep records as files that other programs read.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <cstddef>

#include "conformance/bench.hpp"
#include "culmen/error.hpp"
#include "culmen/records.hpp"

namespace culmen::conformance {

namespace {

using std::chrono::seconds;

// PEM with DER in it, but no key and no certificate: engines keep them, and do not read them.
constexpr const char* key_pem = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
constexpr const char* other_key_pem = "-----BEGIN PRIVATE KEY-----\nMAIwAA==\n-----END PRIVATE KEY-----\n";
constexpr const char* chain_pem =
    "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    "-----BEGIN CERTIFICATE-----\nMAIwAA==\n-----END CERTIFICATE-----\n";

/// Typed engines return a record that says the same; others, the same octets.
void expect_same(const std::optional<StoredValue>& stored, const std::string& value, const std::string& what) {
  expect(stored.has_value(), what + " is there");
  if (stored->value == value) return;
  boost::system::error_code failed;
  const boost::json::value is = boost::json::parse(stored->value, failed);
  const boost::json::value wanted = boost::json::parse(value);
  expect(!failed && is == wanted, what + " is what was stored: " + value, stored->value);
}

Flow<Result<void>> keeps_record(Bench& bench, std::string key, std::string value, std::string what) {
  Revision revision = co_await bench.put(key, value);
  std::optional<StoredValue> stored = co_await bench.get(key);
  expect_same(stored, value, what);
  expect(stored->revision == revision, what + " has the revision that write() returned");
  co_return Result<void>();
}

/// Typed engines refuse the value; others keep it.
Flow<Result<void>> refuses_what_does_not_fit(Bench& bench, std::string key, std::string value) {
  if (!bench.first().capabilities().typed) co_return Result<void>();
  Write change(key, std::move(value));
  Result<void> done = co_await bench.refused(std::move(change), Errc::invalid_argument,
                                             "a typed engine refuses what is not the record of " + key);
  co_return done;
}

Flow<Result<void>> accounts_are_kept(Bench& bench) {
  // With and without what a file name could not have.
  std::vector<std::string> servers;
  servers.push_back("https://acme.conformance.example/directory");
  servers.push_back("https://conformance.example:14000/ACME/dir?a=b");
  for (const std::string& server : servers) {
    const std::string key = account_key_of(server);
    Result<void> done = co_await bench.remove_all_below(account_lease(server) + "/");
    AccountRecord account;
    account.key_pem = key_pem;
    done = co_await keeps_record(bench, key, encode(account), "an account with nothing but a key");
    account.url = "https://conformance.example/account/1";
    account.directory_url = server;
    account.next_key_pem = other_key_pem;
    account.unknown = R"({"contacts":["mailto:ops@example.com"],"of_a_newer_version":{"a":[1,2.5,null,true]}})";
    done =
        co_await keeps_record(bench, key, encode(account), "an account in a rollover, with members of a newer version");
    account.key_pem = other_key_pem;
    account.next_key_pem.clear();
    done = co_await keeps_record(bench, key, encode(account), "an account after a rollover");
    done = co_await refuses_what_does_not_fit(bench, key, "not JSON");
    done = co_await refuses_what_does_not_fit(bench, key, R"({"format":1000,"key":""})");

    Lease lease = co_await bench.acquire(0, account_lease(server), seconds(60));
    Write change = fenced(key, encode(account), lease);
    Revision revision = co_await bench.write(change);
    change.expected = revision;
    account.url = "https://conformance.example/account/2";
    change.value = encode(account);
    revision = co_await bench.write(change);
    done = co_await bench.refused(change, Errc::conflict, "the record of an account has a revision");
    done = co_await bench.release(0, lease);
    Lease next = co_await bench.acquire(1, account_lease(server), seconds(60));
    change.expected.reset();
    done = co_await bench.refused(change, Errc::fenced, "the record of an account is guarded by its lease");
    done = co_await bench.release(1, std::move(next));

    std::vector<std::string> found = co_await bench.keys_below(account_lease(server) + "/");
    expect(found.size() == 1 && found.front() == key, "list() returns the record of an account");
    Write removal(key);
    revision = co_await bench.write(std::move(removal));
    done = co_await bench.sees(key, std::nullopt, "the record of an account is removed");
  }
  co_return Result<void>();
}

std::string record_text(std::uint64_t live, const std::string& rest) {
  return R"({"format":1,"live":)" + std::to_string(live) + R"(,"last_generation":2)" + rest + "}";
}

Flow<Result<void>> certificate_is_kept(Bench& bench, std::string id) {
  Result<void> done = co_await bench.remove_all_below(certificate_lease(id) + "/");
  const std::string pending_key = pending_order_key(id), record_key = certificate_record_key(id);
  Lease lease = co_await bench.acquire(0, certificate_lease(id), seconds(120));

  PendingOrder order;
  order.order_url = "https://conformance.example/order/1";
  order.server = "https://conformance.example/directory";
  order.account = "https://conformance.example/account/1";
  order.names.push_back("conformance.example");
  order.names.push_back("*.conformance.example");
  order.key_type = "ec:P-256";
  order.unknown = R"({"of_a_newer_version":[1]})";
  done = co_await keeps_record(bench, pending_key, encode(order), "an order in progress without a key");
  order.key_pem = key_pem;
  order.replaces = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
  done = co_await keeps_record(bench, pending_key, encode(order), "an order in progress with its key");
  done = co_await refuses_what_does_not_fit(bench, pending_key, "[]");

  Generation generation;
  generation.key_pem = key_pem;
  generation.chain_pem = chain_pem;
  generation.meta =
      R"({"server":"https://conformance.example/directory","names":["conformance.example"],"of_a_newer_version":1})";
  for (std::uint64_t number = 1; number <= 2; ++number) {
    const std::string what = "generation " + std::to_string(number);
    done = co_await keeps_record(bench, generation_key(id, number), encode(generation), what);
    Write record = fenced(
        record_key, record_text(number, R"(,"names":["conformance.example"],"of_a_newer_version":{"a":1})"), lease);
    Revision revision = co_await bench.write(record);
    std::optional<StoredValue> stored = co_await bench.get(record_key);
    expect_same(stored, *record.value, "the record of a certificate");
    expect(stored->revision == revision, "the record of a certificate has the revision that write() returned");
    record.expected = Revision();
    done = co_await bench.refused(record, Errc::conflict, "the record of a certificate has a revision");
  }
  done = co_await refuses_what_does_not_fit(bench, generation_key(id, 3), "no generation");
  done = co_await refuses_what_does_not_fit(bench, record_key, "no record");

  std::vector<std::string> wanted;
  wanted.push_back(generation_key(id, 1));
  wanted.push_back(generation_key(id, 2));
  wanted.push_back(pending_key);
  wanted.push_back(record_key);
  std::vector<std::string> found = co_await bench.keys_below(certificate_lease(id) + "/");
  expect(found == wanted, "list() returns generations, order and record of a certificate",
         "it returned " + std::to_string(found.size()) + " keys");
  const std::vector<StoredItem> items = co_await bench.list(certificate_lease(id) + "/", wanted[2], 10, true);
  expect(items.size() == 1, "list() begins after `after`");
  std::optional<StoredValue> loaded = co_await bench.get(record_key);
  expect_same(loaded, items.front().stored.value, "the record of a certificate in a list");

  done = co_await bench.release(0, lease);
  Lease next = co_await bench.acquire(1, certificate_lease(id), seconds(60));
  Write late = fenced(record_key, record_text(1, ""), lease);
  done = co_await bench.refused(std::move(late), Errc::fenced, "the record of a certificate is guarded by its lease");
  for (const std::string& key : wanted) {
    Write removal(key);
    removal.fence = next;
    if (key == wanted[1] || key == wanted[0]) continue;
    Revision none = co_await bench.write(std::move(removal));
    expect(none.none(), "the revision of a removed value is none");
    done = co_await bench.sees(key, std::nullopt, "a record is removed");
  }
  done = co_await bench.remove_all_below(certificate_lease(id) + "/");
  done = co_await bench.sees(wanted[0], std::nullopt, "a generation is removed");
  done = co_await bench.release(1, std::move(next));
  co_return done;
}

Flow<Result<void>> certificates_are_kept(Bench& bench) {
  std::vector<std::string> ids;
  ids.push_back("conformance.example");
  ids.push_back("_wildcard.conformance.example");
  ids.push_back("Conformance.Example");
  ids.push_back("conformance.example@rsa");
  for (const std::string& id : ids) {
    Result<void> kept = co_await certificate_is_kept(bench, id);
    if (!kept) co_return kept;
  }
  co_return Result<void>();
}

Flow<Result<void>> unused_keys_are_kept(Bench& bench) {
  const std::string key = unused_key_of("19700101T000000Z", "0123456789abcdef");
  Write removal(key);
  Revision revision = co_await bench.write(removal);
  Write create = expecting(key, key_pem, Revision());
  revision = co_await bench.write(create);
  Result<void> done = co_await bench.refused(create, Errc::conflict, "a key that was set aside is not replaced");
  done = co_await bench.sees(key, std::string(key_pem), "a key that was set aside is kept");
  const std::vector<StoredItem> items = co_await bench.list("keys/unused/", "keys/unused/1970", 1, true);
  expect(items.size() == 1 && items.front().key == key && items.front().stored.value == key_pem,
         "list() returns the keys that were set aside");
  revision = co_await bench.write(std::move(removal));
  done = co_await bench.sees(key, std::nullopt, "a key that was set aside can be removed");
  co_return done;
}

}  // namespace

const std::vector<Definition> record_tests = {
    {"records: accounts are kept", "accounts", accounts_are_kept},
    {"records: certificates are kept", "certificates", certificates_are_kept},
    {"records: keys that were set aside are kept", "unused", unused_keys_are_kept},
};

}  // namespace culmen::conformance
