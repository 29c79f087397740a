// culmen issue: from names to a certificate on disk.
#include <algorithm>
#include <memory>
#include <set>

#include "issue.hpp"

#include "account_store.hpp"
#include "certificate_store.hpp"
#include "challenge_solvers.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/csr.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/issue.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "output.hpp"
#include "renewal_store.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::system_clock;

std::vector<Identifier> identifiers_of(const IssueFlags& flags);
std::optional<PrivateKey> key_from_file(const IssueFlags& flags);
std::string reason_to_issue(const StoredCertificate& live, const std::vector<Identifier>& identifiers,
                            const IssueFlags& flags, const std::optional<PrivateKey>& named_key);
/// The CertID of the present certificate (RFC 9773), when the same account had it from the same CA; else empty.
std::string predecessor(const StoredCertificate& live, const IssueFlags& flags, const Account& account);
Clock::time_point due_time(const StoredCertificate& live);
void describe(const StoredCertificate& live, const CertificateFolder& folder, bool changed, Output& output);
void copy_out(const IssueFlags& flags, const StoredCertificate& live, Output& output);

// The solver of --webroot or of a responder that is listening already: a port in use shows before the CA is asked.
std::unique_ptr<ChallengeSolver> start_solver(const IssueFlags& flags);
IssueRequest request_of(const IssueFlags& flags, const std::vector<Identifier>& identifiers,
                        const CertificateFolder& folder, const Account& account, Output& output);
void show_progress(const IssueProgress& progress, std::size_t total, std::size_t& done, Output& output);
JsonObject meta_of(const IssueFlags& flags, const Account& account, const IssuedCertificate& issued);

int run_issue_csr(const IssueFlags& flags, Output& output);
/// What a CSR file holds, PEM or DER.
Bytes read_csr(const std::string& path);
void add_order_flags(const IssueFlags& flags, const std::vector<Identifier>& identifiers, IssueRequest& request);

}  // namespace

int run_issue(const IssueFlags& flags, Output& output) {
  output.verbose(flags.server.verbose);
  check_challenge_flags(flags.challenge, flags.challenge_flags);
  if (!flags.csr.empty()) return run_issue_csr(flags, output);
  const std::vector<Identifier> identifiers = identifiers_of(flags);
  const std::string server = directory_url(flags.server);
  const std::optional<EabOptions> eab = eab_of(flags.account);  // bad flags show before anything is done
  const std::optional<PrivateKey> named_key = key_from_file(flags);

  const std::string name = flags.name.empty() ? CertificateFolder::name_for(identifiers.front()) : flags.name;
  const CertificateFolder folder(state_folder(flags.server.dir), name);
  const FolderLock lock = folder.lock();
  IssueFlags wanted = flags;
  const auto before = folder.live();
  if (const auto& live = before) {
    const std::string reason = reason_to_issue(*live, identifiers, flags, named_key);
    if (reason.empty()) {
      copy_out(flags, *live, output);
      output.say("Nothing to do: the certificate for " + names_text(identifiers) + " is good until " +
                 time_text(live->leaf.not_after) + " and becomes due on " + time_text(due_time(*live)) +
                 " (--force issues a new one now)");
      describe(*live, folder, false, output);
      return exit_ok;
    }
    output.say("Issuing a new certificate: " + reason);
    const std::string present_type = live->meta.text("key_type");
    if (!flags.cert_key_type_given && !present_type.empty()) wanted.cert_key_type = present_type;
  }

  std::unique_ptr<ChallengeSolver> solver = start_solver(flags);
  blocking::AcmeClient client = connect(flags.server, output);
  const AccountFiles account_files(flags.server, server);
  const Account account = known_or_new_account(client, account_files, flags.account, output);
  IssueRequest request = request_of(wanted, identifiers, folder, account, output);
  if (named_key) request.key = named_key;
  if (!solver)
    solver =
        make_challenge_solver(flags.challenge, flags.challenge_flags, client.directory(), account, identifiers, output);
  add_onion_flags(flags.challenge_flags, client.directory(), request);
  if (before && !client.directory().renewal_info.empty()) request.replaces = predecessor(*before, flags, account);

  const IssuedCertificate issued = client.issue(account, request, *solver);
  const Certificate& leaf = issued.chain.leaf;
  if (!issued.key || !leaf.matches(*issued.key)) {
    throw Error(Errc::bad_response, "storing the certificate", "the CA sent a certificate for another key");
  }
  if (!flags.preferred_chain.empty() && topmost_issuer(issued.chain_pem) != flags.preferred_chain) {
    output.warn("the CA offers no chain up to \"" + printable(flags.preferred_chain) +
                "\"; took its default, up to \"" + printable(topmost_issuer(issued.chain_pem)) + "\"");
  }
  const StoredCertificate live = folder.install(issued.chain_pem, leaf, *issued.key, meta_of(wanted, account, issued));
  folder.drop_pending();
  copy_out(flags, live, output);
  describe(live, folder, true, output);
  output.say("Good until " + time_text(leaf.not_after) + "; due for renewal on " + time_text(due_time(live)));
  output.say("  chain  " + (folder.live_path() / "fullchain.pem").string());
  output.say("  key    " + (folder.live_path() / "key.pem").string());
  return exit_ok;
}

