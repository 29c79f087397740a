#include "host.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "client_options.hpp"
#include "command.hpp"
#include "culmen/file_storage.hpp"
#include "files.hpp"
#include "hint.hpp"
#include "interrupt.hpp"
#include "key_file_accounts.hpp"
#include "live_files.hpp"
#include "nearest.hpp"
#include "output.hpp"
#include "storage_url.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

fs::path settings_file(const fs::path& local, const std::string& id) {
  return local / "deploy" / (storage_part(id) + ".json");
}

std::function<void(const std::string&)> warner(Output& output) {
  return [&output](const std::string& warning) { output.warn(printable(warning)); };
}

const fs::path& folder_of_root() {
  static const fs::path folder = "/var/lib/culmen";
  return folder;
}

/// Whether it is there, also if this user may not look into it.
bool is_folder(const fs::path& folder) {
  std::error_code failed;
  return fs::is_directory(folder, failed) || failed == std::errc::permission_denied;
}

Failure no_folder(const fs::path& folder) {
  std::string advice =
      "Nothing was issued yet? Begin with: culmen issue -d NAME. "
      "If it should be there, see whether its disk is mounted; --dir FOLDER names another one.";
  if (geteuid() != 0 && folder != folder_of_root() && is_folder(folder_of_root()))
    advice = folder_of_root().string() + " is there: run as root (sudo), or give --dir FOLDER.";
  return Failure(exit_failed, "not_found", "there is no state folder " + folder.string(), advice);
}

/// A folder of another user is said to be one, instead of a file in it that could not be opened.
void check_readable(const fs::path& folder) {
  if (access(folder.c_str(), R_OK | X_OK) == 0 || errno != EACCES) return;
  struct stat about {};
  const bool is_roots = stat(folder.c_str(), &about) != 0 || about.st_uid == 0;
  throw Failure(exit_failed, "io_failed", "the state folder " + folder.string() + " may not be read by this user",
                is_roots ? "Run as root (sudo)." : "Run as the user who owns it, or as root.");
}

std::string chosen_url(const StateFlags& flags, const fs::path& folder) {
  check_readable(folder);
  if (!flags.storage.empty()) return flags.storage;
  if (const auto kept = read_json(folder / "local" / "storage.json")) {
    if (const std::string url = kept->text("url"); !url.empty()) return url;
  }
  return "file:" + folder.string();
}

std::shared_ptr<culmen::Storage> opened(const std::string& url, const fs::path& folder, Host::Access access,
                                        Output& output) {
  std::error_code failed;
  if (access == Host::Access::write) {
    make_private_folder(folder);
  } else if (!fs::is_directory(folder, failed)) {
    if (access == Host::Access::if_there) return memory_storage();
    throw no_folder(folder);
  }
  return open_storage(url, access == Host::Access::write, warner(output));
}

std::string advice_on_name(const std::string& id, const std::vector<std::string>& ids, Host::Guess guess) {
  if (ids.empty()) return "There is none at all.";
  // A wildcard is kept under a name that a folder can have.
  if (id.starts_with("*.")) {
    const std::string stored = id_of(CertificateSpec({id}));
    if (std::find(ids.begin(), ids.end(), stored) != ids.end()) return "It is called " + printable(stored) + " here.";
  }
  const std::string near = guess == Host::Guess::nearest ? nearest(id, ids) : std::string();
  if (!near.empty()) return "Did you mean \"" + printable(near) + "\"?";
  constexpr std::size_t most = 10;
  std::string names;
  for (std::size_t i = 0; i < ids.size() && i < most; ++i) names += (i ? ", " : "") + printable(ids[i]);
  if (ids.size() <= most) return "There are: " + names + ".";
  return "There are: " + names + " and " + std::to_string(ids.size() - most) + " more (" + hint("list") + ").";
}

}  // namespace

void add_state_flags(const Command& command, StateFlags& flags) {
  Command other = command;
  add_dir_flag(other, flags.dir);
  other
      .text("--storage URL", flags.storage,
            "Where certificates are kept: file:FOLDER or postgresql://… (default: files in the state folder)")
      .hide_default();
}

std::string checked_id(const std::string& id) {
  const bool characters_fine = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
  if (id.empty() || id.size() > 253 || id.front() == '.' || id.front() == '-' || !characters_fine) {
    throw Failure(exit_usage, "invalid_argument",
                  "\"" + printable(id) +
                      "\" cannot be the name of a certificate: a name has letters, digits, '.', '-', '_' and ':' only, "
                      "and begins with neither '.' nor '-'");
  }
  return id;
}

std::string lease_owner() {
  static const std::string owner = [] {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'l', 'o', 'c', 'a', 'l', '\0'};
    std::random_device device;
    return std::string(host.data()) + ":" + std::to_string(getpid()) + ":" + std::to_string(device());
  }();
  return owner;
}

