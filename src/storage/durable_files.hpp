// All operations on files that have to last: folders whose links are trusted, locks, and changes of several files that
// are made as a whole. Errors are thrown: Error (io_failed), with the path.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culmen::storage {

/// An open file, closed with its owner.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  explicit operator bool() const noexcept { return number_ >= 0; }
  int number() const noexcept { return number_; }
  /// Closes now; false and errno when that fails, which is how some file systems report a failed write.
  bool close() noexcept;

 private:
  int number_ = -1;
};

bool write_all(int descriptor, std::string_view contents) noexcept;

/// Makes what happened in a folder last. Some file systems cannot sync a folder, and need not.
void sync_folder(int folder, const std::string& doing);
void sync_folder(const std::filesystem::path& folder, const std::string& doing);
/// Makes what is missing of `folder` below `base`, for the owner alone.
void make_folders(const std::filesystem::path& base, const std::filesystem::path& folder);

// ---- Folders whose links are trusted ----

/// A regular file that was read.
struct FileRead {
  std::string contents;
  struct stat status {};
};

/// An open folder. Names below it are relative paths. A symbolic link on the way is followed only if this user or root
/// owns it; another one is an error. Nothing that is not a regular file is ever waited for.
class Folder {
 public:
  /// Throws unless the folder exists.
  static Folder open(const std::filesystem::path& path);
  /// nullopt if it does not exist. Throws if it is not a folder.
  std::optional<Folder> find(std::string_view name) const;
  /// Makes what is missing, with mode 0700, and makes that last.
  Folder make(std::string_view name) const;

  const std::filesystem::path& path() const noexcept { return path_; }
  int descriptor() const noexcept { return descriptor_.number(); }

  /// nullopt if it does not exist. Throws if it is not a regular file, or larger than 16 MiB.
  std::optional<FileRead> read(std::string_view name) const;
  /// The target of a symbolic link; nullopt if nothing is there. Throws if it is something else.
  std::optional<std::string> read_link(std::string_view name) const;
  /// What is there, without following a last link; nullopt if there is nothing.
  std::optional<struct stat> status(std::string_view name) const;
  /// The names in it, without "." and "..", in no order.
  std::vector<std::string> names() const;
  /// Opens for reading and writing, and makes it with mode 0600 if it is missing.
  Descriptor open_or_make(std::string_view name) const;
  void sync() const;

 private:
  Folder(Descriptor descriptor, std::filesystem::path path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
  Descriptor descriptor_;
  std::filesystem::path path_;
};

/// Makes the folder with mode 0700, and its parents as the umask has it, unless it is there.
void make_store_folder(const std::filesystem::path& folder);
/// Removes a file, if it is there; not synced.
void remove_file(const Folder& folder, const std::string& name);
/// Removes a folder if it is empty; not synced, and no error if it is not.
void remove_if_empty(const Folder& folder, const std::string& name) noexcept;

// ---- What was changed ----

/// A file with the names of what was changed lately, one a line, by which others learn of it.
class ChangeLog {
 public:
  explicit ChangeLog(const Folder& folder);
  /// Adds lines. An empty one means that anything may have changed.
  void add(const std::string& lines) const;

  /// Another text after each add(), by one system call.
  static std::string look(const Folder& folder);
  /// The end of the log.
  static std::string cursor(const Folder& folder);
  /// The end of the log, if a line that begins with `prefix` may have been added since `cursor`.
  static std::optional<std::string> changed_since(const Folder& folder, const std::string& cursor,
                                                  const std::string& prefix);

 private:
  Descriptor file_;
};

// ---- Locks ----

/// A lock that is never waited for. Held until it is destroyed; the system releases it when the process ends.
class FileLock {
 public:
  /// nullopt if another holds it. Writes the process id of the holder into the file.
  static std::optional<FileLock> take(const Folder& folder, std::string_view name);
  /// The process id that the last holder wrote; 0 if that is not known.
  static long holder(const Folder& folder, std::string_view name) noexcept;

 private:
  explicit FileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  Descriptor descriptor_;
};

/// Locks the open file for this open file description (F_OFD_SETLK); false if another has it.
bool lock_description(const Descriptor& file, const std::string& doing);

// ---- Changes of several files ----

/// A change of any number of files below a folder: all of it or nothing, also when the process is killed or the machine
/// stops. Everything new is written to .staging/ and synced first. If more than one name changes, a journal with all
/// renames is put in place: from then on the change counts, and whoever finds the journal makes the renames again.
///
/// For who holds the lock of the folder, after recover().
class Change {
 public:
  explicit Change(const Folder& root);
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  ~Change();

  /// A file; its folder must exist. Keeps mode, owner and group of the file that is there; else takes those of `like`,
  /// if there is one; else `mode`, and the owner and group of the process.
  void put_file(const std::string& path, std::string_view contents, mode_t mode, const std::string& like = {});
  /// A symbolic link; its folder must exist.
  void put_link(const std::string& path, const std::string& target);
  /// A whole folder that does not exist yet, or is empty, with its files; `like` is a folder to take mode, owner and
  /// group from, for the folder and for each file of the same name.
  struct NewFile {
    std::string name;
    std::string contents;
    mode_t mode = 0600;
  };
  void put_folder(const std::string& path, const std::vector<NewFile>& files, const std::string& like = {});
  /// A file, a link, or a folder and all that is in it. It need not exist.
  void remove(const std::string& path, bool is_folder = false);

  bool empty() const noexcept { return steps_.empty(); }
  /// `announce` is called once the change counts, before any of it can be seen. Throws: then nothing was changed, or
  /// the journal is in place and the change will be made by recover().
  void commit(const std::function<void()>& announce);

  /// Makes a change that counts and was not finished, and removes what others left unfinished. Returns whether there
  /// was such a change.
  static bool recover(const Folder& root, const std::function<void()>& announce);
  /// Whether a change was not finished: what can be read now is not what counts.
  static bool pending(const Folder& root);

 private:
  struct Step {
    std::string from;  // empty: remove
    std::string to;
    bool is_folder = false;
  };
  std::string staged_name();
  static void write_staged(const Folder& folder, const std::string& name, std::string_view contents, mode_t mode,
                           const std::optional<struct stat>& like, const std::string& doing);
  static void take_after(int file, mode_t mode, const std::optional<struct stat>& like, const std::string& doing);
  Folder folder_of_target(const std::string& path, const std::string& doing) const;
  std::optional<struct stat> model_of(const std::string& path) const;
  static std::string journal_text(const std::vector<Step>& steps);
  static std::vector<Step> journal_steps(const Folder& root);
  static void apply(const Folder& root, const std::vector<Step>& steps);
  static void finish(const Folder& root);

  const Folder& root_;
  Folder staging_;
  unsigned count_ = 0;
  std::vector<Step> steps_;
  bool is_journaled_ = false;
};

}  // namespace culmen::storage