IssueFlags flags_of(const StoredCertificate& live, const CertificateFolder& folder) {
  IssueFlags flags;
  flags.name = folder.name();
  flags.domains = live.meta.texts("names");
  flags.server.server = live.meta.text("server");
  if (flags.domains.empty() || flags.server.server.empty()) {
    throw Failure(exit_failed, "not_found", "its meta.json does not say where it came from and for which names",
                  "Issue it again: culmen issue --name " + folder.name() + " -d …");
  }
  flags.server.server_ca = live.meta.text("server_ca");
  flags.server.account_key = live.meta.text("account_key");
  flags.cert_key = live.meta.text("cert_key");
  flags.out = live.meta.text("out");
  flags.preferred_chain = live.meta.text("preferred_chain");
  flags.profile = live.meta.text("profile");
  flags.must_staple = !live.meta.text("must_staple").empty();
  flags.ancestors = live.meta.texts("ancestors");
  const JsonObject challenge = live.meta.object("challenge");
  if (const std::string type = challenge.text("type"); !type.empty()) flags.challenge = type;
  flags.http_port = challenge.number("http_port", flags.http_port);
  flags.http_address = challenge.text("http_address");
  flags.tls_port = challenge.number("tls_port", flags.tls_port);
  flags.tls_address = challenge.text("tls_address");
  flags.webroot = challenge.text("webroot");
  restore_challenge_flags(challenge, flags.challenge_flags);
  return flags;
}

