// What of the found goes into a storage, by what is stored.
#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "client_files.hpp"
#include "support/errors.hpp"

using namespace imports_test;
namespace json = boost::json;
using Names = std::vector<std::string>;
using AccountVerdict = AccountImport::Verdict;
using CertificateVerdict = CertificateImport::Verdict;

namespace {

const std::string other_server = "https://ca.example/dir";

AccountKey key(const char* file = "keys/rsa2048.pkcs8.pem") { return AccountKey::from_pem(test_data(file)); }

FoundAccount found_account(const std::string& name, const std::string& server = letsencrypt) {
  FoundAccount account;
  account.name = name;
  account.server = server;
  account.account.emplace("https://ca.example/account/" + name, key());
  return account;
}

FoundCertificate found_certificate(const std::string& name, const std::string& account,
                                   const std::string& server = letsencrypt) {
  static const test::Identity made = test::make_identity("x", "DNS:a.example", nullptr);
  FoundCertificate certificate;
  certificate.name = name;
  certificate.account = account;
  certificate.server = server;
  certificate.source = "/etc/client/" + name;
  certificate.chain_pem = made.certificate_pem();
  certificate.leaf = Certificate::from_pem(certificate.chain_pem);
  certificate.key = PrivateKey::from_pem(made.key_pem());
  certificate.spec = CertificateSpec({"a.example"});
  certificate.spec.id = name;
  return certificate;
}

FoundState state(std::vector<FoundAccount> accounts, std::vector<FoundCertificate> certificates = {}) {
  FoundState found;
  found.folder = "/etc/client";
  found.accounts = std::move(accounts);
  found.certificates = std::move(certificates);
  return found;
}

ImportSelection selection(Names certificates, Names accounts = {}) {
  ImportSelection chosen;
  chosen.certificates = std::move(certificates);
  chosen.accounts = std::move(accounts);
  return chosen;
}

StoredAccount stored_account(const std::string& url, const char* file = "keys/rsa2048.pkcs8.pem",
                             const std::string& server = letsencrypt) {
  StoredAccount stored;
  stored.server = storage_part_text(server_part(server)).value();
  stored.record.key_pem = test_data(file);
  stored.record.url = url;
  return stored;
}

StoredCertificate stored_certificate(const std::string& id, std::uint64_t live) {
  StoredCertificate stored;
  stored.id = id;
  stored.record.live = live;
  return stored;
}

template <class Value>
Names names_of(const std::vector<Value>& values) {
  Names names;
  for (const Value& one : values) names.push_back(one.name);
  return names;
}

ImportPlan plan(const FoundState& found, const ImportSelection& chosen = {},
                const std::vector<StoredAccount>& accounts = {},
                const std::vector<StoredCertificate>& certificates = {}) {
  return plan_import(found, chosen, accounts, certificates);
}

/// The verdict for one account, beside what is stored.
AccountVerdict verdict(const FoundAccount& account, const std::vector<StoredAccount>& stored) {
  return plan(state({account}), {}, stored).accounts.at(0).verdict;
}

}  // namespace

TEST_CASE("imports: a selection is by the other client's names, and names that are not there are refused") {
  const FoundState found =
      state({found_account("first"), found_account("second"), found_account("first", other_server)},
            {found_certificate("a", "first"), found_certificate("b", "second")});
  CHECK(selected(found, {}).accounts.size() == 3);
  const FoundState one = selected(found, selection({"b"}));
  CHECK(names_of(one.certificates) == Names{"b"});
  CHECK(names_of(one.accounts) == Names{"second"});
  const FoundState account = selected(found, selection({}, {"first"}));
  CHECK(names_of(account.certificates) == Names{"a", "b"});
  CHECK(names_of(account.accounts) == Names{"first", "first"});
  CHECK(names_of(selected(found, selection({"b"}, {"first"})).accounts) == Names{"first", "first"});
  CHECK(thrown_by([&] { return selected(found, selection({"c"})); }) ==
        "invalid_argument: importing from /etc/client: there is no certificate \"c\"; there is: a, b");
  CHECK(thrown_by([&] { return plan(found, selection({}, {"third"})); }) ==
        "invalid_argument: importing from /etc/client: there is no account \"third\"; there is: first, second, first");
  CHECK(thrown_by([&] { return selected(state({}), selection({"c"})); }) ==
        "invalid_argument: importing from /etc/client: there is no certificate \"c\"; there is: none");
}

TEST_CASE("imports: an account is added, or what is stored stays") {
  const FoundAccount account = found_account("first");
  const std::string url = account.account->url;
  CHECK(verdict(account, {}) == AccountVerdict::add);
  CHECK(verdict(account, {stored_account(url, "keys/rsa2048.pkcs8.pem", other_server)}) == AccountVerdict::add);
  CHECK(verdict(account, {stored_account(url)}) == AccountVerdict::same);
  CHECK(verdict(account, {stored_account("https://ca.example/account/9", "keys/p256.pkcs8.pem")}) ==
        AccountVerdict::other);
  // A key that no account was made with is set aside.
  CHECK(verdict(account, {stored_account("", "keys/p256.pkcs8.pem")}) == AccountVerdict::add);
  CHECK(verdict(account, {stored_account("")}) == AccountVerdict::add);
  StoredAccount changing = stored_account("", "keys/p256.pkcs8.pem");
  changing.record.next_key_pem = test_data("keys/ed25519.pem");
  CHECK(verdict(account, {changing}) == AccountVerdict::other);
  StoredAccount damaged = stored_account(url);
  damaged.damage = "it is damaged";
  const ImportPlan beside = plan(state({account}), {}, {damaged});
  CHECK(beside.accounts.at(0).verdict == AccountVerdict::damaged);
  CHECK(beside.accounts.at(0).damage == "it is damaged");

  FoundAccount without_url = account;
  without_url.account->url.clear();
  CHECK(verdict(without_url, {stored_account("")}) == AccountVerdict::same);
  FoundAccount wrong = account;
  wrong.account.reset();
  wrong.wrong = Error(Errc::io_failed, "reading", "no");
  CHECK(verdict(wrong, {stored_account(url)}) == AccountVerdict::wrong);
}

