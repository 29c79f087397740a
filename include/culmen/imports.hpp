// What another ACME client left in its folder: accounts and certificates as values, for culmen to go on with.
//
//   const FoundState found = find_client_state(ClientFolder(OtherClient::certbot, "/etc/letsencrypt"));
//   const ImportPlan plan = plan_import(found, ImportSelection(), stored_accounts, stored_certificates);
//
// What the plan adds goes into storage with import_account() and import_certificate().
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/certificate.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/error.hpp"
#include "culmen/private_key.hpp"
#include "culmen/stored_accounts.hpp"
#include "culmen/stored_certificates.hpp"

namespace culmen {

/// A client whose folder can be read.
enum class OtherClient {
  certbot,
  lego,
  acme_sh,
  persist,  ///< A program that keeps its state in a FilePersist.
};
/// "certbot", "lego", "acme.sh", "persist".
std::string_view to_string(OtherClient client) noexcept;

/// Where a client's files are, and what they may not say. A plain value.
struct ClientFolder {
  ClientFolder() = default;
  ClientFolder(OtherClient client_, std::filesystem::path folder_) : client(client_), folder(std::move(folder_)) {}

  OtherClient client = OtherClient::certbot;
  std::filesystem::path folder;  ///< Absolute.
  /// The directory URL for accounts and certificates that do not name their CA; empty: not known. A FilePersist never
  /// names it.
  std::string server;
  /// For certificates whose names the client validated through a web server or in a way that it does not keep.
  std::string webroot;   ///< Absolute; empty: none.
  std::string dns_hook;  ///< The program that changes the DNS, in place of the client's; empty: none.
};

/// What is worth knowing about a certificate. A plain value.
struct ImportNote {
  /// A setting that would help.
  enum class Remedy { none, webroot, dns_hook, pre_hook, deploy_hook, post_hook };
  ImportNote() = default;
  explicit ImportNote(std::string text_, Remedy remedy_ = Remedy::none) : text(std::move(text_)), remedy(remedy_) {}

  std::string text;  ///< A sentence without its full stop. May have text of the client's files: see printable().
  Remedy remedy = Remedy::none;
};

/// An account of another client. A plain value.
struct FoundAccount {
  FoundAccount() = default;
  std::string name;    ///< What the other client calls it.
  std::string server;  ///< Its directory URL; if that is not known, what the client calls the CA.
  /// Its URL is empty if the client does not keep it: find_stored_account() asks the CA for it.
  std::optional<Account> account;
  /// Why there is no `account`: not_found if its CA is not known (ClientFolder::server would say), else what is wrong
  /// with its files.
  std::optional<Error> wrong;
};

/// What a renewal takes of this host. A plain value.
struct FoundHostPart {
  FoundHostPart() = default;
  bool operator==(const FoundHostPart&) const = default;

  std::string webroot;  ///< For http-01; empty: a server of culmen's on `http_port` of `http_address`.
  int http_port = 80;
  std::string http_address;          ///< Empty: all.
  int tls_port = 443;                ///< For tls-alpn-01.
  std::string dns_hook;              ///< For dns-01; empty: it cannot be renewed until it has one.
  std::chrono::seconds dns_wait{0};  ///< Between the change of the DNS and the CA's validation.

  std::string chain_file, key_file;  ///< Where the client installed them, absolute; empty: nowhere.

  /// Absolute paths of programs that can be run, and that nobody but root and this user can change.
  std::vector<std::string> pre_hooks, deploy_hooks, post_hooks;
};

/// A certificate of another client. A plain value.
struct FoundCertificate {
  FoundCertificate() = default;
  std::string name;  ///< What the other client calls it.
  std::string server;
  std::string account;        ///< FoundAccount::name of the account that it came from, or empty.
  std::string authenticator;  ///< How the other client proves control, in its words; empty: it does not keep that.
  std::filesystem::path source;

  std::string chain_pem;  ///< PEM blocks, leaf first, and nothing around them.
  Certificate leaf;
  std::optional<PrivateKey> key;

  CertificateSpec spec;  ///< How to renew it, as check_spec() accepts it; always with an id.
  FoundHostPart host;
  std::vector<ImportNote> notes;
  std::optional<Error> wrong;  ///< Why it cannot be imported, as for accounts; then only name and source are certain.
};

/// All of it. A plain value.
struct FoundState {
  FoundState() = default;
  std::filesystem::path folder;
  std::vector<FoundAccount> accounts;  ///< Those of a server beside each other.
  std::vector<FoundCertificate> certificates;
  std::vector<ImportNote> notes;  ///< About all of the certificates.
};

/// Reads what the client left; changes nothing, runs nothing, and asks nobody. What is wrong with one account or
/// certificate is in its value, and does not keep the others from being found. Blocks; thread-safe.
///
/// Throws Error: not_found if the folder is not one of that client, io_failed if it may not be read.
FoundState find_client_state(const ClientFolder& folder);

/// Which part of it is wanted, by the names that the other client has. A plain value.
struct ImportSelection {
  ImportSelection() = default;
  std::vector<std::string> certificates;  ///< With the accounts that they came from; empty: all.
  std::vector<std::string> accounts;      ///< In place of those; empty: what `certificates` says.
};
/// That part. Does no I/O; thread-safe. Throws Error (invalid_argument) for a name that is not there.
FoundState selected(FoundState found, const ImportSelection& selection);

/// What to do about the account at one server. A plain value.
struct AccountImport {
  AccountImport() = default;
  enum class Verdict {
    add,
    same,     ///< It is stored already.
    other,    ///< Another account is stored for that server: that one stays.
    several,  ///< There are several, of which one has to be selected: storage has one account for a server.
    damaged,  ///< The stored account cannot be read.
    wrong,    ///< FoundAccount::wrong says why.
  };
  Verdict verdict = Verdict::wrong;
  std::vector<FoundAccount> found;  ///< One; with `several` all of them.
  std::string damage;               ///< Of the stored account, with `damaged`.
};

/// What to do about one certificate. A plain value.
struct CertificateImport {
  CertificateImport() = default;
  enum class Verdict {
    add,
    keep,   ///< There is a certificate with that id: that one stays.
    wrong,  ///< FoundCertificate::wrong says why.
  };
  Verdict verdict = Verdict::wrong;
  FoundCertificate found;
  // For import_certificate(), under the id of its spec.
  CertificateRecord record;
  Generation generation;       ///< Its `meta` also has what it was imported from.
  bool lacks_account = false;  ///< That account was not found, and none is stored for the server or to be added.
};

/// A plain value.
struct ImportPlan {
  ImportPlan() = default;
  std::vector<AccountImport> accounts;
  std::vector<CertificateImport> certificates;
};
/// What to do, in that order, for `selection` to be in a storage that has `accounts` (list_accounts()) and
/// `certificates` (list_certificates()). What is stored stays as it is. Of several accounts at a server those that
/// certificates of the selection came from go before others, unless accounts were selected. Does no I/O; thread-safe.
/// Throws Error as selected() does.
ImportPlan plan_import(const FoundState& found, const ImportSelection& selection,
                       const std::vector<StoredAccount>& accounts, const std::vector<StoredCertificate>& certificates);

}  // namespace culmen
