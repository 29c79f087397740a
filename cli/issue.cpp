// culmen issue: from names to a certificate on disk.
#include <algorithm>
#include <memory>
#include <set>

#include "account_store.hpp"
#include "certificate_store.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/issue.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::system_clock;

struct IssueFlags {
  IssueFlags() = default;
  ServerFlags server;
  AccountFlags account;
  std::vector<std::string> domains;
  std::string name;
  std::string out;
  std::string cert_key;
  std::string cert_key_type = "ec:P-256";
  bool cert_key_type_given = false;
  std::string challenge = "http-01";
  int http_port = 80;
  std::string http_address;
  std::string webroot;
  std::string preferred_chain;
  bool force = false;
};

std::vector<Identifier> identifiers_of(const IssueFlags& flags);
std::optional<PrivateKey> key_from_file(const IssueFlags& flags);
std::string reason_to_issue(const StoredCertificate& live, const std::vector<Identifier>& identifiers,
                            const IssueFlags& flags, const std::optional<PrivateKey>& named_key);
Clock::time_point due_time(const Certificate& leaf);
void describe(const StoredCertificate& live, const CertificateFolder& folder, bool changed, Output& output);
void copy_out(const IssueFlags& flags, const StoredCertificate& live, Output& output);

// The solver of --webroot or of a responder that is listening already: a port in use shows before the CA is asked.
std::unique_ptr<ChallengeSolver> start_solver(const IssueFlags& flags);
IssueRequest request_of(const IssueFlags& flags, const std::vector<Identifier>& identifiers,
                        const CertificateFolder& folder, const Account& account, Output& output);
void show_progress(const IssueProgress& progress, std::size_t total, std::size_t& done, Output& output);
boost::json::object meta_of(const IssueFlags& flags, const Account& account, const IssuedCertificate& issued);

int run_issue(const IssueFlags& flags, Output& output) {
  output.verbose(flags.server.verbose);
  const std::vector<Identifier> identifiers = identifiers_of(flags);
  const std::string server = directory_url(flags.server);
  const std::optional<EabOptions> eab = eab_of(flags.account);  // bad flags show before anything is done
  const std::optional<PrivateKey> named_key = key_from_file(flags);

  const std::string name = flags.name.empty() ? CertificateFolder::name_for(identifiers.front()) : flags.name;
  const CertificateFolder folder(state_folder(flags.server.dir), name);
  const FolderLock lock = folder.lock();
  IssueFlags wanted = flags;
  if (const auto live = folder.live()) {
    const std::string reason = reason_to_issue(*live, identifiers, flags, named_key);
    if (reason.empty()) {
      copy_out(flags, *live, output);
      output.say("Nothing to do: the certificate for " + names_text(identifiers) + " is good until " +
                 time_text(live->leaf.not_after) + " and becomes due on " + time_text(due_time(live->leaf)) +
                 " (--force issues a new one now)");
      describe(*live, folder, false, output);
      return exit_ok;
    }
    output.say("Issuing a new certificate: " + reason);
    const std::string present_type = text_of(live->meta, "key_type");
    if (!flags.cert_key_type_given && !present_type.empty()) wanted.cert_key_type = present_type;
  }

  const std::unique_ptr<ChallengeSolver> solver = start_solver(flags);
  blocking::AcmeClient client = connect(flags.server, output);
  const AccountFiles account_files(flags.server, server);
  const Account account = known_or_new_account(client, account_files, flags.account, output);
  IssueRequest request = request_of(wanted, identifiers, folder, account, output);
  if (named_key) request.key = named_key;

  const IssuedCertificate issued = client.issue(account, request, *solver);
  const Certificate leaf = Certificate::from_pem(issued.chain_pem);
  if (!issued.key || !leaf.matches(*issued.key)) {
    throw Error(Errc::bad_response, "storing the certificate", "the CA sent a certificate for another key");
  }
  if (!flags.preferred_chain.empty() && topmost_issuer(issued.chain_pem) != flags.preferred_chain) {
    output.warn("the CA offers no chain up to \"" + printable(flags.preferred_chain) +
                "\"; took its default, up to \"" + printable(topmost_issuer(issued.chain_pem)) + "\"");
  }
  folder.install(issued.chain_pem, *issued.key, meta_of(wanted, account, issued));
  folder.drop_pending();
  const auto live = folder.live();
  if (!live || !live->damage.empty()) throw Error(Errc::io_failed, "reading back " + folder.live_path().string());
  copy_out(flags, *live, output);
  describe(*live, folder, true, output);
  output.say("Good until " + time_text(leaf.not_after) + "; due for renewal on " + time_text(due_time(leaf)));
  output.say("  chain  " + (folder.live_path() / "fullchain.pem").string());
  output.say("  key    " + (folder.live_path() / "key.pem").string());
  return exit_ok;
}

