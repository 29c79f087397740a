// culmen revoke: tells the CA that a certificate must not be trusted any more.
#include <memory>

#include "account_store.hpp"
#include "certificate_store.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

struct RevokeFlags {
  RevokeFlags() = default;
  ServerFlags server;
  bool server_given = false;
  std::string name;
  std::string cert;
  std::string cert_key;
  std::string reason;
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

std::optional<int> reason_number(const std::string& text);
std::string check_reason(const std::string& text);

int run_revoke(RevokeFlags flags, Output& output) {
  output.verbose(flags.server.verbose);
  if (flags.name.empty() == flags.cert.empty()) {
    throw Failure(exit_usage, "invalid_argument",
                  "say which certificate: its name in the state folder, or --cert FILE");
  }
  std::optional<CertificateFolder> folder;
  std::optional<FolderLock> lock;
  std::string pem;
  if (!flags.name.empty()) {
    folder = CertificateFolder::find(state_folder(flags.server.dir), flags.name);
    auto live = folder ? folder->live() : std::nullopt;
    if (!live) throw Failure(exit_failed, "not_found", "there is no certificate \"" + flags.name + "\" here");
    lock.emplace(folder->path(), "the certificate \"" + flags.name + "\"", 0);
    pem = live->fullchain;
    // The certificate remembers where it came from; a flag still wins.
    if (!flags.server_given) flags.server.server = live->meta.text("server");
    if (flags.server.server_ca.empty()) flags.server.server_ca = live->meta.text("server_ca");
    if (flags.server.account_key.empty()) flags.server.account_key = live->meta.text("account_key");
  } else {
    const auto text = read_file(flags.cert);
    if (!text) throw Failure(exit_usage, "not_found", "there is no file " + flags.cert);
    pem = *text;
  }
  const Certificate certificate = Certificate::from_pem(pem);
  std::optional<PrivateKey> key;
  if (!flags.cert_key.empty()) {
    const auto text = read_file(flags.cert_key);
    if (!text) throw Failure(exit_usage, "not_found", "there is no file " + flags.cert_key);
    key = PrivateKey::from_pem(*text);
    if (!certificate.matches(*key)) {
      throw Failure(exit_usage, "invalid_argument", "the key in " + flags.cert_key + " is not that certificate's");
    }
  }

  blocking::AcmeClient client = connect(flags.server, output);
  const std::optional<int> reason = reason_number(flags.reason);
  bool revoked_before = false;
  try {
    if (key) {
      client.revoke_certificate_with_cert_key(*key, certificate.der, reason);
    } else {
      const AccountFiles files(flags.server, directory_url(flags.server));
      client.revoke_certificate(known_account(client, files, output), certificate.der, reason);
    }
  } catch (const Error& error) {
    if (error.code() != Errc::already_revoked) throw;
    revoked_before = true;
  }
  if (folder) folder->mark("revoked", time_text(std::chrono::system_clock::now()));
  output.say((revoked_before ? "Was revoked before: " : "Revoked: ") + names_text(certificate.identifiers));
  output.result().set("names", name_list(certificate.identifiers));
  output.result().set("already_revoked", revoked_before);
  return exit_ok;
}

std::optional<int> reason_number(const std::string& text) {
  if (text.empty()) return std::nullopt;
  for (const Reason& reason : reasons) {
    if (reason.name == text || std::to_string(reason.number) == text) return reason.number;
  }
  return std::nullopt;
}

std::string check_reason(const std::string& text) {
  if (reason_number(text)) return {};
  std::string names;
  for (const Reason& reason : reasons) {
    names += (names.empty() ? "" : ", ") + std::string(reason.name) + " (" + std::to_string(reason.number) + ")";
  }
  return "\"" + text + "\" is not a reason; there are: " + names;
}

}  // namespace

void define_revoke(Command& command) {
  auto flags = std::make_shared<RevokeFlags>();
  const Option server = add_server_flags(command, flags->server);
  command.argument("name NAME", flags->name, "The certificate's name in the state folder");
  command.text("--cert FILE", flags->cert, "The certificate, PEM, instead of a name");
  command.text("--cert-key FILE", flags->cert_key, "Sign with the certificate's own key instead of the account's");
  command
      .text("--reason REASON", flags->reason, "Why: keyCompromise, superseded, cessationOfOperation, …, or the number")
      .check(check_reason);
  command.set_action([flags, server](Output& output) {
    flags->server_given = server.given();
    return run_revoke(*flags, output);
  });
}

}  // namespace culmen::cli
