// A state folder as the release before left it: everything is there, is renewed as it was issued, and stays readable
// for that release.
#include <doctest/doctest.h>

#include <fstream>
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

namespace {

/// Makes of a certificate what the release before keeps: no record, renewal.json beside meta.json, no settings apart.
void make_older(const Client& client, const std::string& name) {
  const fs::path folder = client.certificate(name);
  const json::object record = read_object(folder / "record.json");
  std::ofstream(folder / "live/renewal.json") << json::serialize(record.at("renewal"));
  fs::remove(folder / "record.json");
  fs::remove_all(client.state() / "local");
}

}  // namespace

TEST_CASE("a state folder of the release before: read, renewed as it was issued, and readable for it") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example", "www.a.example"}, {"--cert-key-type", "ec:P-384"}).exit_code == 0);
  REQUIRE(client.issue({"Upper.example"}, {"--name", "Upper"}).exit_code == 0);
  for (const char* name : {"a.example", "Upper"}) make_older(client, name);

  // As storage sees it.
  const State state(client.state());
  const Generation first = state.generation("a.example", 1);
  const Certificate leaf = Certificate::from_pem(first.chain_pem);
  CHECK(first.key_pem == contents(client.certificate("a.example") / "live/key.pem"));
  CHECK(first.chain_pem == contents(client.certificate("a.example") / "live/fullchain.pem"));
  const json::object renewal = read_object(client.certificate("a.example") / "live/renewal.json");
  CHECK(state.record("a.example").at("renewal").as_object() == renewal);
  const CertificateRecord record =
      decode_certificate_record(state.load(certificate_record_key("a.example")).value).value();
  CHECK(record.live == 1);
  CHECK(record.last_generation == 1);
  CHECK(record.names == std::vector<std::string>{"a.example", "www.a.example"});
  CHECK(record.server == ca.url());
  CHECK(record.not_after == leaf.not_after);
  CHECK(record.certificate_id == certificate_id(leaf));
  REQUIRE(record.renewal.next_check);
  CHECK(record.renewal.info);
  CHECK(record.dice == record.renewal.dice);
  CHECK(state.record("Upper").at("live") == 1);
  const AccountRecord account = decode_account(state.load(account_key_of(ca.url())).value).value();
  CHECK(account.key_pem == contents(client.account() / "account.key"));
  CHECK(account.directory_url == ca.url());

  // As the program uses it: port, roots and key type come from meta.json.
  CHECK(renew(client) == std::map<std::string, std::string>{{"a.example", "not due"}, {"Upper", "not due"}});
  const Outcome again = client.issue({"a.example", "www.a.example"});
  CHECK(again.exit_code == 0);
  CHECK(contains(again.out, "Nothing to do"));
  CHECK(renew(client, {"--force"}) ==
        std::map<std::string, std::string>{{"a.example", "renewed"}, {"Upper", "renewed"}});
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "2");
  CHECK(ca.logged("new-account") <= 1);
  const json::object after = state.record("a.example");
  CHECK(after.at("live") == 2);
  CHECK(after.at("key_type") == "ec:P-384");
  CHECK(text(after.at("certificate_id")) ==
        certificate_id(Certificate::from_pem(state.generation("a.example", 2).chain_pem)));

  // What the release before needs to go on is in the new generation too.
  const json::object meta = read_object(client.certificate("a.example") / "live/meta.json");
  CHECK(text(meta.at("server")) == ca.url());
  CHECK(meta.at("names") == json::array({"a.example", "www.a.example"}));
  CHECK(meta.at("key_type") == "ec:P-384");
  CHECK(meta.at("challenge").at("type") == "http-01");
  CHECK(std::to_string(meta.at("challenge").at("http_port").as_int64()) == ca.http_port());
  CHECK(text(meta.at("server_ca")) == ca.root_file());
}