TEST_CASE("imports: of several accounts at a server, the one that certificates came from") {
  const std::vector<FoundAccount> two = {found_account("first"), found_account("second")};
  const ImportPlan unused = plan(state(two, {found_certificate("a", "third")}));
  REQUIRE(unused.accounts.size() == 1);
  CHECK(unused.accounts[0].verdict == AccountVerdict::several);
  CHECK(names_of(unused.accounts[0].found) == Names{"first", "second"});
  const ImportPlan used = plan(state(two, {found_certificate("a", "second")}));
  REQUIRE(used.accounts.size() == 1);
  CHECK(used.accounts[0].verdict == AccountVerdict::add);
  CHECK(names_of(used.accounts[0].found) == Names{"second"});
  const FoundState both = state(two, {found_certificate("a", "first"), found_certificate("b", "second")});
  CHECK(plan(both).accounts.at(0).verdict == AccountVerdict::several);
  CHECK(names_of(plan(both, selection({}, {"first"})).accounts.at(0).found) == Names{"first"});
  CHECK(
      plan(state(two, {found_certificate("a", "second")}), selection({}, {"first", "second"})).accounts.at(0).verdict ==
      AccountVerdict::several);
  // Each server by itself.
  const ImportPlan servers = plan(state({two[0], two[1], found_account("first", other_server)}));
  REQUIRE(servers.accounts.size() == 2);
  CHECK(servers.accounts[0].verdict == AccountVerdict::several);
  CHECK(servers.accounts[1].verdict == AccountVerdict::add);
}

TEST_CASE("imports: a certificate is added once, and never in the place of another") {
  FoundCertificate wrong = found_certificate("w", "first");
  wrong.wrong = Error(Errc::io_failed, "reading", "no");
  FoundCertificate same_id = found_certificate("z", "first");
  same_id.spec.id = "a";
  const FoundState found = state({found_account("first")},
                                 {found_certificate("a", "first"), wrong, same_id, found_certificate("b", "first")});
  const ImportPlan fresh = plan(found, {}, {}, {stored_certificate("b", 2)});
  REQUIRE(fresh.certificates.size() == 4);
  CHECK(fresh.certificates[0].verdict == CertificateVerdict::add);
  CHECK(fresh.certificates[1].verdict == CertificateVerdict::wrong);
  CHECK(fresh.certificates[2].verdict == CertificateVerdict::keep);
  CHECK(fresh.certificates[3].verdict == CertificateVerdict::keep);
  // What an import left that did not end is no certificate yet; one that is wanted is.
  CHECK(plan(found, selection({"b"}), {}, {stored_certificate("b", 0)}).certificates.at(0).verdict ==
        CertificateVerdict::add);
  StoredCertificate spec_only = stored_certificate("b", 0);
  spec_only.record.spec.emplace();
  CHECK(plan(found, selection({"b"}), {}, {spec_only}).certificates.at(0).verdict == CertificateVerdict::keep);
}

TEST_CASE("imports: what is stored of a certificate says where it came from") {
  const ImportPlan planned = plan(state({found_account("first")}, {found_certificate("a", "first")}));
  const CertificateImport& one = planned.certificates.at(0);
  CHECK(one.record.spec == one.found.spec);
  CHECK(one.record.server == letsencrypt);
  CHECK(one.record.account == "https://ca.example/account/first");
  CHECK(one.generation.chain_pem == one.found.chain_pem);
  CHECK(PrivateKey::from_pem(one.generation.key_pem).same_key_as(*one.found.key));
  const json::object meta = json::parse(one.generation.meta).as_object();
  CHECK(meta.at("server") == json::value(letsencrypt));
  CHECK(meta.at("account") == json::value(one.record.account));
  CHECK(meta.at("names") == json::array({"a.example"}));
  CHECK(meta.at("key_type") == "ec:P-256");
  CHECK(meta.at("imported_from") == "/etc/client/a");
}

TEST_CASE("imports: a certificate whose account is nowhere lacks one") {
  const auto lacks = [](const FoundState& found, const ImportSelection& chosen = {},
                        const std::vector<StoredAccount>& stored = {}) {
    return plan(found, chosen, stored).certificates.at(0).lacks_account;
  };
  FoundAccount wrong = found_account("first");
  wrong.account.reset();
  wrong.wrong = Error(Errc::io_failed, "reading", "no");
  const std::vector<FoundCertificate> one = {found_certificate("a", "first")};
  CHECK_FALSE(lacks(state({found_account("first")}, one)));
  CHECK(lacks(state({}, one)));
  CHECK(lacks(state({wrong}, one)));
  CHECK(lacks(state({found_account("first", other_server)}, one)));
  CHECK_FALSE(lacks(state({}, one), {}, {stored_account("https://ca.example/account/9")}));
  // Another account of that server is about to be there.
  CHECK_FALSE(lacks(state({found_account("second")}, one)));
}
