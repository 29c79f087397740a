#include "issue_csr.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <set>

#include "account_flags.hpp"
#include "challenge_solvers.hpp"
#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/csr.hpp"
#include "culmen/issue.hpp"
#include "culmen/stored_accounts.hpp"
#include "deploy.hpp"
#include "files.hpp"
#include "output.hpp"
#include "progress_lines.hpp"
#include "solvers_on_demand.hpp"

namespace culmen::cli {

namespace {

constexpr std::size_t longest_csr = 1 << 20;

const std::string advice_on_csr =
    "; make one with: openssl req -new -key key.pem -subj / -addext subjectAltName=DNS:NAME";

/// What people give in place of a CSR; empty: it may be one.
std::string why_no_csr(const std::string& contents) {
  if (contents.empty()) return "it is empty" + advice_on_csr;
  if (contents.starts_with("\xff\xfe") || contents.starts_with("\xfe\xff"))
    return "it is UTF-16 text, as PowerShell writes it; save it as ASCII";
  if (contents.find("-----BEGIN") != std::string::npos || contents.front() == 0x30) return {};  // PEM, or DER
  const bool is_base64 = std::all_of(contents.begin(), contents.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '+' || c == '/' || c == '=' || c == '\n' || c == '\r';
  });
  if (is_base64)
    return "it is base64 without the lines \"-----BEGIN CERTIFICATE REQUEST-----\" and \"-----END …\"; add them";
  return "it is neither PEM nor DER" + advice_on_csr;
}

Bytes read_csr(const std::string& path) {
  const std::string doing = "reading --csr " + path;
  const auto contents = read_file(path, longest_csr);
  if (!contents) throw Error(Errc::io_failed, doing, "there is no such file");
  if (const std::string why = why_no_csr(*contents); !why.empty()) throw Error(Errc::crypto_failed, doing, why);
  if (contents->find("-----BEGIN") == std::string::npos) return Bytes(contents->begin(), contents->end());
  if (contents->find("PRIVATE KEY-----") != std::string::npos &&
      contents->find("CERTIFICATE REQUEST-----") == std::string::npos)
    throw Error(Errc::crypto_failed, doing, "it is a private key, not a request" + advice_on_csr);
  if (contents->find("CERTIFICATE REQUEST-----") == std::string::npos)
    throw Error(Errc::crypto_failed, doing,
                "it has no CERTIFICATE REQUEST: " + contents->substr(0, contents->find('\n')));
  const std::vector<Bytes> blocks = pem_to_der(*contents);
  if (blocks.size() != 1) {
    throw Error(Errc::crypto_failed, doing,
                "it has " + std::to_string(blocks.size()) + " PEM blocks; one CERTIFICATE REQUEST is wanted");
  }
  return blocks.front();
}

/// The chain that is there, if it is for this CSR.
std::optional<Certificate> present_leaf(const std::string& out, const Bytes& csr,
                                        const std::vector<Identifier>& identifiers) {
  if (is_standard_output(out)) return std::nullopt;
  const auto chain = read_file(out);
  if (!chain) return std::nullopt;
  try {
    Certificate leaf = Certificate::from_pem(*chain);
    const std::set<Identifier> there(leaf.identifiers.begin(), leaf.identifiers.end());
    const bool same_names = there == std::set<Identifier>(identifiers.begin(), identifiers.end());
    if (same_names && leaf.public_key_der == csr_public_key(csr)) return leaf;
  } catch (const Error&) {
    // It is something else, and is replaced.
  }
  return std::nullopt;
}

/// By its lifetime: without a record there is nothing to know of the CA's suggestion.
planner::Due due_of(const Certificate& leaf) {
  planner::CertificateFacts facts;
  facts.not_before = leaf.not_before;
  facts.not_after = leaf.not_after;
  return planner::due(facts, planner::Policy(), std::chrono::system_clock::now());
}

void describe_leaf(const Certificate& leaf, bool changed, const std::string& out, Output& output) {
  JsonObject& json = output.result();
  json.set("changed", changed);
  json.set("names", name_list(leaf.identifiers));
  json.set("not_before", time_text(leaf.not_before));
  json.set("not_after", time_text(leaf.not_after));
  json.set("out", out);
}

}  // namespace

