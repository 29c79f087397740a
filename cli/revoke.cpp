// culmen revoke: tells the CA that a certificate must not be trusted any more.
#include <memory>
#include <optional>
#include <string_view>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/stored_accounts.hpp"
#include "culmen/stored_certificates.hpp"
#include "hint.hpp"
#include "host.hpp"
#include "keeper.hpp"
#include "nearest.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

struct RevokeFlags {
  RevokeFlags() = default;
  StateFlags state;
  ServerFlags server;
  KeepOptions keep;
  bool server_given = false;
  std::string name;
  std::string cert;
  std::string cert_key;
  std::string reason;
  bool reissue = false;
  bool remove = false;
};

struct Reason {
  std::string_view name;
  int number;
};
// RFC 5280 §5.3.1; "value 7 is not used".
constexpr Reason reasons[] = {{"unspecified", 0},        {"keyCompromise", 1}, {"cACompromise", 2},
                              {"affiliationChanged", 3}, {"superseded", 4},    {"cessationOfOperation", 5},
                              {"certificateHold", 6},    {"removeFromCRL", 8}, {"privilegeWithdrawn", 9},
                              {"aACompromise", 10}};

std::optional<int> reason_number(const std::string& text) {
  if (text.empty()) return std::nullopt;
  for (const Reason& reason : reasons) {
    if (!written_alike(text, {std::string(reason.name)}).empty() || std::to_string(reason.number) == text)
      return reason.number;
  }
  return std::nullopt;
}

std::vector<std::string> reason_names() {
  std::vector<std::string> names;
  for (const Reason& reason : reasons) names.emplace_back(reason.name);
  return names;
}

std::string check_reason(const std::string& text) {
  if (reason_number(text)) return {};
  std::string names;
  for (const Reason& reason : reasons) {
    names += (names.empty() ? "" : ", ") + std::string(reason.name) + " (" + std::to_string(reason.number) + ")";
  }
  return "\"" + text + "\" is not a reason; there are: " + names;
}

PrivateKey key_from(const std::string& path, const Certificate& certificate) {
  const std::optional<std::string> pem = read_file(path);
  if (!pem) throw Failure(exit_failed, "not_found", "--cert-key: there is no file " + path);
  PrivateKey key = PrivateKey::from_pem(*pem);
  if (!certificate.matches(key))
    throw Failure(exit_usage, "invalid_argument", "the key in " + path + " is not that certificate's");
  return key;
}

/// The certificate in storage that has that serial number and issuer, so that its record can be marked.
std::optional<culmen::StoredCertificate> find_by_serial(const Host& host, const Certificate& wanted) {
  for (culmen::StoredCertificate& certificate : host.certificates()) {
    if (!certificate.live || !certificate.damage.empty()) continue;
    if (Certificate::from_pem(certificate.live->chain_pem).der == wanted.der) return std::move(certificate);
  }
  return std::nullopt;
}

void mark_revoked(const Host& host, const std::string& id, std::optional<int> reason) {
  host.run(change_certificate(
      host.storage(), id,
      [reason](CertificateRecord& record) -> Result<void> {
        record.revoked = time_text(std::chrono::system_clock::now());
        record.key_compromised = record.key_compromised || reason.value_or(0) == 1;  // keyCompromise
        return {};
      },
      host.lease()));
}

/// With the account in storage, or its key file.
bool revoke_stored(const RevokeFlags& flags, const Host& host, const culmen::StoredCertificate& certificate,
                   std::optional<int> reason, Output& output) {
  if (!certificate.live)
    throw Failure(exit_usage, "not_found", "the certificate \"" + certificate.id + "\" was never issued");
  const std::optional<Settings> settings = host.settings(certificate);
  // The certificate remembers where it came from; a flag still wins.
  const std::string server = flags.server_given ? flags.server.server : certificate.record.server;
  std::string server_ca = flags.server.server_ca, account_key = flags.server.account_key;
  if (settings && server_ca.empty()) server_ca = settings->host.server_ca;
  if (settings && account_key.empty()) account_key = settings->host.account_key;
  blocking::AcmeClient client = connect(server, server_ca, flags.keep.connection, output);
  return client
      .run(revoke_stored_certificate(host.storage_with_account(account_key), client.session(), certificate.id, reason,
                                     host.lease()))
      .was_revoked_before;
}

