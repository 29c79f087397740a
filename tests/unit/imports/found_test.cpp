// What is found in the folders of other clients.
#include <doctest/doctest.h>

#include "client_files.hpp"
#include "culmen/persist.hpp"
#include "support/errors.hpp"
#include "support/text.hpp"

using namespace imports_test;
using test::TemporaryFolder;
using Remedy = ImportNote::Remedy;

namespace {

/// certbot's folder with one account.
struct Certbot {
  TemporaryFolder folder;
  ClientFolder from{OtherClient::certbot, folder.path()};

  Certbot() {
    put_account("acme-v02.api.letsencrypt.org/directory/first",
                R"({"uri": ")" + account_url + R"(", "body": {"contact": ["mailto:a@b.example", 1]}})");
  }
  void put_account(const std::string& path, const std::string& regr) const {
    put(folder / "accounts/" / path / "private_key.json", test_data("keys/rsa2048.jwk.json"));
    put(folder / "accounts/" / path / "regr.json", regr);
  }
  void put_certificate(const std::string& name, const std::string& params, const std::string& san) const {
    const fs::path live = folder / "live" / name;
    put_pair(live / "fullchain.pem", live / "privkey.pem", san);
    put(folder / "renewal" / (name + ".conf"),
        "version = 2.1.0\n[renewalparams]\naccount = first\nserver = " + letsencrypt + "\n" + params);
  }
  FoundCertificate read(const std::string& name, const std::string& params,
                        const std::string& san = "DNS:a.example") const {
    put_certificate(name, params, san);
    return certificate(find_client_state(from), name);
  }
};

}  // namespace

TEST_CASE("imports: what certbot keeps of a certificate and its account") {
  const Certbot certbot;
  const FoundCertificate found = certbot.read("a.example",
                                              "authenticator = standalone\nhttp01_port = 8080\n"
                                              "http01_address = 192.0.2.1\nmust_staple = True\nreuse_key = True\n"
                                              "allow_subset_of_names = True\npreferred_chain = Some Root\n"
                                              "preferred_profile = tlsserver\nrequired_profile = shortlived\n",
                                              "DNS:a.example,DNS:www.a.example");
  REQUIRE(wrong(found) == "");
  CHECK(found.server == letsencrypt);
  CHECK(found.account == "first");
  CHECK(found.authenticator == "standalone");
  CHECK(found.chain_pem.starts_with("-----BEGIN CERTIFICATE-----"));
  CHECK(found.leaf.matches(found.key.value()));
  CertificateSpec spec({"a.example", "www.a.example"});
  spec.id = "a.example";
  spec.cas = {letsencrypt};
  spec.challenge = "http-01";
  spec.must_staple = spec.reuse_key = spec.allow_subset = spec.profile_required = true;
  spec.preferred_chain = "Some Root";
  spec.profile = "shortlived";
  CHECK(found.spec == spec);
  FoundHostPart host;
  host.http_port = 8080;
  host.http_address = "192.0.2.1";
  CHECK(found.host == host);
  CHECK(found.notes.empty());

  const FoundState state = find_client_state(certbot.from);
  const FoundAccount& owner = account(state, "first");
  REQUIRE(wrong(owner) == "");
  CHECK(owner.server == letsencrypt);
  CHECK(owner.account->url == account_url);
  CHECK(owner.account->contacts == std::vector<std::string>{"mailto:a@b.example"});
}

