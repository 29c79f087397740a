// What a program keeps with the library's FilePersist (docs/persistence.md), read and never written:
//
//   <realm>/account/account.pem         the account's key
//   <realm>/certificate/<name>.pem      key and chain
#include <algorithm>
#include <system_error>

#include "command.hpp"
#include "culmen/persist.hpp"
#include "found.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

constexpr int most_folders_of_a_name = 32;

/// Finds the parts of keys below a folder: long ones go on in folders that end in '+'.
template <class Use>
void each_part(const fs::path& folder, const std::string& before, int depth, const Use& use) {
  for (const fs::path& entry : entries_of(folder)) {
    const std::string name = entry.filename().string();
    std::error_code ignored;
    if (name.ends_with('+') && depth < most_folders_of_a_name && fs::is_directory(entry, ignored)) {
      each_part(entry, before + name.substr(0, name.size() - 1), depth + 1, use);
    } else {
      use(entry, before + name);
    }
  }
}

/// What is below one realm's folder.
class RealmReader {
 public:
  RealmReader(const ImportChoices& choices, std::string realm_text, fs::path folder, Found& found)
      : choices_(choices), realm_text_(std::move(realm_text)), folder_(std::move(folder)), found_(found) {
    realm_ = PersistKey::parse(realm_text_ + "/account_key/account").realm;
  }

  void read() {
    std::error_code ignored;
    if (fs::exists(folder_ / "account/account.pem", ignored)) add_account();
    each_part(folder_ / "certificate", "", 0, [this](const fs::path& file, const std::string& text) {
      if (text.ends_with(".pem")) add_certificate(file, text.substr(0, text.size() - 4));
    });
  }

 private:
  void add_account() {
    FoundAccount account;
    account.id = realm_;
    account.server = choices_.server;
    const fs::path file = folder_ / "account/account.pem";
    account.wrong = error_of("reading " + file.string(), [&] {
      const std::string pem = required_file(file);
      try {
        account.account.emplace("", AccountKey::from_pem(pem));  // the CA is asked for the URL when it is used
      } catch (const Error& error) {
        throw error.while_doing("reading " + file.string());
      }
    });
    found_.accounts.push_back(std::move(account));
  }

  void add_certificate(const fs::path& file, const std::string& text) {
    FoundCertificate certificate;
    certificate.name = text;
    certificate.source = file;
    certificate.server = choices_.server;
    certificate.account_id = realm_;
    bool is_pending = false;
    certificate.wrong = error_of("reading " + file.string(), [&] {
      const PersistKey key = PersistKey::parse(realm_text_ + "/certificate/" + text);
      certificate.name = key.name;
      is_pending = key.name.ends_with("/pending");
      if (is_pending) return;
      FilePersist persist(choices_.from);
      const std::optional<PersistedCertificate> pair = persist.get_certificate(key.realm, key.name);
      if (!pair) throw unreadable(file, "it does not have both a key and a certificate");
      read_pair(certificate, pair->certificate, file, pair->private_key, file);
      renew_as_chosen(certificate, "the program", choices_);
    });
    if (!is_pending) found_.certificates.push_back(std::move(certificate));
  }

  const ImportChoices& choices_;
  std::string realm_text_;
  fs::path folder_;
  std::string realm_;
  Found& found_;
};

}  // namespace

Found find_of_persist(const ImportChoices& choices) {
  std::error_code failed;
  if (!fs::is_directory(choices.from, failed)) {
    throw Failure(exit_failed, "not_found", "there is no folder " + choices.from.string(),
                  "Say where the FilePersist is with --from FOLDER.");
  }
  Found found;
  each_part(choices.from, "", 0, [&](const fs::path& folder, const std::string& text) {
    std::error_code ignored;
    if (!fs::is_directory(folder / "account", ignored) && !fs::is_directory(folder / "certificate", ignored)) return;
    const std::optional<Error> wrong =
        error_of("reading " + folder.string(), [&] { RealmReader(choices, text, folder, found).read(); });
    if (!wrong) return;
    FoundAccount account;
    account.id = text;
    account.server = choices.server;
    account.wrong = wrong;
    found.accounts.push_back(std::move(account));
  });
  found.end_of_other_renewals = "end the renewals of the program that kept them";
  return found;
}

}  // namespace culmen::cli
