// The program, which does not use the storage yet, and storage in files, in turn on one state folder: an upgrade, and a
// downgrade.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "culmen/certificate.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/renewal_info.hpp"
#include "support/culmen_program.hpp"
#include "support/file_state.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace cli_test;
using culmen::test::drive_in_real_time;
using std::chrono::seconds;
namespace json = boost::json;

namespace {

/// The state folder of a client, as storage.
class State {
 public:
  explicit State(const fs::path& folder) : storage_(file_storage(folder)) {}
  StoredValue load(const std::string& key) const {
    const auto stored = drive_in_real_time(load_one(*storage_, key));
    if (!stored) FAIL(stored.error().what());
    REQUIRE_MESSAGE(*stored, key);
    return **stored;
  }
  json::object record(const std::string& id) const {
    return json::parse(load(certificate_record_key(id)).value).as_object();
  }
  Generation generation(const std::string& id, std::uint64_t number) const {
    return decode_generation(load(generation_key(id, number)).value).value();
  }
  void write(std::vector<Write> writes) const { drive_in_real_time(storage_->write(std::move(writes))).value(); }

 private:
  std::shared_ptr<Storage> storage_;
};

/// The results of `culmen renew`, by certificate.
std::map<std::string, std::string> renew(const Client& client, std::vector<std::string> words = {}) {
  std::vector<std::string> command = {culmen_path(), "renew", "--json", "--dir", client.state().string()};
  command.insert(command.end(), words.begin(), words.end());
  const Outcome outcome = run(command);
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit_code == 0);
  const json::object said = outcome.json();
  std::map<std::string, std::string> results;
  for (const json::value& one : said.at("certificates").as_array())
    results[text(one.at("name"))] = text(one.at("result"));
  return results;
}

}  // namespace

TEST_CASE("file storage: reads what the program wrote, and the program renews what it wrote") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example", "www.a.example"}).exit_code == 0);
  REQUIRE(client.issue({"Upper.example"}, {"--name", "Upper"}).exit_code == 0);
  REQUIRE(renew(client).size() == 2);  // asks the CA when to renew

  // Upgrade: everything is there, though the program keeps no records.
  const State state(client.state());
  json::object record = state.record("a.example");
  Generation first = state.generation("a.example", 1);
  const Certificate leaf = Certificate::from_pem(first.chain_pem);
  CHECK(first.key_pem == contents(client.certificate("a.example") / "live/key.pem"));
  CHECK(first.chain_pem == contents(client.certificate("a.example") / "live/fullchain.pem"));
  CHECK(record.at("live") == 1);
  CHECK(record.at("names") == json::array({"a.example", "www.a.example"}));
  CHECK(text(record.at("server")) == ca.url());
  CHECK(record.at("not_after") == std::chrono::system_clock::to_time_t(leaf.not_after));
  CHECK(record.at("not_before") == std::chrono::system_clock::to_time_t(leaf.not_before));
  CHECK(text(record.at("certificate_id")) == certificate_id(leaf));
  const json::object renewal = read_object(client.certificate("a.example") / "live/renewal.json");
  CHECK(record.at("renewal").as_object() == renewal);
  CHECK(record.at("dice") == renewal.at("dice"));
  CHECK(state.record("Upper").at("live") == 1);
  const CertificateRecord decoded =
      decode_certificate_record(state.load(certificate_record_key("a.example")).value).value();
  CHECK(decoded.live == 1);
  CHECK(decoded.last_generation == 1);
  CHECK(decoded.names == std::vector<std::string>{"a.example", "www.a.example"});
  CHECK(decoded.not_after == leaf.not_after);
  CHECK(decoded.certificate_id == certificate_id(leaf));
  REQUIRE(decoded.renewal.next_check);
  CHECK(std::chrono::system_clock::to_time_t(*decoded.renewal.next_check) == renewal.at("next_check").as_int64());
  CHECK(decoded.renewal.info);
  CHECK(decoded.renewal.chosen);
  CHECK(decoded.dice == decoded.renewal.dice);
  CHECK(decoded.unknown.empty());
  const StoredValue stored_account = state.load(account_key_of(ca.url()));
  AccountRecord account = decode_account(stored_account.value).value();
  CHECK(account.key_pem == contents(client.account() / "account.key"));
  CHECK(account.url == text(record.at("account")));
  CHECK(account.directory_url == ca.url());

  // A new generation, as a manager stores it.
  record["live"] = 2;
  record["last_generation"] = 2;
  record["of_a_newer_version"] = "kept";
  std::vector<Write> writes;
  writes.emplace_back(generation_key("a.example", 2), encode(first));
  writes.emplace_back(certificate_record_key("a.example"), json::serialize(record));
  writes.emplace_back(account_key_of(ca.url()), encode(account));
  writes.emplace_back("scratch/a", "value");
  writes.back().expected = Revision();
  state.write(writes);
  const auto lease =
      drive_in_real_time(file_storage(client.state())->acquire(certificate_lease("a.example"), "test", seconds(60)));
  CHECK(lease.value());
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "2");

  // Downgrade: the program reads, lists and renews it.
  CHECK(renew(client) == std::map<std::string, std::string>{{"a.example", "not due"}, {"Upper", "not due"}});
  const Outcome again = client.issue({"a.example", "www.a.example"});
  CHECK(again.exit_code == 0);
  CHECK(contains(again.out, "Nothing to do"));
  CHECK(renew(client, {"--force"}) ==
        std::map<std::string, std::string>{{"a.example", "renewed"}, {"Upper", "renewed"}});
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "3");
  CHECK(ca.logged("newAccount") <= 2);

  // And the upgrade after that: the link counts.
  const json::object after = state.record("a.example");
  const Generation third = state.generation("a.example", 3);
  CHECK(after.at("live") == 3);
  CHECK(after.at("last_generation") == 3);
  CHECK(text(after.at("of_a_newer_version")) == "kept");
  CHECK(text(after.at("certificate_id")) == certificate_id(Certificate::from_pem(third.chain_pem)));
  CHECK(text(after.at("certificate_id")) != text(record.at("certificate_id")));
  CHECK(state.record("Upper").at("live") == 2);
  CHECK(decode_account(state.load(account_key_of(ca.url())).value).value().key_pem == account.key_pem);
}