std::vector<Identifier> identifiers_of(const IssueFlags& flags) {
  std::vector<Identifier> identifiers;
  for (const std::string& text : flags.domains) {
    Identifier identifier = Identifier::parse(text);
    if (identifier.is_wildcard() && flags.challenge == "http-01") {
      throw Failure(exit_usage, "invalid_argument", "http-01 cannot prove the wildcard name " + identifier.value,
                    "CAs want dns-01 for wildcards, which a later version of culmen brings; name each host instead.");
    }
    if (std::find(identifiers.begin(), identifiers.end(), identifier) == identifiers.end()) {
      identifiers.push_back(std::move(identifier));
    }
  }
  return identifiers;
}

std::optional<PrivateKey> key_from_file(const IssueFlags& flags) {
  if (flags.cert_key.empty()) return std::nullopt;
  const auto pem = read_file(flags.cert_key);
  if (!pem) return std::nullopt;
  try {
    PrivateKey key = PrivateKey::from_pem(*pem);
    if (flags.cert_key_type_given && key.type() != flags.cert_key_type) {
      throw Failure(
          exit_usage, "invalid_argument",
          "--cert-key: " + flags.cert_key + " holds a key of type " + key.type() + ", not " + flags.cert_key_type,
          "Leave --cert-key-type out to use it, or name another file.");
    }
    return key;
  } catch (const Error& error) {
    throw error.while_doing("reading --cert-key " + flags.cert_key);
  }
}

std::string reason_to_issue(const StoredCertificate& live, const std::vector<Identifier>& identifiers,
                            const IssueFlags& flags, const std::optional<PrivateKey>& named_key) {
  if (flags.force) return "--force says so";
  if (!live.damage.empty()) return "the one on disk is of no use: " + live.damage;
  if (!text_of(live.meta, "revoked").empty()) return "the present one was revoked";
  const std::string server = directory_url(flags.server);
  if (text_of(live.meta, "server") != server) return "the present one is from " + text_of(live.meta, "server");
  const std::set<Identifier> present(live.leaf.identifiers.begin(), live.leaf.identifiers.end());
  if (present != std::set<Identifier>(identifiers.begin(), identifiers.end())) {
    return "the present one is for other names: " + names_text(live.leaf.identifiers);
  }
  if (named_key && !named_key->same_key_as(*live.key)) return "the present one is for another key than --cert-key";
  if (flags.cert_key_type_given && live.key->type() != flags.cert_key_type) {
    return "the present one has a key of type " + live.key->type();
  }
  const auto due = due_time(live.leaf);
  if (Clock::now() >= due) return "the present one became due on " + time_text(due);
  return {};
}

Clock::time_point due_time(const Certificate& leaf) {
  const auto lifetime = leaf.not_after - leaf.not_before;
  return leaf.not_after - (lifetime < std::chrono::hours(240) ? lifetime / 2 : lifetime / 3);
}

