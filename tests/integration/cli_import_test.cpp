// culmen import: what other clients left becomes culmen's, and culmen renew goes on with it.
#include <fstream>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/file_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;

namespace {

void write(const fs::path& path, const std::string& contents) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << contents;
}

const std::string keys = CULMEN_TEST_DATA "/keys/";
const std::string account_id = "0652f690fd6e48af380ad6d6a1b4e792";

/// A CA, a client that gets accounts and certificates from it, and certbot's folder with what it got.
struct ImportBench {
  TestCaProcess ca;
  Client before{ca};  // stands in for certbot
  Client after{ca};
  culmen::test::TemporaryFolder folder;
  fs::path certbot = folder / "letsencrypt";
  std::string account_url;

  ImportBench() {
    fs::copy_file(keys + "rsa2048.pkcs8.pem", folder / "account.pem");
    const Outcome made =
        before.run({"account", "register", "--agree-tos", "--account-key", folder / "account.pem", "--json"});
    if (made.exit_code == 0) account_url = text(made.json().at("account"));
    add_account(account_id, contents(keys + "rsa2048.jwk.json"), account_url);
  }

  fs::path accounts() const { return certbot / "accounts" / ca.url().substr(std::string("https://").size()); }
  void add_account(const std::string& id, const std::string& jwk, const std::string& url) const {
    write(accounts() / id / "private_key.json", jwk);
    write(accounts() / id / "regr.json", R"({"body": {}, "uri": ")" + url + "\"}");
    write(accounts() / id / "meta.json", R"({"creation_dt": "2026-01-02T03:04:05Z", "creation_host": "h.example"})");
  }

  /// Gets a certificate, and leaves it as certbot does. `params` are lines of [renewalparams].
  void add_certificate(const std::string& name, const std::vector<std::string>& names,
                       const std::string& params) const {
    const Outcome issued = before.issue(names, {"--name", name, "--account-key", folder / "account.pem"});
    REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
    const fs::path archive = certbot / "archive" / name, live = certbot / "live" / name;
    fs::create_directories(archive);
    fs::create_directories(live);
    for (const auto& [ours, theirs] : {std::pair{"key.pem", "privkey"}, std::pair{"cert.pem", "cert"},
                                       std::pair{"chain.pem", "chain"}, std::pair{"fullchain.pem", "fullchain"}}) {
      fs::copy_file(before.certificate(name) / "live" / ours, archive / (std::string(theirs) + "1.pem"));
      fs::create_symlink("../../archive/" + name + "/" + theirs + "1.pem", live / (std::string(theirs) + ".pem"));
    }
    write(certbot / "renewal" / (name + ".conf"), "# renew_before_expiry = 30 days\nversion = 2.1.0\narchive_dir = " +
                                                      archive.string() + "\nfullchain = " + live.string() +
                                                      "/fullchain.pem\n\n# Options used in the renewal process\n"
                                                      "[renewalparams]\naccount = " +
                                                      account_id + "\nserver = " + ca.url() + "\n" + params);
  }

  Outcome import(std::vector<std::string> more = {}) const { return import_from("certbot", certbot, std::move(more)); }
  Outcome import_from(const std::string& client, const fs::path& from, std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {culmen_path(), "import",      client,        "--from",      from,
                                      "--dir",       after.state(), "--server-ca", ca.root_file()};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  Outcome renew(std::vector<std::string> more) const {
    std::vector<std::string> words = {culmen_path(), "renew", "--dir", after.state().string()};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
};

/// Every file below a folder, with what it holds or leads to.
std::string everything(const fs::path& folder) {
  std::string all;
  for (const auto& one : fs::recursive_directory_iterator(folder)) {
    all += one.path().string() + " ";
    if (one.is_symlink()) {
      all += "-> " + fs::read_symlink(one.path()).string();
    } else if (one.is_regular_file()) {
      all += contents(one.path());
    }
    all += "\n";
  }
  return all;
}

/// Imports from a folder that stays as it is: shown, tried, done, and done again without an effect. The certificates
/// are renewed through the web root.
void check_import(const ImportBench& bench, const std::string& client, const fs::path& from,
                  const std::vector<std::string>& flags, const std::vector<std::string>& ids) {
  const std::string untouched = everything(from);
  const auto with = [&](const std::string& flag) {
    std::vector<std::string> words = flags;
    words.push_back(flag);
    return bench.import_from(client, from, words);
  };
  const Outcome list = with("--list");
  INFO(list.out << list.err);
  CHECK(list.exit_code == 0);
  const Outcome dry = with("--dry-run");
  CHECK(dry.exit_code == 0);
  CHECK(contains(dry.out, "would be imported"));
  CHECK_FALSE(fs::exists(bench.after.state()));
  const Outcome imported = with("--json");
  INFO(imported.out << imported.err);
  REQUIRE(imported.exit_code == 0);
  CHECK(imported.json().at("imported") == ids.size() + 1);
  CHECK(imported.json().at("failed") == 0);
  for (const std::string& id : ids) {
    const fs::path folder = bench.after.certificate(id);
    CHECK(mode_of(folder / "live/key.pem") == 0600);
    CHECK(!text(read_object(folder / "record.json").at("certificate_id")).empty());
  }
  CHECK(contents(bench.after.account() / "account.key") == contents(keys + "rsa2048.pkcs8.pem"));
  const std::string state = everything(bench.after.state());
  const Outcome again = with("--json");
  CHECK(again.exit_code == 0);
  CHECK(again.json().at("imported") == 0);
  CHECK(everything(bench.after.state()) == state);
  CHECK(everything(from) == untouched);
}

/// The entry of `what` in the list `--json` gives.
json::object entry(const Outcome& outcome, const char* list, const char* member, const std::string& what) {
  INFO(outcome.out << outcome.err);
  const json::object said = outcome.json();
  for (const json::value& one : said.at(list).as_array()) {
    const json::value* found = one.as_object().if_contains(member);
    if (found && *found == json::value(what)) return one.as_object();
  }
  FAIL("no entry for " << what);
  return {};
}

}  // namespace

