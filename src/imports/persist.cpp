// What a program keeps with the library's FilePersist (docs/persistence.md), read and never written:
//
//   <realm>/account/account.pem         the account's key
//   <realm>/certificate/<name>.pem      key and chain
#include <algorithm>
#include <system_error>

#include "culmen/persist.hpp"
#include "imports/reading.hpp"

namespace culmen::imports {

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
  RealmReader(const ClientFolder& from, std::string realm_text, fs::path folder, FoundState& found)
      : from_(from), realm_text_(std::move(realm_text)), folder_(std::move(folder)), found_(found) {
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
    account.name = realm_;
    account.server = from_.server;
    const fs::path file = folder_ / "account/account.pem";
    account.wrong = error_of("reading " + file.string(), [&] { account.account.emplace("", read_account_key(file)); });
    found_.accounts.push_back(std::move(account));
  }

  void add_certificate(const fs::path& file, const std::string& text) {
    FoundCertificate certificate;
    certificate.name = text;
    certificate.source = file;
    certificate.server = from_.server;
    certificate.account = realm_;
    bool is_pending = false;
    certificate.wrong = error_of("reading " + file.string(), [&] {
      const PersistKey key = PersistKey::parse(realm_text_ + "/certificate/" + text);
      certificate.name = key.name;
      is_pending = key.name.ends_with("/pending");
      if (is_pending) return;
      FilePersist persist(from_.folder);
      const std::optional<PersistedCertificate> pair = persist.get_certificate(key.realm, key.name);
      if (!pair) throw unreadable(file, "it does not have both a key and a certificate");
      read_pair(certificate, pair->certificate, file, pair->private_key, file);
      renew_as_chosen(certificate, "the program", from_);
    });
    if (!is_pending) found_.certificates.push_back(std::move(certificate));
  }

  const ClientFolder& from_;
  std::string realm_text_;
  fs::path folder_;
  std::string realm_;
  FoundState& found_;
};

}  // namespace

FoundState find_of_persist(const ClientFolder& from) {
  std::error_code failed;
  if (!fs::is_directory(from.folder, failed))
    throw Error(Errc::not_found, "looking for the files of a FilePersist",
                "there is no folder " + from.folder.string());
  FoundState found;
  each_part(from.folder, "", 0, [&](const fs::path& folder, const std::string& text) {
    std::error_code ignored;
    if (!fs::is_directory(folder / "account", ignored) && !fs::is_directory(folder / "certificate", ignored)) return;
    const std::optional<Error> wrong =
        error_of("reading " + folder.string(), [&] { RealmReader(from, text, folder, found).read(); });
    if (!wrong) return;
    FoundAccount account;
    account.name = text;
    account.server = from.server;
    account.wrong = wrong;
    found.accounts.push_back(std::move(account));
  });
  return found;
}

}  // namespace culmen::imports