TEST_CASE("imports: how certbot proved control becomes a challenge, or a note") {
  Certbot certbot;
  fs::create_directories(certbot.folder / "web");
  const std::string web = (certbot.folder / "web").string();
  const std::string by_webroot = "authenticator = webroot\nwebroot_path = " + web + ",\n";

  const FoundCertificate webroot = certbot.read("w", by_webroot);
  CHECK(webroot.host.webroot == web);
  CHECK(webroot.notes.empty());
  const FoundCertificate several =
      certbot.read("w", by_webroot + "[[webroot_map]]\na.example = " + web + "\nb.example = /nowhere/else\n");
  CHECK(several.host.webroot == web);
  CHECK(contains(notes(several.notes, Remedy::none), "several web roots"));
  CHECK(contains(notes(certbot.read("w", "authenticator = webroot\n").notes, Remedy::webroot), "names no web root"));
  const FoundCertificate gone = certbot.read("w", "authenticator = webroot\nwebroot_path = /nowhere/at/all,\n");
  CHECK(contains(notes(gone.notes, Remedy::none), "/nowhere/at/all is not there"));

  const FoundCertificate nginx = certbot.read("n", "authenticator = nginx\nhttp01_port = 99999\n");
  CHECK(nginx.spec.challenge == "http-01");
  CHECK(nginx.host == FoundHostPart());
  CHECK(contains(notes(nginx.notes, Remedy::webroot), "\"nginx\" answer the CA; culmen listens on port 80"));

  const std::string by_dns = "authenticator = dns-cloudflare\ndns_cloudflare_propagation_seconds = 60\n";
  const FoundCertificate dns = certbot.read("d", by_dns);
  CHECK(dns.spec.challenge == "dns-01");
  CHECK(dns.host.dns_wait == std::chrono::seconds(60));
  CHECK(contains(notes(dns.notes, Remedy::dns_hook), "\"dns-cloudflare\""));
  CHECK(certbot.read("m", "authenticator = manual\n", "DNS:*.a.example,DNS:a.example").spec.challenge == "dns-01");
  CHECK(contains(notes(certbot.read("a", "authenticator = standalone\nautorenew = False\n").notes, Remedy::none),
                 "autorenew"));

  certbot.from.webroot = web;
  certbot.from.dns_hook = "hook";
  CHECK(certbot.read("n", "authenticator = nginx\n").host.webroot == web);
  CHECK(certbot.read("a", "authenticator = standalone\n").host.webroot.empty());
  const FoundCertificate with_hook = certbot.read("d", by_dns);
  CHECK(with_hook.host.dns_hook == "hook");
  CHECK(with_hook.notes.empty());
}

TEST_CASE("imports: only hooks that nobody else can change are taken over") {
  const Certbot certbot;
  const std::string safe = put_program(certbot.folder / "safe").string();
  const std::string open = put_program(certbot.folder / "open", fs::perms::all).string();
  const std::string shared = put_program(certbot.folder / "shared/hook").string();
  fs::permissions(certbot.folder / "shared", fs::perms::all);
  const std::string plain = certbot.folder.write("plain", "no program");
  fs::create_symlink(open, certbot.folder / "link");
  fs::create_symlink(safe, certbot.folder / "shared/link");
  const fs::path hooks = certbot.folder / "renewal-hooks";
  const std::string reload = put_program(hooks / "deploy/reload").string();
  put_program(hooks / "deploy/reload~");
  put_program(hooks / "pre/open", fs::perms::all);

  const auto read = [&](const std::string& hook) {
    return certbot.read("a", "authenticator = standalone\nrenew_hook = " + hook + "\n");
  };
  const FoundCertificate taken = read(safe);
  CHECK(taken.host.deploy_hooks == std::vector<std::string>{safe, reload});
  CHECK(taken.host.pre_hooks.empty());
  CHECK(contains(notes(taken.notes, Remedy::none), "culmen runs " + safe + " (renew_hook) as its deploy hook"));
  CHECK(notes(taken.notes, Remedy::deploy_hook) == "");
  for (const std::string& hook :
       {open, shared, plain, (certbot.folder / "link").string(), (certbot.folder / "shared/link").string(),
        safe + " now", safe + ".missing", std::string("systemctl reload nginx")}) {
    CAPTURE(hook);
    const FoundCertificate left = read(hook);
    CHECK(left.host.deploy_hooks == std::vector<std::string>{reload});
    CHECK(
        contains(notes(left.notes, Remedy::deploy_hook), "certbot ran \"" + hook + "\" (renew_hook); culmen does not"));
  }
  const FoundCertificate others =
      certbot.read("a", "authenticator = standalone\npre_hook = " + safe + "\npost_hook = " + safe + "\n");
  CHECK(others.host.pre_hooks == std::vector<std::string>{safe});
  CHECK(others.host.post_hooks == std::vector<std::string>{safe});

  const FoundState state = find_client_state(certbot.from);
  CHECK(contains(notes(state.notes, Remedy::pre_hook), (hooks / "pre").string() + "; culmen does not run open ("));
  CHECK(notes(state.notes, Remedy::deploy_hook) == "");
}