TEST_CASE("import certbot: account and certificate, and culmen renew goes on with them") {
  const ImportBench bench;
  REQUIRE(!bench.account_url.empty());
  bench.add_certificate("example.org", {"example.org", "www.example.org"},
                        "authenticator = standalone\nhttp01_port = " + bench.ca.http_port() + "\nkey_type = ecdsa\n");
  const std::string untouched = everything(bench.certbot);
  const int accounts_made = bench.ca.logged("new-account");

  const Outcome imported = bench.import();
  INFO(imported.out << imported.err);
  REQUIRE(imported.exit_code == 0);
  CHECK(contains(imported.out,
                 "Account " + account_id + " at " + bench.ca.url() + " (" + bench.account_url + "): imported"));
  CHECK(contains(imported.out, "example.org: imported: example.org, www.example.org; until "));
  CHECK(contains(imported.out, "by http-01 on port " + bench.ca.http_port()));
  CHECK(contains(imported.out, "certbot.timer"));
  CHECK(everything(bench.certbot) == untouched);

  const fs::path live = bench.after.certificate("example.org") / "live";
  CHECK(contents(live / "fullchain.pem") == contents(bench.certbot / "live/example.org/fullchain.pem"));
  CHECK(contents(live / "key.pem") == contents(bench.certbot / "live/example.org/privkey.pem"));
  CHECK(mode_of(live / "key.pem") == 0600);
  CHECK(mode_of(bench.after.account() / "account.key") == 0600);
  CHECK(contents(bench.after.account() / "account.key") == contents(keys + "rsa2048.pkcs8.pem"));

  // It is as if culmen had issued it itself.
  const Outcome dry = bench.renew({"--dry-run"});
  CHECK(dry.exit_code == 0);
  CHECK(contains(dry.out, "example.org: not due: "));
  const Outcome renewed = bench.renew({"--force", "--json"});
  INFO(renewed.err);
  CHECK(renewed.exit_code == 0);
  CHECK(fs::read_symlink(live) == "2");
  const json::object meta = read_object(live / "meta.json");
  CHECK(meta.at("account") == json::value(bench.account_url));
  CHECK(meta.at("names").as_array().size() == 2);
  CHECK(meta.at("key_type") == "ec:P-256");
  const json::object record = read_object(bench.after.certificate("example.org") / "record.json");
  CHECK(!text(record.at("certificate_id")).empty());
  CHECK(bench.ca.logged("new-account") == accounts_made);
  const Outcome nothing = bench.after.issue({"example.org", "www.example.org"}, {"--http-port", bench.ca.http_port()});
  CHECK(contains(nothing.out, "Nothing to do"));
}