void describe(const StoredCertificate& live, const CertificateFolder& folder, bool changed, Output& output) {
  boost::json::object& json = output.result();
  json["changed"] = changed;
  json["name"] = folder.name();
  json["names"] = json_strings(live.leaf.identifiers);
  for (const char* member : {"server", "account", "order", "certificate", "key_type"}) {
    json[member] = text_of(live.meta, member);
  }
  std::string serial;  // as openssl and browsers show it: without the octet that only keeps the DER number positive
  constexpr char digits[] = "0123456789abcdef";
  const std::size_t sign_octets = live.leaf.serial.size() > 1 && live.leaf.serial.front() == 0 ? 1 : 0;
  for (std::size_t i = sign_octets; i < live.leaf.serial.size(); ++i) {
    serial += {digits[live.leaf.serial[i] >> 4], digits[live.leaf.serial[i] & 15]};
  }
  json["serial"] = serial;
  json["issuer"] = live.leaf.issuer_common_name;
  json["not_before"] = time_text(live.leaf.not_before);
  json["not_after"] = time_text(live.leaf.not_after);
  json["due"] = time_text(due_time(live.leaf));
  boost::json::object files;
  files["fullchain"] = (folder.live_path() / "fullchain.pem").string();
  files["cert"] = (folder.live_path() / "cert.pem").string();
  files["chain"] = (folder.live_path() / "chain.pem").string();
  files["key"] = (folder.live_path() / "key.pem").string();
  json["files"] = std::move(files);
}

void copy_out(const IssueFlags& flags, const StoredCertificate& live, Output& output) {
  const auto copy = [&](const std::string& path, const std::string& contents, unsigned mode) {
    if (path.empty() || read_file(path) == contents) return;
    write_file_atomically(path, contents, mode);
    output.say("Wrote " + path);
  };
  if (!flags.cert_key.empty() && !read_file(flags.cert_key)) copy(flags.cert_key, live.key->to_pem(), 0600);
  copy(flags.out, live.fullchain, 0644);
}

std::unique_ptr<ChallengeSolver> start_solver(const IssueFlags& flags) {
  if (!flags.webroot.empty()) return std::make_unique<WebrootSolver>(flags.webroot);
  auto solver = std::make_unique<Http01Solver>(static_cast<std::uint16_t>(flags.http_port), flags.http_address);
  solver->start_thread();
  return solver;
}

IssueRequest request_of(const IssueFlags& flags, const std::vector<Identifier>& identifiers,
                        const CertificateFolder& folder, const Account& account, Output& output) {
  IssueRequest request(identifiers);
  request.key_type = flags.cert_key_type;
  request.preferred_chain = flags.preferred_chain;
  request.poll_deadline = std::chrono::seconds(flags.server.poll_timeout);

  boost::json::object order;
  order["server"] = directory_url(flags.server);
  order["account"] = account.url;
  order["names"] = json_strings(identifiers);
  order["key_type"] = flags.cert_key_type;
  if (const auto pending = folder.pending()) {
    bool fits = true;
    for (const auto& [member, value] : order) {
      const auto* before = pending->order.if_contains(member);
      fits = fits && before && *before == value;
    }
    if (fits) {
      request.resume_order = text_of(pending->order, "url");
      request.key = pending->key;
    } else {
      folder.drop_pending();
    }
  }
  request.keep_order = [&folder, order](const std::string& order_url) {
    boost::json::object kept = order;
    kept["url"] = order_url;
    folder.keep_order(kept);
  };
  request.keep_key = [&folder, &flags](const PrivateKey& key) {
    folder.keep_key(key);
    if (!flags.cert_key.empty()) write_file_atomically(flags.cert_key, key.to_pem(), 0600);
  };
  request.on_progress = [&output, total = identifiers.size(), done = std::size_t{0}](
                            const IssueProgress& progress) mutable { show_progress(progress, total, done, output); };
  return request;
}

void show_progress(const IssueProgress& progress, std::size_t total, std::size_t& done, Output& output) {
  using Step = IssueProgress::Step;
  const std::string subject = printable(progress.subject);
  const auto name_done = [&](const std::string& text) {
    ++done;
    if (!output.shows_progress() || total == 1) {
      output.say(text);
    } else {
      output.progress("Proving control: " + std::to_string(done) + " of " + std::to_string(total) + " names");
    }
  };
  switch (progress.step) {
    case Step::order_created: return output.say("Ordered: " + subject);
    case Step::order_resumed: return output.say("Going on with the order of an earlier run: " + subject);
    case Step::already_valid: return name_done(subject + ": proven before");
    case Step::presented: return output.log(subject + ": challenge presented");
    case Step::triggered: return name_done(subject + ": challenge is up, asked the CA to look");
    case Step::validated: return output.say("The CA has seen proof for every name");
    case Step::key_ready: return output.say("The key is ready and on disk (" + subject + ")");
    case Step::finalized: return output.say("The CA accepted the request for a certificate");
    case Step::downloaded: return output.say("Downloaded: " + subject);
    case Step::replaces_dropped: return output.say("Ordered without naming the predecessor: " + subject);
    case Step::cleanup_failed: return output.warn("a challenge could not be cleaned up: " + subject);
  }
}