namespace {

std::vector<Identifier> identifiers_of(const IssueFlags& flags) {
  std::vector<Identifier> identifiers;
  for (const std::string& text : flags.domains) {
    Identifier identifier = Identifier::parse(text);
    if (identifier.is_wildcard() && (flags.challenge == "http-01" || flags.challenge == "tls-alpn-01")) {
      throw Failure(exit_usage, "invalid_argument",
                    flags.challenge + " cannot prove the wildcard name " + identifier.value,
                    "CAs want dns-01 for wildcards (--challenge dns-01), or name each host instead.");
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
  if (!flags.reason.empty()) return flags.reason;
  if (flags.force) return "--force says so";
  if (!live.damage.empty()) return "the one on disk is of no use: " + live.damage;
  if (!live.meta.text("revoked").empty()) return "the present one was revoked";
  const std::string server = directory_url(flags.server);
  if (live.meta.text("server") != server) return "the present one is from " + live.meta.text("server");
  const std::set<Identifier> present(live.leaf.identifiers.begin(), live.leaf.identifiers.end());
  if (present != std::set<Identifier>(identifiers.begin(), identifiers.end())) {
    return "the present one is for other names: " + names_text(live.leaf.identifiers);
  }
  if (named_key && !named_key->same_key_as(*live.key)) return "the present one is for another key than --cert-key";
  if (live.meta.text("profile") != flags.profile) return "the present one is of another profile";
  if (live.meta.text("must_staple").empty() == flags.must_staple) return "--must-staple has changed";
  if (flags.cert_key_type_given && live.key->type() != flags.cert_key_type) {
    return "the present one has a key of type " + live.key->type();
  }
  const RenewalDecision decision = decide_renewal(live.leaf, read_renewal_state(live), Clock::now());
  if (decision.renew_now) {
    return "the present one became due on " + time_text(decision.renew_at) + ": " + decision.reason;
  }
  return {};
}

std::string predecessor(const StoredCertificate& live, const IssueFlags& flags, const Account& account) {
  const bool same_origin =
      live.meta.text("server") == directory_url(flags.server) && live.meta.text("account") == account.url;
  // Without an authority key identifier a certificate has no name there.
  if (!same_origin || live.leaf.authority_key_identifier.empty()) return {};
  return certificate_id(live.leaf);
}

Clock::time_point due_time(const StoredCertificate& live) {
  return decide_renewal(live.leaf, read_renewal_state(live), Clock::now()).renew_at;
}

void describe(const StoredCertificate& live, const CertificateFolder& folder, bool changed, Output& output) {
  JsonObject& json = output.result();
  json.set("changed", changed);
  json.set("name", folder.name());
  json.set("names", name_list(live.leaf.identifiers));
  for (const char* member : {"server", "account", "order", "certificate", "key_type"}) {
    json.set(member, live.meta.text(member));
  }
  std::string serial;  // as openssl and browsers show it: without the octet that only keeps the DER number positive
  constexpr char digits[] = "0123456789abcdef";
  const std::size_t sign_octets = live.leaf.serial.size() > 1 && live.leaf.serial.front() == 0 ? 1 : 0;
  for (std::size_t i = sign_octets; i < live.leaf.serial.size(); ++i) {
    serial += {digits[live.leaf.serial[i] >> 4], digits[live.leaf.serial[i] & 15]};
  }
  json.set("serial", serial);
  json.set("issuer", live.leaf.issuer_common_name);
  json.set("not_before", time_text(live.leaf.not_before));
  json.set("not_after", time_text(live.leaf.not_after));
  json.set("due", time_text(due_time(live)));
  JsonObject files;
  files.set("fullchain", (folder.live_path() / "fullchain.pem").string());
  files.set("cert", (folder.live_path() / "cert.pem").string());
  files.set("chain", (folder.live_path() / "chain.pem").string());
  files.set("key", (folder.live_path() / "key.pem").string());
  json.set("files", files);
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
  if (needs_no_server(flags.challenge)) return nullptr;
  if (!flags.webroot.empty()) return std::make_unique<WebrootSolver>(flags.webroot);
  if (flags.challenge == "tls-alpn-01") {
    auto solver = std::make_unique<TlsAlpn01Solver>(static_cast<std::uint16_t>(flags.tls_port), flags.tls_address);
    solver->start_thread();
    return solver;
  }
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
  add_order_flags(flags, identifiers, request);

  JsonObject order;
  order.set("server", directory_url(flags.server));
  order.set("account", account.url);
  order.set("names", name_list(identifiers));
  order.set("key_type", flags.cert_key_type);
  order.set("profile", flags.profile);
  order.set("must_staple", flags.must_staple);
  if (const auto pending = folder.pending()) {
    if (pending->order.includes(order)) {
      request.resume_order = pending->order.text("url");
      request.key = pending->key;
    } else {
      folder.drop_pending();
    }
  }
  request.keep_order = [&folder, order](const std::string& order_url) {
    JsonObject kept = order;
    kept.set("url", order_url);
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

void add_order_flags(const IssueFlags& flags, const std::vector<Identifier>& identifiers, IssueRequest& request) {
  request.profile = flags.profile;
  request.csr_options.must_staple = flags.must_staple;
  for (const std::string& text : flags.ancestors) {
    const std::string ancestor = Identifier::dns(text).value;
    bool used = false;
    for (const Identifier& identifier : identifiers) {
      if (identifier.type != "dns" || !identifier.value.ends_with("." + ancestor)) continue;
      if (identifier.value == "*." + ancestor) continue;
      request.ancestor_domains[identifier.value] = ancestor;
      used = true;
    }
    if (!used) {
      throw Failure(exit_usage, "invalid_argument", "--ancestor: no name of the certificate is below " + ancestor);
    }
  }
}

Bytes read_csr(const std::string& path) {
  const auto contents = read_file(path);
  if (!contents) throw Error(Errc::io_failed, "reading --csr " + path, "there is no such file");
  if (contents->find("-----BEGIN") == std::string::npos) return Bytes(contents->begin(), contents->end());
  const std::vector<Bytes> blocks = pem_to_der(*contents);
  if (blocks.size() != 1) {
    throw Error(Errc::crypto_failed, "reading --csr " + path,
                "it has " + std::to_string(blocks.size()) + " PEM blocks; one CERTIFICATE REQUEST is wanted");
  }
  return blocks.front();
}

// The key is not ours: there is nothing to keep in the state folder, and nothing to renew by itself.
int run_issue_csr(const IssueFlags& flags, Output& output) {
  const Bytes csr = read_csr(flags.csr);
  std::vector<Identifier> identifiers;
  try {
    identifiers = csr_identifiers(csr);
  } catch (const Error& error) {
    throw error.while_doing("reading --csr " + flags.csr);
  }
  const std::string server = directory_url(flags.server);
  std::unique_ptr<ChallengeSolver> solver = start_solver(flags);
  blocking::AcmeClient client = connect(flags.server, output);
  const AccountFiles account_files(flags.server, server);
  const Account account = known_or_new_account(client, account_files, flags.account, output);
  if (!solver)
    solver =
        make_challenge_solver(flags.challenge, flags.challenge_flags, client.directory(), account, identifiers, output);
  IssueRequest request(identifiers);
  request.csr = csr;
  request.preferred_chain = flags.preferred_chain;
  request.poll_deadline = std::chrono::seconds(flags.server.poll_timeout);
  add_order_flags(flags, identifiers, request);
  add_onion_flags(flags.challenge_flags, client.directory(), request);
  request.on_progress = [&output, total = identifiers.size(), done = std::size_t{0}](
                            const IssueProgress& progress) mutable { show_progress(progress, total, done, output); };
  const IssuedCertificate issued = client.issue(account, request, *solver);
  const Certificate& leaf = issued.chain.leaf;
  write_file_atomically(flags.out, issued.chain_pem, 0644);
  JsonObject& json = output.result();
  json.set("changed", true);
  json.set("names", name_list(leaf.identifiers));
  json.set("server", server);
  json.set("account", account.url);
  json.set("order", issued.order.url);
  json.set("not_before", time_text(leaf.not_before));
  json.set("not_after", time_text(leaf.not_after));
  json.set("out", flags.out);
  output.say("Good until " + time_text(leaf.not_after) + "\n  chain  " + flags.out);
  return exit_ok;
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
    case Step::refused: return output.log("the certificate is refused: " + subject);
    case Step::cleanup_failed: return output.warn("a challenge could not be cleaned up: " + subject);
  }
}

JsonObject meta_of(const IssueFlags& flags, const Account& account, const IssuedCertificate& issued) {
  JsonObject meta;
  meta.set("server", directory_url(flags.server));
  meta.set("account", account.url);
  meta.set("names", name_list(issued.identifiers));
  meta.set("key_type", issued.key->type());
  meta.set("order", issued.order.url);
  meta.set("certificate", issued.chain.url.empty() ? issued.order.certificate : issued.chain.url);
  meta.set("issued", time_text(Clock::now()));
  JsonObject challenge;
  challenge.set("type", flags.challenge);
  if (needs_no_server(flags.challenge)) {
    note_challenge_flags(flags.challenge_flags, challenge);
  } else if (flags.challenge == "tls-alpn-01") {
    challenge.set("tls_port", flags.tls_port);
    if (!flags.tls_address.empty()) challenge.set("tls_address", flags.tls_address);
  } else if (flags.webroot.empty()) {
    challenge.set("http_port", flags.http_port);
    if (!flags.http_address.empty()) challenge.set("http_address", flags.http_address);
  } else {
    challenge.set("webroot", fs::absolute(flags.webroot).string());
  }
  meta.set("challenge", challenge);
  const auto path_of = [&meta](const char* member, const std::string& path) {
    if (!path.empty()) meta.set(member, fs::absolute(path).string());
  };
  path_of("account_key", flags.server.account_key);
  path_of("server_ca", flags.server.server_ca);
  path_of("cert_key", flags.cert_key);
  path_of("out", flags.out);
  if (!flags.preferred_chain.empty()) meta.set("preferred_chain", flags.preferred_chain);
  if (!flags.profile.empty()) meta.set("profile", flags.profile);
  if (flags.must_staple) meta.set("must_staple", "yes");
  if (!flags.ancestors.empty()) meta.set("ancestors", flags.ancestors);
  if (!issued.order.replaces.empty()) meta.set("replaces", issued.order.replaces);
  return meta;
}

std::string check_challenge(const std::string& type) {
  if (type == "http-01" || type == "tls-alpn-01" || needs_no_server(type)) return {};
  return "\"" + type +
         "\" is not a challenge type; there are http-01, tls-alpn-01, dns-01, dns-account-01, "
         "dns-persist-01 and onion-csr-01";
}

/// Throws Failure (exit_usage) for flags that do not go together.
void check_flags(const IssueFlags& flags) {
  if (!flags.webroot.empty() && flags.challenge != "http-01") {
    throw Failure(exit_usage, "invalid_argument", "--webroot is for http-01, not for " + flags.challenge);
  }
  if (flags.domains.empty() == flags.csr.empty()) {
    throw Failure(exit_usage, "invalid_argument", "names are given either by -d or by --csr",
                  "Give -d NAME, or --csr FILE and --out FILE.");
  }
  if (!flags.csr.empty() && flags.out.empty()) {
    throw Failure(exit_usage, "invalid_argument", "--csr needs --out FILE: that is where the chain goes");
  }
  if (!flags.csr.empty() && (!flags.cert_key.empty() || flags.must_staple || !flags.name.empty())) {
    throw Failure(exit_usage, "invalid_argument", "--csr does not go with --cert-key, --must-staple and --name",
                  "What they would say is in the CSR already.");
  }
}

}  // namespace

void define_issue(Command& command) {
  auto flags = std::make_shared<IssueFlags>();
  command
      .list("-d,--domain NAME", flags->domains, "Name for the certificate, or IP address; repeatable, or with commas")
      .delimiter(',');
  add_server_flags(command, flags->server);
  add_account_flags(command, flags->account);
  command.text("--name NAME", flags->name,
               "What to call the certificate in the state folder (default: its first name)");
  command.text("--out FILE", flags->out, "Also write the chain here");
  command.text("--cert-key,--key FILE", flags->cert_key,
               "The certificate's key: read when the file exists, else written there");
  const Option key_type =
      add_key_type_flag(command, "--cert-key-type", flags->cert_key_type, "Type of the certificate's key");
  command.text("--challenge TYPE", flags->challenge, "How to prove control of the names").check(check_challenge);
  command.number("--http-port PORT", flags->http_port, "Port to answer http-01 on; the CA comes to port 80")
      .between(0, 65535);
  command.text("--http-address ADDRESS", flags->http_address, "Address to answer http-01 on (default: all)");
  command
      .text("--webroot FOLDER", flags->webroot, "Folder a running web server serves: put http-01 answers there instead")
      .existing_folder()
      .excludes("--http-port")
      .excludes("--http-address");
  command.number("--tls-port PORT", flags->tls_port, "Port to answer tls-alpn-01 on; the CA comes to port 443")
      .between(0, 65535);
  command.text("--tls-address ADDRESS", flags->tls_address, "Address to answer tls-alpn-01 on (default: all)");
  command.text("--preferred-chain NAME", flags->preferred_chain,
               "Take the chain whose topmost issuer has this common name");
  add_challenge_flags(command, flags->challenge_flags);
  command.text("--profile NAME", flags->profile, "One of the CA's certificate profiles");
  command.flag("--must-staple", flags->must_staple, "Ask for the TLS feature extension; most public CAs refuse it now");
  command.list("--ancestor DOMAIN", flags->ancestors, "Prove this domain in place of the names below it (RFC 9444)");
  command.text("--csr FILE", flags->csr,
               "Use this CSR, PEM or DER, whose names and key count; the chain goes to --out");
  command.flag("--force", flags->force, "Issue even when the present certificate is not due");
  command.set_action([flags, key_type](Output& output) {
    flags->cert_key_type_given = key_type.given();
    check_flags(*flags);
    return run_issue(*flags, output);
  });
}

}  // namespace culmen::cli