TEST_CASE("import certbot: --list and --dry-run change nothing, and what culmen has is kept") {
  const ImportBench bench;
  bench.add_certificate("a.example", {"a.example"}, "authenticator = standalone\n");
  bench.add_certificate("b.example", {"b.example"}, "authenticator = standalone\n");
  const Outcome list = bench.import({"--list", "--json"});
  CHECK(list.exit_code == 0);
  CHECK(entry(list, "accounts", "account_id", account_id).at("result") == "found");
  CHECK(entry(list, "certificates", "name", "a.example").at("authenticator") == "standalone");
  const Outcome dry = bench.import({"--dry-run", "--json", "--name", "a.example"});
  CHECK(dry.exit_code == 0);
  CHECK(dry.json().at("changed") == false);
  CHECK(entry(dry, "accounts", "account_id", account_id).at("result") == "would import");
  CHECK(entry(dry, "certificates", "name", "a.example").at("result") == "would import");
  CHECK(dry.json().at("certificates").as_array().size() == 1);
  CHECK_FALSE(fs::exists(bench.after.state()));

  CHECK(bench.import({"--name", "a.example", "--json"}).json().at("imported") == 2);
  CHECK_FALSE(fs::exists(bench.after.certificate("b.example")));
  const std::string state = everything(bench.after.certificate("a.example"));
  const Outcome again = bench.import({"--json"});
  CHECK(again.exit_code == 0);
  CHECK(again.json().at("imported") == 1);
  CHECK(entry(again, "accounts", "account_id", account_id).at("result") == "kept");
  CHECK(entry(again, "certificates", "name", "a.example").at("result") == "kept");
  CHECK(entry(again, "certificates", "name", "b.example").at("result") == "imported");
  CHECK(everything(bench.after.certificate("a.example")) == state);
  CHECK(contains(bench.import().out, "a.example: not imported, culmen has a certificate of that name"));

  const ImportBench other;
  REQUIRE(other.after.run({"account", "register", "--agree-tos"}).exit_code == 0);
  const std::string account = everything(other.after.state() / "accounts");
  const Outcome kept = other.import();
  CHECK(kept.exit_code == 0);
  CHECK(contains(kept.out, "culmen has another account there, and keeps it"));
  CHECK(everything(other.after.state() / "accounts") == account);
}