int issue_for_csr(const CsrFlags& flags, Output& output) {
  if (!flags.settings.names().empty()) {
    throw Failure(exit_usage, "invalid_argument", "names are given either by -d or by --csr",
                  "Leave -d out: the names are those of the CSR.");
  }
  const Bytes csr = read_csr(flags.csr);
  std::vector<Identifier> identifiers;
  try {
    identifiers = csr_identifiers(csr);
  } catch (const Error& error) {
    throw error.while_doing("reading --csr " + flags.csr);
  }
  if (identifiers.empty()) {
    throw Error(Errc::crypto_failed, "reading --csr " + flags.csr,
                "it asks for no names: they belong into its subjectAltName, as DNS:NAME or IP:ADDRESS");
  }
  Settings before;
  for (const Identifier& identifier : identifiers) before.spec.names.push_back(identifier.value);
  const Settings settings = flags.settings.merged(before);
  const HostSettings& local = settings.host;
  if (local.out.empty())
    throw Failure(exit_usage, "invalid_argument", "--csr needs --out FILE: that is where the chain goes");
  if (!local.cert_key.empty() || !local.combined.empty() || settings.spec.must_staple) {
    throw Failure(exit_usage, "invalid_argument", "--csr does not go with --cert-key, --combined and --must-staple",
                  "The CSR says already what is in the certificate, and its key is not culmen's.");
  }
  check_outputs(local);
  if (replaced_file(local.out) == replaced_file(flags.csr))
    throw Failure(exit_usage, "invalid_argument", "--out would overwrite the file of --csr", "Name another file.");
  const Host host(flags.state, Host::Access::write, output);
  check_outputs_beside_others(host, {}, local);
  if (const std::optional<Certificate> leaf = present_leaf(local.out, csr, identifiers); leaf && !flags.force) {
    const planner::Due due = due_of(*leaf);
    if (!due.renew_now) {
      output.say("Nothing to do: " + local.out + " is valid until " + time_text(leaf->not_after) +
                 "; due for renewal on " + time_text(due.at) + " (--force issues a new one now)");
      describe_leaf(*leaf, false, local.out, output);
      return exit_ok;
    }
  }

  const std::string server = settings.spec.cas.front();
  blocking::AcmeClient client = connect(server, local.server_ca, flags.keep.connection, output);
  const Account account = client.run(register_stored_account(
      host.storage_with_account(local.account_key), client.session(), flags.keep.account.key_type,
      [&] { return account_options(flags.keep.account, client.directory()); }, false, host.lease()));
  ServerSolvers servers(output);
  const std::shared_ptr<ChallengeSolver> solver =
      needs_no_server(settings.spec.challenge)
          ? std::shared_ptr<ChallengeSolver>(make_challenge_solver(settings.spec.challenge, local.challenge,
                                                                   client.directory(), account, identifiers, output))
          : servers.at(settings.spec.challenge, local);
  IssueRequest request(identifiers);
  request.csr = csr;
  request.profile = settings.spec.profile;
  request.preferred_chain = settings.spec.preferred_chain;
  request.poll_deadline = std::chrono::seconds(flags.keep.connection.poll_timeout);
  request.ancestor_domains = ancestor_domains(local.ancestors, identifiers);
  add_onion_flags(local.challenge, client.directory(), request);
  const auto shown = std::make_shared<ProgressLines>(output, "the CSR", "", identifiers.size(), LogLevel::info);
  request.on_progress = [shown](const IssueProgress& progress) { shown->show(progress); };
  const IssuedCertificate issued = client.issue(account, request, *solver);
  for (const std::string& warning : issued.warnings) output.warn(printable(warning, 1000));
  if (is_standard_output(local.out)) {
    output.print(issued.chain_pem);
  } else {
    replace_file(local.out, issued.chain_pem, 0644);
  }
  const Certificate& leaf = issued.chain.leaf;
  describe_leaf(leaf, true, local.out, output);
  output.result().set("server", server);
  output.result().set("account", account.url);
  output.result().set("order", issued.order.url);
  output.say("Valid until " + time_text(leaf.not_after) + "\n  chain  " + local.out);
  output.say("Nothing renews it: give the same command again before it ends, or from a timer.");
  return exit_ok;
}

}  // namespace culmen::cli