TEST_CASE("imports: what is damaged is an error of that entry, which names the file") {
  const Certbot certbot;
  for (const char* name : {"good", "swapped", "gone", "none", "cut", "nameless", "octets"})
    certbot.put_certificate(name, "authenticator = standalone\n", "DNS:a.example");
  const auto live = [&](const std::string& name) { return certbot.folder / "live" / name; };
  const auto conf = [&](const std::string& name) { return certbot.folder / "renewal" / (name + ".conf"); };
  fs::copy_file(live("good") / "privkey.pem", live("swapped") / "privkey.pem", fs::copy_options::overwrite_existing);
  fs::remove(live("gone") / "privkey.pem");
  put(live("none") / "fullchain.pem", "no certificate");
  put(conf("cut"), "[renewalparams]\nauthenticator = 'standalone\n");
  put(conf("nameless"), "version = 2.1.0\n");
  put(conf("octets"), "[renewalparams]\nauthenticator = webroot\nwebroot_path = /srv/\xff,\n");
  certbot.put_account("ca.example/dir/second", "not JSON");
  certbot.put_account("ca.example/dir/third", R"({"uri": "none"})");
  put(certbot.folder / "accounts/ca.example/dir/fourth/private_key.json", R"({"kty": "RSA"})");

  const FoundState found = find_client_state(certbot.from);
  CHECK(wrong(certificate(found, "good")) == "");
  const auto names = [&](const std::string& name, const fs::path& file, const std::string& why) {
    CAPTURE(name);
    const std::string text = wrong(certificate(found, name));
    CHECK_MESSAGE(contains(text, file.string()), text);
    CHECK_MESSAGE(contains(text, why), text);
  };
  names("swapped", live("swapped") / "privkey.pem", "not that of the certificate");
  names("gone", live("gone") / "privkey.pem", "there is no such file");
  names("none", live("none") / "fullchain.pem", "");
  names("cut", conf("cut"), "line 2");
  names("nameless", conf("nameless"), "authenticator");
  names("octets", conf("octets"), "not UTF-8");
  const fs::path accounts = certbot.folder / "accounts/ca.example/dir";
  CHECK(contains(wrong(account(found, "second")), (accounts / "second/regr.json").string()));
  CHECK(contains(wrong(account(found, "third")), "its \"uri\" is not the URL"));
  CHECK(contains(wrong(account(found, "fourth")), (accounts / "fourth/private_key.json").string()));
  CHECK(account(found, "fourth").server == "https://ca.example/dir");
  CHECK(wrong(account(found, "first")) == "");
}

TEST_CASE("imports: names that cannot be ids get the first domain") {
  const Certbot certbot;
  const auto id = [&](const std::string& name, const std::string& san) {
    return certbot.read(name, "authenticator = standalone\n", san).spec.id;
  };
  CHECK(id("Any_name-1.x:y", "DNS:a.example") == "Any_name-1.x:y");
  CHECK(id("my cert", "DNS:a.example,DNS:b.example") == "a.example");
  CHECK(id("-odd", "DNS:*.a.example,DNS:a.example") == "_wildcard.a.example");
  CHECK(id("*.b.example", "DNS:a.example,DNS:*.b.example") == "_wildcard.b.example");
}