TEST_CASE("import certbot: web roots, plugins, hooks and other flags") {
  const ImportBench bench;
  const fs::path root = bench.folder / "web root, and more";
  fs::create_directories(root);
  bench.add_certificate(
      "webroot.example", {"webroot.example"},
      "authenticator = webroot\nwebroot_path = \"" + root.string() +
          "\",  # as certbot writes it\nmust_staple = True\nallow_subset_of_names = True\nreuse_key = True\n"
          "renew_hook = '''systemctl reload \"nginx\",\n  and more'''\n[[webroot_map]]\n"
          "webroot.example = \"" +
          root.string() + "\"\n");
  bench.add_certificate("dns.example", {"dns.example"},
                        "authenticator = dns-cloudflare\ndns_cloudflare_propagation_seconds = 60\n"
                        "preferred_chain = Some Root\npref_challs = dns-01,\nautorenew = False\n");
  bench.add_certificate("nginx.example", {"nginx.example"}, "authenticator = nginx\ninstaller = nginx\n");

  const Outcome imported = bench.import({"--json"});
  REQUIRE_MESSAGE(imported.exit_code == 0, imported.err);
  const auto meta = [&](const std::string& name) {
    return read_object(bench.after.certificate(name) / "live/meta.json");
  };
  CHECK(meta("webroot.example").at("challenge").at("type") == "http-01");
  CHECK(meta("webroot.example").at("challenge").at("webroot") == json::value(root.string()));
  CHECK(meta("webroot.example").at("must_staple") == "yes");
  const json::object record = read_object(bench.after.certificate("webroot.example") / "record.json");
  CHECK(record.at("spec").at("reuse_key") == true);
  CHECK(record.at("spec").at("allow_subset") == true);
  CHECK(
      contains(json::serialize(entry(imported, "certificates", "name", "webroot.example").at("notes")), "renew_hook"));
  CHECK(meta("dns.example").at("challenge").at("type") == "dns-01");
  CHECK(meta("dns.example").at("challenge").at("dns_wait") == 60);
  CHECK(meta("dns.example").at("preferred_chain") == "Some Root");
  const std::string notes = json::serialize(entry(imported, "certificates", "name", "dns.example").at("notes"));
  CHECK(contains(notes, "--dns-hook PROGRAM"));
  CHECK(contains(notes, "autorenew"));
  CHECK(meta("nginx.example").at("challenge").at("http_port") == 80);
  CHECK(contains(json::serialize(entry(imported, "certificates", "name", "nginx.example").at("notes")),
                 "--webroot FOLDER"));

  // Without a hook it cannot be renewed, and that is what it says.
  const Outcome stuck = bench.renew({"--force", "dns.example"});
  CHECK(stuck.exit_code == 1);
  CHECK(contains(stuck.err, "--dns-hook PROGRAM"));

  const culmen::test::TemporaryFolder second;
  write(bench.certbot / "renewal-hooks/deploy/reload", "#!/bin/sh\n");
  fs::create_directories(bench.certbot / "renewal-hooks/pre");
  const Outcome helped = run({culmen_path(), "import", "certbot", "--from", bench.certbot, "--dir", second.path() / "s",
                              "--dns-hook", "/usr/local/bin/hook", "--webroot", root});
  REQUIRE_MESSAGE(helped.exit_code == 0, helped.err);
  CHECK(contains(helped.out, "certbot ran what is in " + (bench.certbot / "renewal-hooks/deploy").string()));
  CHECK_FALSE(contains(helped.out, "renewal-hooks/pre"));
  CHECK_FALSE(contains(helped.out, "culmen account register"));
  CHECK(read_object(second / "s/certificates/dns.example/live/meta.json").at("challenge").at("dns_hook") ==
        "/usr/local/bin/hook");
  CHECK(read_object(second / "s/certificates/nginx.example/live/meta.json").at("challenge").at("webroot") ==
        json::value(root.string()));
}

