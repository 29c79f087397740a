#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"
#include "culmen/persist.hpp"
#include "storage/durable_files.hpp"
#include "storage/pair.hpp"
#include "storage/system_error.hpp"

namespace culmen {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_file_name = 200;  // less than what any file system takes, with room for what is added
constexpr int lock_tries = 3000;                // of lock_pause each: half a minute
constexpr unsigned lock_pause_microseconds = 10000;

void require_folder(const fs::path& folder) {
  struct stat found {};
  const std::string doing = "using the store in " + folder.string();
  if (::stat(folder.c_str(), &found) != 0)
    storage::throw_errno(doing, "the folder cannot be used", storage::make_or_mount);
  if (!S_ISDIR(found.st_mode)) throw Error(Errc::io_failed, doing, "it is not a folder");
}

/// Held by one writer of the store, across threads and processes. The system releases it when the process ends.
class WriteLock {
 public:
  explicit WriteLock(const fs::path& file)
      : file_(storage::Folder::open(file.parent_path()).open_or_make(file.filename().native())), process_(::getpid()) {
    const std::string doing = "locking " + file.string();
    for (int tries = 0; ::flock(file_.number(), LOCK_EX | LOCK_NB) != 0; ++tries) {
      const int why = errno;
      if ((why == EWOULDBLOCK || why == EINTR) && tries < lock_tries) {
        ::usleep(lock_pause_microseconds);
        continue;
      }
      errno = why;
      storage::throw_errno(doing, "somebody else has been writing to the store for too long");
    }
  }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;
  ~WriteLock() {
    // Closing is not enough: a child that was forked meanwhile has the file open too.
    if (process_ == ::getpid()) ::flock(file_.number(), LOCK_UN);
  }

 private:
  storage::Descriptor file_;
  pid_t process_;
};

using storage::Pair;

Pair read_pair(const fs::path& file) {
  const std::optional<std::string> contents = read_file(file);
  if (!contents) return {};
  std::optional<Pair> pair = storage::pair_of(*contents);
  if (pair) return std::move(*pair);
  throw Error(Errc::io_failed, "reading " + file.string(),
              "it is not as culmen left it: take it away, or bring it back from a backup");
}

/// `text` as a path below `folder`. File systems stop at 255 octets a name; no encoded text has a "+", so the folders
/// that end in one are nobody's file.
fs::path below(fs::path folder, std::string_view text, std::string_view end) {
  for (; text.size() > longest_file_name; text.remove_prefix(longest_file_name)) {
    folder /= std::string(text.substr(0, longest_file_name)) + "+";
  }
  return folder / (std::string(text) + std::string(end));
}

fs::path realm_folder(const fs::path& folder, const PersistKey& key) {
  const std::string text = key.to_string();
  return below(folder, std::string_view(text).substr(0, text.find('/')), "");
}

/// For one change of one file of the store: holds the lock as long as it lives.
class PersistChange {
 public:
  PersistChange(const fs::path& folder, const PersistKey& key, fs::path file)
      : file_(std::move(file)), lock_(prepared(folder, key)) {
    storage::make_folders(folder, file_.parent_path());
    remove_unfinished_files(file_.parent_path(), std::chrono::seconds(0));  // the lock is ours: nobody writes them now
  }
  void write(std::string_view contents) const { storage::write_owners_file(file_, contents, 0600); }
  void remove() const {
    const storage::Folder folder = storage::Folder::open(file_.parent_path());
    storage::remove_file(folder, file_.filename().native());
    storage::sync_folder(folder.descriptor(), "removing " + file_.string());
  }

 private:
  static fs::path prepared(const fs::path& folder, const PersistKey& key) {
    require_folder(folder);
    const fs::path realm = realm_folder(folder, key);
    storage::make_folders(folder, realm);
    return realm / ".lock";
  }
  fs::path file_;
  WriteLock lock_;
};

}  // namespace

FilePersist::FilePersist(fs::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) throw Error(Errc::invalid_argument, "opening a store", "the folder has no name");
  folder_ = storage::absolute_path(folder_, "opening a store");
}

fs::path FilePersist::file_of(const PersistKey& key) const {
  const std::string text = key.to_string();
  const fs::path folder =
      realm_folder(folder_, key) / (key.kind == PersistKind::account_key ? "account" : "certificate");
  return below(folder, std::string_view(text).substr(text.rfind('/') + 1), ".pem");
}

void FilePersist::put(const PersistKey& key, std::string_view value) {
  const fs::path file = file_of(key);
  const PersistChange change(folder_, key, file);
  if (key.kind == PersistKind::account_key) return change.write(value);
  Pair pair = read_pair(file);
  (key.kind == PersistKind::private_key ? pair.private_key : pair.certificate) = std::string(value);
  change.write(pair_text(pair));
}

std::optional<std::string> FilePersist::get(const PersistKey& key) {
  require_folder(folder_);
  const fs::path file = file_of(key);
  if (key.kind == PersistKind::account_key) return read_file(file);
  Pair pair = read_pair(file);
  return key.kind == PersistKind::private_key ? std::move(pair.private_key) : std::move(pair.certificate);
}

std::string FilePersist::put_if_absent(const PersistKey& key, std::string_view value) {
  if (key.kind != PersistKind::account_key) return Persist::put_if_absent(key, value);
  const fs::path file = file_of(key);
  const PersistChange change(folder_, key, file);
  std::optional<std::string> stored = read_file(file);
  if (stored && !stored->empty()) return std::move(*stored);
  change.write(value);
  return std::string(value);
}

void FilePersist::erase(const PersistKey& key) {
  if (key.kind != PersistKind::account_key) return Persist::erase(key);
  PersistChange(folder_, key, file_of(key)).remove();
}

void FilePersist::put_certificate(const std::string& realm, const std::string& name,
                                  const PersistedCertificate& stored) {
  const PersistKey key(realm, PersistKind::certificate, name);
  const PersistChange change(folder_, key, file_of(key));
  Pair pair;
  pair.private_key = stored.private_key;
  pair.certificate = stored.certificate;
  change.write(pair_text(pair));
}

std::optional<PersistedCertificate> FilePersist::get_certificate(const std::string& realm, const std::string& name) {
  require_folder(folder_);
  Pair pair = read_pair(file_of(PersistKey(realm, PersistKind::certificate, name)));
  if (!pair.private_key || !pair.certificate) return std::nullopt;
  return PersistedCertificate(std::move(*pair.private_key), std::move(*pair.certificate));
}

}  // namespace culmen