TEST_CASE("imports: a folder that is another one, or nothing, is not_found") {
  const TemporaryFolder folder;
  for (const OtherClient client : {OtherClient::certbot, OtherClient::lego, OtherClient::acme_sh}) {
    CAPTURE(to_string(client));
    const std::string thrown = thrown_by([&] { return find_client_state(ClientFolder(client, folder.path())); });
    CHECK(thrown.starts_with("not_found: "));
    CHECK(contains(thrown,
                   folder.path().string() + " is not " + std::string(to_string(client)) + "'s folder: there is no \""));
  }
  CHECK(contains(thrown_by([&] { return find_client_state(ClientFolder(OtherClient::persist, folder / "none")); }),
                 "not_found: "));
  CHECK(find_client_state(ClientFolder(OtherClient::persist, folder.path())).accounts.empty());
}

TEST_CASE("imports: lego's folders name the host of the CA alone") {
  const TemporaryFolder folder;
  const auto put_account = [&](const std::string& host) {
    const fs::path owner = folder / "accounts" / host / "o@a.example";
    put(owner / "account.json",
        R"({"registration": {"uri": ")" + account_url + R"(", "body": {"contact": ["mailto:o@a.example"]}}})");
    put(owner / "keys/o@a.example.key", test_data("keys/rsa2048.pkcs1.pem"));
  };
  put_account("acme-v02.api.letsencrypt.org");
  put_account("ca.example_14000");
  const fs::path certificates = folder / "certificates";
  put_pair(certificates / "a.example.crt", certificates / "a.example.key", "DNS:a.example");
  put(certificates / "a.example.json", R"({"certUrl": "https://acme-v02.api.letsencrypt.org/acme/cert/1"})");
  put(certificates / "a.example.issuer.crt", test_data("keys/p256.certificate.pem"));
  put_pair(certificates / "_.b.example.crt", certificates / "_.b.example.key", "DNS:*.b.example");
  ClientFolder from(OtherClient::lego, folder.path());

  const FoundState found = find_client_state(from);
  const FoundCertificate& known = certificate(found, "a.example");
  REQUIRE(wrong(known) == "");
  CHECK(known.server == letsencrypt);
  CHECK(known.account == "o@a.example");
  CHECK(read_chain(known.chain_pem).size() == 2);
  CHECK(contains(notes(known.notes, Remedy::webroot), "lego does not keep how it proved control"));
  // The accounts of a CA that is not known do not count.
  CHECK(certificate(found, "*.b.example").server == letsencrypt);
  CHECK(certificate(found, "*.b.example").spec.id == "_wildcard.b.example");
  CHECK(found.accounts.size() == 2);
  const FoundAccount& unknown = found.accounts.front();
  CHECK(unknown.wrong.value().code() == Errc::not_found);
  CHECK(contains(wrong(unknown), "o@a.example: it is not known which CA has the host ca.example_14000"));
  CHECK(unknown.server == "ca.example_14000");

  from.server = "https://ca.example:14000/dir";
  const FoundState told = find_client_state(from);
  CHECK(certificate(told, "a.example").server == letsencrypt);
  CHECK(certificate(told, "*.b.example").server == from.server);
  CHECK(told.accounts.back().server == from.server);
  CHECK(wrong(told.accounts.back()) == "");
}

TEST_CASE("imports: acme.sh keeps how it proved control, and where it installed") {
  const TemporaryFolder folder;
  const fs::path ca = folder / "ca/acme-v02.api.letsencrypt.org/directory";
  put(ca / "account.key", test_data("keys/rsa2048.pkcs1.pem"));
  put(ca / "ca.conf", "ACCOUNT_URL='" + account_url + "'\r\n");
  const ClientFolder from(OtherClient::acme_sh, folder.path());
  const std::string reload = put_program(folder / "reload").string();
  const auto read = [&](const std::string& name, const std::string& lines) {
    const std::string domain = name.substr(0, name.rfind("_ecc"));
    put_pair(folder / name / "fullchain.cer", folder / name / (domain + ".key"), "DNS:" + domain);
    put(folder / name / (domain + ".conf"), "Le_API='" + letsencrypt + "'\n" + lines);
    const FoundState found = find_client_state(from);
    return found.certificates.back();
  };
  const FoundCertificate port =
      read("a.example",
           "Le_Webroot='no'\nLe_HTTPPort='8080'\nLe_LocalAddress='no'\n"
           "Le_RealFullChainPath='/srv/chain.pem'\nLe_RealKeyPath='/srv/key.pem'\n"
           "Le_RealCertPath='/srv/cert.pem'\nLe_OCSP_Staple='1'\n"
           "Le_ReloadCmd='__ACME_BASE64__START_c2VydmljZSB4IHJlbG9hZA==__ACME_BASE64__END_'\n");
  REQUIRE(wrong(port) == "");
  CHECK(port.server == letsencrypt);
  CHECK(port.spec.challenge == "http-01");
  CHECK(port.spec.reuse_key);
  CHECK(port.spec.must_staple);
  FoundHostPart host;
  host.http_port = 8080;
  host.chain_file = "/srv/chain.pem";
  host.key_file = "/srv/key.pem";
  CHECK(port.host == host);
  CHECK(contains(notes(port.notes, Remedy::none), "/srv/cert.pem"));
  CHECK(contains(notes(port.notes, Remedy::deploy_hook), "\"service x reload\" (Le_ReloadCmd)"));

  const FoundCertificate dns = read("b.example_ecc",
                                    "Le_Webroot='dns_cf'\nLe_DNSSleep='30'\nLe_ChallengeAlias='c.example'\n"
                                    "Le_ForceNewDomainKey='1'\nLe_ReloadCmd='" +
                                        reload + "'\n");
  CHECK(dns.name == "b.example");
  CHECK(dns.host.dns_wait == std::chrono::seconds(30));
  CHECK(dns.host.deploy_hooks == std::vector<std::string>{reload});
  CHECK_FALSE(dns.spec.reuse_key);
  CHECK(contains(notes(dns.notes, Remedy::none), "acme.sh changed c.example"));
  CHECK(contains(notes(dns.notes, Remedy::dns_hook), "\"dns_cf\""));
  const FoundCertificate alpn = read("c.example_ecc", "Le_Webroot='alpn'\nLe_TLSPort='8443'\n");
  CHECK(alpn.spec.challenge == "tls-alpn-01");
  CHECK(alpn.host.tls_port == 8443);
  const FoundCertificate webroot = read("d.example", "Le_Webroot='" + folder.path().string() + ",apache'\n");
  CHECK(webroot.host.webroot == folder.path().string());
  CHECK(contains(notes(webroot.notes, Remedy::none), "several ways"));
  CHECK(contains(notes(read("e.example", "Le_Webroot='apache'\n").notes, Remedy::webroot), "\"apache\" answer the CA"));
  // With a key of either kind both names are needed.
  read("f.example", "Le_Webroot='no'\n");
  CHECK(read("f.example_ecc", "Le_Webroot='no'\n").name == "f.example_ecc");

  const FoundAccount owner = find_client_state(from).accounts.at(0);
  REQUIRE(wrong(owner) == "");
  CHECK(owner.server == letsencrypt);
  CHECK(owner.account->url == account_url);
}

TEST_CASE("imports: a FilePersist, whose CA is what the caller says") {
  const TemporaryFolder folder;
  FilePersist persist(folder.path());
  const test::Identity made = test::make_identity("x", "DNS:a.example", nullptr);
  PersistedCertificate pair;
  pair.certificate = made.certificate_pem();
  pair.private_key = made.key_pem();
  persist.put_certificate("o@a.example", "a.example", pair);
  persist.put_certificate("o@a.example", "a.example/pending", pair);
  persist.put(PersistKey::parse("o@a.example/account_key/account"), test_data("keys/rsa2048.pkcs8.pem"));
  ClientFolder from(OtherClient::persist, folder.path());
  from.server = letsencrypt;

  const FoundState found = find_client_state(from);
  REQUIRE(found.accounts.size() == 1);
  CHECK(wrong(found.accounts[0]) == "");
  CHECK(found.accounts[0].account->url == "");
  REQUIRE(found.certificates.size() == 1);
  const FoundCertificate& only = found.certificates[0];
  CHECK(wrong(only) == "");
  CHECK(only.name == "a.example");
  CHECK(only.account == found.accounts[0].name);
  CHECK(only.server == letsencrypt);
}