/// By its own key, or for a file by the account.
bool revoke_file(const RevokeFlags& flags, const Host& host, const Certificate& certificate, std::optional<int> reason,
                 Output& output) {
  blocking::AcmeClient client = connect(flags.server.server, flags.server.server_ca, flags.keep.connection, output);
  try {
    if (!flags.cert_key.empty()) {
      client.revoke_certificate_with_cert_key(key_from(flags.cert_key, certificate), certificate.der, reason);
    } else {
      const Account account = client.run(
          find_stored_account(host.storage_with_account(flags.server.account_key), client.session(), host.lease()));
      client.revoke_certificate(account, certificate.der, reason);
    }
  } catch (const Error& error) {
    if (error.code() != Errc::already_revoked) throw;
    return true;
  }
  return false;
}

int run_revoke(RevokeFlags flags, Output& output) {
  output.verbose(flags.keep.connection.verbose);
  if (flags.name.empty() == flags.cert.empty()) {
    throw Failure(exit_usage, "invalid_argument", "say which certificate: its name, or --cert FILE",
                  hint("list") + " shows the names.");
  }
  const std::optional<int> reason = reason_number(flags.reason);
  // A certificate in a file can be revoked without anything else.
  const Host host(flags.state, flags.name.empty() ? Host::Access::if_there : Host::Access::read, output);
  std::optional<culmen::StoredCertificate> stored;
  Certificate certificate;
  bool revoked_before = false;
  if (!flags.name.empty()) {
    require_finished(host, flags.name, output);
    stored = host.certificate(flags.name, Host::Guess::none);
    if (!stored->damage.empty())
      throw Failure(exit_failed, "io_failed", flags.name + " is damaged: " + stored->damage.front(),
                    "A certificate that is elsewhere can be revoked with --cert FILE.");
    if (!stored->live)
      throw Failure(exit_usage, "not_found", "the certificate \"" + flags.name + "\" was never issued");
    certificate = Certificate::from_pem(stored->live->chain_pem);
  } else {
    const std::optional<std::string> pem = read_file(flags.cert);
    if (!pem) throw Failure(exit_failed, "not_found", "--cert: there is no file " + flags.cert);
    certificate = Certificate::from_pem(*pem);
    stored = find_by_serial(host, certificate);
  }
  if (stored && flags.cert_key.empty()) {
    try {
      revoked_before = revoke_stored(flags, host, *stored, reason, output);
    } catch (const Error& error) {
      if (error.code() == Errc::not_found) (void)host.certificate(stored->id);  // another program was faster
      throw;
    }
  } else {
    if (stored && !flags.server_given) flags.server.server = stored->record.server;
    revoked_before = revoke_file(flags, host, certificate, reason, output);
    if (stored) mark_revoked(host, stored->id, reason);
  }
  output.say((revoked_before ? "Already revoked: " : "Revoked: ") + names_text(certificate.identifiers));
  output.result().set("names", name_list(certificate.identifiers));
  output.result().set("already_revoked", revoked_before);
  if (!stored) return exit_ok;
  if (flags.remove) {
    for (const std::string& key : host.remove(stored->id)) output.say("Its key is kept: " + host.place_of_key(key));
    output.say("Deleted: " + stored->id);
    return exit_ok;
  }
  if (!flags.reissue) {
    output.say("It is not renewed any more. Replace it: " + hint("issue --name " + stored->id) +
               "; or remove it: " + hint("delete " + stored->id));
    return exit_ok;
  }
  Kept kept;
  kept.id = stored->id;
  kept.settings = host.settings(*stored).value_or(Settings());
  kept.settings.spec.id = stored->id;
  check_settings(kept.settings);
  kept.force = "the present one was revoked";
  const KeepResult result = keep_once(host, {kept}, flags.keep, output);
  say_failures(result, false, output);
  output.result().set("reissued", !result.issued.empty());
  return result.exit_code();
}

}  // namespace

void define_revoke(Command& command) {
  auto flags = std::make_shared<RevokeFlags>();
  const Option server = add_server_flags(command, flags->server);
  command.argument("name NAME", flags->name, "The certificate's name, as culmen list shows it").names_certificate();
  command.text("--cert FILE", flags->cert, "The certificate, PEM, instead of a name");
  command.text("--cert-key FILE", flags->cert_key, "Sign with the certificate's own key instead of the account's");
  command
      .text("--reason REASON", flags->reason, "Why: keyCompromise, superseded, cessationOfOperation, …, or the number")
      .suggest(reason_names())
      .check(check_reason);
  command.flag("--reissue", flags->reissue, "Get a new certificate for the same names at once");
  command.flag("--delete", flags->remove, "Remove it from this host afterwards; its key is kept in keys/unused")
      .excludes("--reissue");
  add_state_flags(command, flags->state);
  add_connection_flags(command, flags->keep.connection);
  command.set_action([flags, server](Output& output) {
    flags->server_given = server.given();
    return run_revoke(*flags, output);
  });
}

}  // namespace culmen::cli