Host::Host(const StateFlags& flags, Access access, Output& output)
    : folder_(state_folder(flags.dir)),
      url_(chosen_url(flags, folder_)),
      keeps_files_(!folder_of(url_).empty()),
      storage_(opened(url_, folder_, access, output)),
      blocking_(storage_, {}, interrupt_token()),
      files_(keeps_files_ ? nullptr : open_storage("file:" + folder_.string(), false, warner(output))) {}

std::shared_ptr<culmen::Storage> Host::storage_with_account(const std::string& key_file) const {
  return key_file.empty() ? storage_ : with_key_file_account(storage_, key_file);
}

LeaseOptions Host::lease() const {
  LeaseOptions lease;
  lease.owner = lease_owner();
  return lease;
}

culmen::StoredCertificate Host::certificate(const std::string& id, Guess guess) const {
  std::optional<culmen::StoredCertificate> found = run(find_certificate(storage_, id));
  if (found) return std::move(*found);
  std::vector<std::string> ids;
  for (const culmen::StoredCertificate& other : certificates()) ids.push_back(other.id);
  throw Failure(exit_usage, "not_found", "there is no certificate \"" + printable(id) + "\" in " + shown_url(url_),
                advice_on_name(id, ids, guess));
}

std::optional<Settings> Host::settings(const culmen::StoredCertificate& certificate) const {
  // What a database says of a host is not obeyed.
  if (!keeps_files_ && !has_settings(certificate.id)) return std::nullopt;
  Settings settings = settings_to_change(certificate);
  if (settings.spec.names.empty()) return std::nullopt;
  return settings;
}

Settings Host::settings_to_change(const culmen::StoredCertificate& certificate) const {
  std::optional<JsonObject> meta;
  if (certificate.live) meta = JsonObject::parse(certificate.live->meta);
  Settings settings = settings_from_meta(meta ? *meta : JsonObject(), certificate.id);
  if (!keeps_files_) settings.host = HostSettings();
  if (certificate.record.spec) settings.spec = *certificate.record.spec;
  if (const std::optional<JsonObject> kept = read_json(settings_file(local_folder(), certificate.id)))
    settings.host = host_settings_from(*kept);
  return settings;
}

void Host::want(const std::string& id, const CertificateSpec& spec) const {
  CertificateRecord record;
  record.spec = spec;
  Write write(certificate_record_key(id), encode(record));
  write.expected = Revision();
  try {
    blocking_.write_one(std::move(write));
  } catch (const Error& error) {
    if (error.code() != Errc::conflict) throw;  // it is there
  }
}

bool Host::has_settings(const std::string& id) const {
  std::error_code failed;
  return fs::exists(settings_file(local_folder(), id), failed);
}

std::vector<std::string> Host::ids_with_settings() const {
  std::vector<std::string> ids;
  std::error_code failed;
  for (fs::directory_iterator entry(local_folder() / "deploy", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (entry->path().extension() != ".json") continue;
    if (auto id = storage_part_text(entry->path().stem().string())) ids.push_back(std::move(*id));
  }
  return ids;
}

void Host::keep_settings(const std::string& id, const HostSettings& settings) const {
  const fs::path file = settings_file(local_folder(), id);
  make_private_folder(local_folder());
  make_private_folder(file.parent_path());
  JsonObject object = to_json(settings);
  if (const std::optional<JsonObject> before = read_json(file); before && before->serialized() == object.serialized())
    return;
  write_json(file, object);
}

void Host::keep_files(const InstalledCertificate& certificate) const {
  if (!files_) return;
  write_live_files(blocking::Storage(files_, {}, interrupt_token()), certificate);
}

void Host::rename_own(const std::string& from, const std::string& to) const {
  if (files_ && run(find_certificate(files_, from)) && !run(find_certificate(files_, to)))
    run(rename_certificate(files_, from, to, lease()));
  const fs::path file = settings_file(local_folder(), from);
  std::error_code failed;
  if (!fs::exists(file, failed)) return;
  fs::rename(file, settings_file(local_folder(), to), failed);
  if (failed) throw Error(Errc::io_failed, "renaming " + file.string(), failed.message()).with_system_code(failed);
}

void Host::drop_own(const std::string& id) const {
  if (files_ && run(find_certificate(files_, id))) (void)run(remove_certificate(files_, id, lease()));
  std::error_code failed;
  const fs::path file = settings_file(local_folder(), id);
  fs::remove(file, failed);
  if (failed) throw Error(Errc::io_failed, "removing " + file.string(), failed.message()).with_system_code(failed);
}

std::string Host::place() const { return keeps_files_ ? folder_of(url_).string() : shown_url(url_); }

std::string Host::place_of_key(const std::string& key) const {
  const fs::path own = folder_of(url_);
  return own.empty() ? key : (own / key).string();
}

std::string Host::account_key_file(const std::string& directory_url) const {
  const fs::path own = folder_of(url_);
  if (own.empty()) return account_key_of(directory_url);
  return (own / "accounts" / server_slug(directory_url) / "account.key").string();
}

fs::path Host::live_folder(const std::string& id) const {
  const fs::path own = folder_of(url_);
  return certificate_folder(own.empty() ? folder_ : own, id) / "live";
}

}  // namespace culmen::cli
