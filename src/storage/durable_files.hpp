// All operations that make a change of files last, and changes of several files that are made as a whole. Errors are
// thrown: Error (io_failed), with the path.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/folder.hpp"

namespace culmen::storage {

bool write_all(int descriptor, std::string_view contents) noexcept;

/// Makes what happened in a folder last. Some file systems cannot sync a folder, and need not.
void sync_folder(int folder, const std::string& doing);
void sync_folder(const std::filesystem::path& folder, const std::string& doing);
/// Of a path that is relative to the present working folder, which may change later.
std::filesystem::path absolute_path(const std::filesystem::path& path, const std::string& doing);
/// Makes what is missing of `folder` below `base`, for the owner alone.
void make_folders(const std::filesystem::path& base, const std::filesystem::path& folder);

/// Makes the folder with mode 0700, and its parents as the umask has it, unless it is there.
void make_store_folder(const std::filesystem::path& folder);
/// write_file_atomically(), and see give_to_owner_of().
void write_owners_file(const std::filesystem::path& path, std::string_view contents, unsigned mode);
/// Removes a file, if it is there; not synced.
void remove_file(const Folder& folder, const std::string& name);
/// Removes a folder if it is empty; not synced, and no error if it is not.
void remove_if_empty(const Folder& folder, const std::string& name) noexcept;

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
  /// if there is one; else `mode`, and the owner and group of the process (see give_to_owner_of()).
  void put_file(const std::string& path, std::string_view contents, mode_t mode, const std::string& like = {});
  /// A symbolic link; its folder must exist. `over_folder`: also in place of a folder, which is removed.
  void put_link(const std::string& path, const std::string& target, bool over_folder = false);
  /// A whole folder that does not exist yet, or is empty, with its files; `like` is a folder to take mode, owner and
  /// group from, for the folder and for each file of the same name.
  struct NewFile {
    std::string name;
    std::string contents;
    mode_t mode = 0600;
    bool is_key = false;  ///< Others get no access to it, also if they had some to the one before.
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
                           const std::optional<struct stat>& like, const Folder& target, const std::string& doing);
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