TEST_CASE("import certbot: renewed through the web root it had, and with the key it had") {
  const ImportBench bench;
  const fs::path root = bench.folder / "root";
  fs::create_directories(root);
  bench.add_certificate("webroot.example", {"webroot.example"},
                        "authenticator = webroot\nwebroot_path = " + root.string() + ",\nreuse_key = True\n");
  REQUIRE(bench.import().exit_code == 0);
  const FileServer server(static_cast<std::uint16_t>(std::stoi(bench.ca.http_port())), root);
  const fs::path live = bench.after.certificate("webroot.example") / "live";
  const std::string key = contents(live / "key.pem"), certificate = contents(live / "cert.pem");
  const Outcome renewed = bench.renew({"--force"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(fs::is_empty(root / ".well-known/acme-challenge"));
  CHECK(fs::read_symlink(live) == "2");
  CHECK(contents(live / "cert.pem") != certificate);
  CHECK(contents(live / "key.pem") == key);
}

TEST_CASE("import certbot: what is damaged is named, and the others are imported") {
  const ImportBench bench;
  for (const char* name : {"good.example", "swapped.example", "gone.example", "cut.example", "chain.example"}) {
    bench.add_certificate(name, {name}, "authenticator = standalone\n");
  }
  const fs::path live = bench.certbot / "live", archive = bench.certbot / "archive",
                 renewal = bench.certbot / "renewal";
  fs::copy_file(archive / "good.example/privkey1.pem", archive / "swapped.example/privkey1.pem",
                fs::copy_options::overwrite_existing);
  fs::remove(archive / "gone.example/privkey1.pem");
  write(renewal / "cut.example.conf", "version = 2.1.0\n[renewalparams]\nauthenticator = 'standalone\n");
  write(archive / "chain.example/fullchain1.pem", "no certificate\n");
  write(renewal / "nothing.example.conf", "version = 2.1.0\n");
  bench.add_account("broken", "{\"kty\": \"RSA\"}", bench.account_url);
  bench.add_account("halves", "not JSON", bench.account_url);
  fs::remove(bench.accounts() / "halves/private_key.json");

  const Outcome outcome = bench.import({"--json"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.json().at("ok") == false);
  CHECK(outcome.json().at("failed") == 5);
  CHECK(entry(outcome, "accounts", "account_id", account_id).at("result") == "imported");
  CHECK(entry(outcome, "certificates", "name", "good.example").at("result") == "imported");
  const auto message = [&](const std::string& name) {
    const json::object one = entry(outcome, "certificates", "name", name);
    CHECK(one.at("result") == "failed");
    CHECK_FALSE(fs::exists(bench.after.certificate(name)));
    return text(one.at("error").at("message"));
  };
  CHECK(contains(message("swapped.example"), (live / "swapped.example/privkey.pem").string()));
  CHECK(contains(message("swapped.example"), "not that of the certificate"));
  CHECK(contains(message("gone.example"), (live / "gone.example/privkey.pem").string()));
  CHECK(contains(message("cut.example"), (renewal / "cut.example.conf").string()));
  CHECK(contains(message("cut.example"), "line 3"));
  CHECK(contains(message("chain.example"), (live / "chain.example/fullchain.pem").string()));
  CHECK(contains(message("nothing.example"), "authenticator"));

  const Outcome broken = bench.import({"--list", "--account", "broken"});
  CHECK(broken.exit_code == 1);
  CHECK(contains(broken.err, (bench.accounts() / "broken/private_key.json").string()));
  const Outcome halves = bench.import({"--account", "halves"});
  CHECK(contains(halves.err, (bench.accounts() / "halves/private_key.json").string()));
  fs::remove_all(bench.accounts());
  const culmen::test::TemporaryFolder fresh;
  const Outcome orphan = run({culmen_path(), "import", "certbot", "--from", bench.certbot, "--dir", fresh / "state",
                              "--name", "good.example"});
  CHECK(orphan.exit_code == 0);
  CHECK(contains(orphan.out, "culmen account register --agree-tos --server " + bench.ca.url()));
}

TEST_CASE("import certbot: hooks that are safe programs are taken over, others are notes") {
  const ImportBench bench;
  const fs::path safe = bench.folder / "safe", open = bench.folder / "open", shared = bench.folder / "shared",
                 hooks = bench.certbot / "renewal-hooks/deploy";
  for (const fs::path& program : {safe, open, shared / "program", hooks / "reload"}) {
    write(program, "#!/bin/sh\necho $0 >> '" + (bench.folder / "log").string() + "'\n");
    fs::permissions(program, fs::perms::owner_all);
  }
  fs::permissions(open, fs::perms::all);
  fs::permissions(shared, fs::perms::all);
  const std::string port = "authenticator = standalone\nhttp01_port = " + bench.ca.http_port() + "\n";
  bench.add_certificate("safe.example", {"safe.example"}, port + "renew_hook = " + safe.string() + "\n");
  bench.add_certificate("open.example", {"open.example"},
                        port + "renew_hook = " + open.string() + "\npre_hook = " + (shared / "program").string() +
                            "\npost_hook = " + safe.string() + " now\n");
  const Outcome imported = bench.import({"--json"});
  REQUIRE_MESSAGE(imported.exit_code == 0, imported.err);
  const auto settings = [&](const std::string& id) {
    return read_object(bench.after.state() / "local/deploy" / (id + ".json"));
  };
  CHECK(settings("safe.example").at("deploy_hooks") == json::value({safe.string(), (hooks / "reload").string()}));
  CHECK(settings("open.example").at("deploy_hooks") == json::array({json::value((hooks / "reload").string())}));
  CHECK_FALSE(settings("open.example").contains("pre_hooks"));
  CHECK_FALSE(settings("open.example").contains("post_hooks"));
  const std::string notes = json::serialize(entry(imported, "certificates", "name", "open.example").at("notes"));
  CHECK(contains(notes, "culmen edit open.example --deploy-hook PROGRAM"));
  CHECK(contains(notes, "culmen edit open.example --pre-hook PROGRAM"));
  CHECK(contains(notes, "culmen edit open.example --post-hook PROGRAM"));
  CHECK_FALSE(fs::exists(bench.folder / "log"));
  const Outcome renewed = bench.renew({"--force", "safe.example"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(contains(contents(bench.folder / "log"), safe.string() + "\n"));
}

TEST_CASE("import certbot: link loops, names and texts that cannot be used keep nothing else from being imported") {
  const ImportBench bench;
  bench.add_certificate("good.example", {"good.example"}, "authenticator = standalone\n");
  bench.add_certificate("octets.example", {"octets.example"},
                        "authenticator = webroot\nwebroot_path = /srv/\xff\xfe,\n");
  const fs::path renewal = bench.certbot / "renewal", live = bench.certbot / "live";
  fs::copy_file(renewal / "good.example.conf", renewal / "-odd name.conf");
  fs::copy(live / "good.example", live / "-odd name", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  fs::copy_file(renewal / "good.example.conf", renewal / "loop.example.conf");
  fs::create_directories(live / "loop.example");
  fs::create_symlink("fullchain.pem", live / "loop.example/fullchain.pem");
  fs::create_symlink("itself.conf", renewal / "itself.conf");
  fs::create_directories(renewal / "folder.conf");
  write(renewal / "\xff.conf", "\xff");
  fs::create_symlink("looping", bench.accounts() / "looping");
  const Outcome imported = bench.import({"--json"});
  INFO(imported.out << imported.err);
  CHECK(imported.exit_code == 1);
  CHECK(entry(imported, "accounts", "account_id", account_id).at("result") == "imported");
  CHECK(entry(imported, "certificates", "name", "good.example").at("result") == "kept");
  for (const char* name : {"octets.example", "loop.example", "itself", "folder", "?"})
    CHECK(entry(imported, "certificates", "name", name).at("result") == "failed");
  CHECK(entry(imported, "certificates", "name", "-odd name").at("id") == "good.example");
  CHECK(bench.renew({"--dry-run"}).exit_code == 0);
}

TEST_CASE("import certbot: several accounts, and choices that are not there") {
  const ImportBench bench;
  const std::string p256 =
      R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})";
  bench.add_account("second", p256, "https://127.0.0.1:1/account/2");
  const Outcome ask = bench.import();
  CHECK(ask.exit_code == 2);
  CHECK(contains(ask.err, "certbot has 2 accounts at " + bench.ca.url()));
  CHECK(contains(ask.err, account_id + ", second"));
  CHECK(contains(ask.err, "--account ID"));
  const Outcome second = bench.import({"--account", "second", "--json"});
  CHECK(second.exit_code == 0);
  CHECK(entry(second, "accounts", "account_id", "second").at("key_type") == "ec:P-256");
  CHECK(second.json().at("accounts").as_array().size() == 1);

  const Outcome no_account = bench.import({"--account", "third"});
  CHECK(no_account.exit_code == 2);
  CHECK(contains(no_account.err, "there is no account \"third\""));
  const Outcome no_name = bench.import({"--name", "none.example"});
  CHECK(no_name.exit_code == 2);
  CHECK(contains(no_name.err, "there is no certificate \"none.example\""));
  const Outcome nowhere = run({culmen_path(), "import", "certbot", "--from", bench.folder / "none"});
  CHECK(nowhere.exit_code == 1);
  CHECK(contains(nowhere.err, "is not certbot's folder"));
  CHECK(bench.import({"--list", "--dry-run"}).exit_code == 2);
}

TEST_CASE("import lego: account and certificates, and culmen renew goes on with them") {
  const ImportBench bench;
  const fs::path lego = bench.folder / "lego", root = bench.folder / "root";
  fs::create_directories(root);
  const std::string host = bench.ca.url().substr(std::string("https://").size());
  std::string host_folder = host.substr(0, host.find('/'));
  host_folder.replace(host_folder.find(':'), 1, "_");
  const fs::path account = lego / "accounts" / host_folder / "ops@example.com";
  write(account / "account.json",
        R"({"email": "ops@example.com", "registration": {"body": {"status": "valid"}, "uri": ")" + bench.account_url +
            "\"}}");
  write(account / "keys/ops@example.com.key", contents(keys + "rsa2048.pkcs1.pem"));
  bench.add_certificate("example.org", {"example.org", "www.example.org"}, "authenticator = standalone\n");
  const fs::path live = bench.before.certificate("example.org") / "live", certificates = lego / "certificates";
  write(certificates / "example.org.crt", contents(live / "cert.pem"));  // as with --no-bundle
  write(certificates / "example.org.issuer.crt", contents(live / "chain.pem"));
  write(certificates / "example.org.key", contents(live / "key.pem"));
  write(certificates / "example.org.json",
        R"({"domain": "example.org", "certUrl": "https://)" + host.substr(0, host.find('/')) + "/certificate/1\"}");
  const Outcome made = run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-subj", "/CN=other", "-addext", "subjectAltName=DNS:*.example.org", "-keyout",
                            certificates / "_.example.org.key", "-out", certificates / "_.example.org.crt"});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);

  const Outcome unknown = bench.import_from("lego", lego, {"--json"});
  CHECK(unknown.exit_code == 1);
  CHECK(contains(unknown.err, "--server URL"));
  fs::remove_all(bench.after.state());
  check_import(bench, "lego", lego, {"--server", bench.ca.url(), "--webroot", root},
               {"_wildcard.example.org", "example.org"});
  const fs::path ours = bench.after.certificate("example.org") / "live";
  CHECK(contents(ours / "fullchain.pem") == contents(live / "fullchain.pem"));
  const FileServer server(static_cast<std::uint16_t>(std::stoi(bench.ca.http_port())), root);
  const int accounts_made = bench.ca.logged("new-account");
  const Outcome renewed = bench.renew({"--force", "example.org"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(fs::read_symlink(ours) == "2");
  CHECK(bench.ca.logged("new-account") == accounts_made);
}

TEST_CASE("import acme.sh: account and certificates, where they were installed, and culmen renew goes on with them") {
  const ImportBench bench;
  const fs::path acme = bench.folder / "acme.sh", installed = bench.folder / "installed",
                 reload = bench.folder / "reload", account = acme / "ca/127.0.0.1/directory";
  fs::create_directories(installed);
  write(reload, "#!/bin/sh\necho reloaded >> '" + (bench.folder / "log").string() + "'\n");
  fs::permissions(reload, fs::perms::owner_all);
  write(acme / "account.conf", "DEFAULT_ACME_SERVER='" + bench.ca.url() + "'\n");
  write(account / "account.key", contents(keys + "rsa2048.pkcs1.pem"));
  write(account / "ca.conf", "ACCOUNT_URL='" + bench.account_url + "'\nCA_KEY_HASH='x'\n");
  const auto base64 = [&](const std::string& value) {
    write(bench.folder / "text", value);
    std::string encoded = run({"openssl", "base64", "-A", "-in", bench.folder / "text"}).out;
    return "'__ACME_BASE64__START_" + encoded + "__ACME_BASE64__END_'\n";
  };
  const auto add = [&](const std::string& name, const std::string& folder, const std::string& lines) {
    bench.add_certificate(name, {name}, "authenticator = standalone\n");
    const fs::path live = bench.before.certificate(name) / "live";
    write(acme / folder / "fullchain.cer", contents(live / "fullchain.pem"));
    write(acme / folder / (name + ".key"), contents(live / "key.pem"));
    write(acme / folder / (name + ".conf"),
          "Le_Domain='" + name + "'\nLe_Alt='no'\nLe_API='" + bench.ca.url() + "'\nLe_Keylength='ec-256'\n" + lines);
  };
  add("example.org", "example.org_ecc",
      "Le_Webroot='no'\nLe_HTTPPort='" + bench.ca.http_port() + "'\nLe_RealFullChainPath='" +
          (installed / "chain.pem").string() + "'\nLe_RealKeyPath='" + (installed / "key.pem").string() +
          "'\nLe_ReloadCmd=" + base64(reload.string()));
  add("dns.example", "dns.example",
      "Le_Webroot='dns_cf'\nLe_DNSSleep='30'\nLe_ReloadCmd=" + base64("service x reload"));
  add("alpn.example", "alpn.example_ecc", "Le_Webroot='alpn'\nLe_ForceNewDomainKey='1'\n");

  check_import(bench, "acme.sh", acme, {}, {"alpn.example", "dns.example", "example.org"});
  const auto settings = [&](const std::string& id) {
    return read_object(bench.after.state() / "local/deploy" / (id + ".json"));
  };
  const auto spec = [&](const std::string& id) {
    return read_object(bench.after.certificate(id) / "record.json").at("spec").as_object();
  };
  CHECK(spec("dns.example").at("challenge") == "dns-01");
  CHECK(settings("dns.example").at("challenge").at("dns_wait") == 30);
  CHECK_FALSE(settings("dns.example").contains("deploy_hooks"));
  CHECK(spec("alpn.example").at("challenge") == "tls-alpn-01");
  CHECK_FALSE(spec("alpn.example").contains("reuse_key"));
  CHECK(spec("example.org").at("reuse_key") == true);
  CHECK(settings("example.org").at("deploy_hooks").at(0) == json::value(reload.string()));

  const fs::path live = bench.after.certificate("example.org") / "live";
  const std::string key = contents(live / "key.pem");
  const Outcome renewed = bench.renew({"--force", "example.org"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(fs::read_symlink(live) == "2");
  CHECK(contents(live / "key.pem") == key);
  CHECK(contents(installed / "key.pem") == key);
  CHECK(contents(installed / "chain.pem") == contents(live / "fullchain.pem"));
  CHECK(contents(bench.folder / "log") == "reloaded\n");
}

TEST_CASE("import persist: what a program keeps with FilePersist, and culmen renew goes on with it") {
  const ImportBench bench;
  const fs::path folder = bench.folder / "persist", root = bench.folder / "root";
  fs::create_directories(root);
  bench.add_certificate("example.org", {"example.org"}, "authenticator = standalone\n");
  const fs::path live = bench.before.certificate("example.org") / "live";
  const fs::path realm = folder / "%4fps@example.com";
  const std::string key = contents(live / "key.pem"), chain = contents(live / "fullchain.pem");
  const std::string pair =
      "culmen-pair 1 " + std::to_string(key.size()) + " " + std::to_string(chain.size()) + "\n" + key + chain;
  write(realm / "account/account.pem", contents(keys + "rsa2048.pkcs8.pem"));
  write(realm / "certificate/example.org.pem", pair);
  write(realm / "certificate/example.org%2fpending.pem", pair);
  write(realm / ".lock", "");

  CHECK(bench.import_from("persist", folder).exit_code == 2);  // which CA it was, no file says
  check_import(bench, "persist", folder, {"--server", bench.ca.url(), "--webroot", root}, {"example.org"});
  const FileServer server(static_cast<std::uint16_t>(std::stoi(bench.ca.http_port())), root);
  const int accounts_made = bench.ca.logged("new-account");
  const Outcome renewed = bench.renew({"--force"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(fs::read_symlink(bench.after.certificate("example.org") / "live") == "2");
  CHECK(bench.ca.logged("new-account") <= accounts_made + 1);  // it is asked which account the key has
}