boost::json::object meta_of(const IssueFlags& flags, const Account& account, const IssuedCertificate& issued) {
  boost::json::object meta;
  meta["server"] = directory_url(flags.server);
  meta["account"] = account.url;
  meta["names"] = json_strings(issued.identifiers);
  meta["key_type"] = issued.key->type();
  meta["order"] = issued.order.url;
  meta["certificate"] = issued.chain.url.empty() ? issued.order.certificate : issued.chain.url;
  meta["issued"] = time_text(Clock::now());
  boost::json::object challenge;
  challenge["type"] = flags.challenge;
  if (flags.webroot.empty()) {
    challenge["http_port"] = flags.http_port;
    if (!flags.http_address.empty()) challenge["http_address"] = flags.http_address;
  } else {
    challenge["webroot"] = fs::absolute(flags.webroot).string();
  }
  meta["challenge"] = std::move(challenge);
  const auto path_of = [&meta](const char* member, const std::string& path) {
    if (!path.empty()) meta[member] = fs::absolute(path).string();
  };
  path_of("account_key", flags.server.account_key);
  path_of("server_ca", flags.server.server_ca);
  path_of("cert_key", flags.cert_key);
  path_of("out", flags.out);
  if (!flags.preferred_chain.empty()) meta["preferred_chain"] = flags.preferred_chain;
  return meta;
}

std::string check_challenge(const std::string& type) {
  if (type == "http-01") return {};
  for (const char* later : {"tls-alpn-01", "dns-01", "dns-persist-01", "dns-account-01", "onion-csr-01"}) {
    if (type == later) return type + " comes in a later version of culmen; this one has http-01";
  }
  return "\"" + type + "\" is not a challenge type; this version has http-01";
}

}  // namespace

Run define_issue(CLI::App& app) {
  auto flags = std::make_shared<IssueFlags>();
  app.add_option("-d,--domain", flags->domains, "Name for the certificate, or IP address; repeatable, or with commas")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME");
  add_server_flags(app, flags->server);
  add_account_flags(app, flags->account);
  app.add_option("--name", flags->name, "What to call the certificate in the state folder (default: its first name)")
      ->type_name("NAME");
  app.add_option("--out", flags->out, "Also write the chain here")->type_name("FILE");
  app.add_option("--cert-key", flags->cert_key, "The certificate's key: read when the file exists, else written there")
      ->type_name("FILE");
  auto* key_type = add_key_type_flag(app, "--cert-key-type", flags->cert_key_type, "Type of the certificate's key");
  app.add_option("--challenge", flags->challenge, "How to prove control of the names")
      ->check(CLI::Validator(check_challenge, ""))
      ->type_name("TYPE")
      ->capture_default_str();
  auto* port = app.add_option("--http-port", flags->http_port, "Port to answer http-01 on; the CA comes to port 80")
                   ->check(CLI::Range(0, 65535).description(""))
                   ->type_name("PORT")
                   ->capture_default_str();
  auto* address = app.add_option("--http-address", flags->http_address, "Address to answer http-01 on (default: all)")
                      ->type_name("ADDRESS");
  app.add_option("--webroot", flags->webroot, "Folder a running web server serves: put http-01 answers there instead")
      ->check(CLI::ExistingDirectory.description(""))
      ->type_name("FOLDER")
      ->excludes(port)
      ->excludes(address);
  app.add_option("--preferred-chain", flags->preferred_chain,
                 "Take the chain whose topmost issuer has this common name")
      ->type_name("NAME");
  app.add_flag("--force", flags->force, "Issue even when the present certificate is not due");
  return [flags, key_type](Output& output) {
    flags->cert_key_type_given = key_type->count() > 0;
    return run_issue(*flags, output);
  };
}

}  // namespace culmen::cli
