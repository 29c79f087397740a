#include "storage/durable_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <list>
#include <set>
#include <system_error>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/text.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"
#include "storage/system_error.hpp"

namespace culmen {

namespace fs = std::filesystem;

namespace storage {

namespace {

constexpr mode_t mode_bits = 02777;
constexpr const char* staging_name = ".staging";
constexpr const char* journal_name = ".journal";
constexpr int journal_format = 1;

/// The folder that a relative path is in, and its last part.
std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

/// Removes what is there, and all below it. Links are removed, not followed.
void remove_tree(const Folder& folder, const std::string& name) {
  const std::string doing = "removing " + (folder.path() / name).string();
  if (::unlinkat(folder.descriptor(), name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw_errno(doing, "it cannot be removed");
  const std::optional<struct stat> status = folder.status(name);
  if (!status) return;
  if (!S_ISDIR(status->st_mode)) throw_errno(doing, "it cannot be removed");
  {
    const std::optional<Folder> inner = folder.find(name);
    if (!inner) return;
    for (const std::string& below : inner->names()) remove_tree(*inner, below);
  }
  if (::unlinkat(folder.descriptor(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw_errno(doing, "it cannot be removed");
}

/// A link cannot be renamed over a folder: they change places. Also when that was done before. False: it is another
/// case.
bool replaced_folder_by_link(const Folder& root, const std::string& from, const Folder& folder,
                             const std::string& name) {
  const std::optional<struct stat> fresh = root.status(from), there = folder.status(name);
  if (!fresh || !there) return false;
  const bool is_to_do = S_ISLNK(fresh->st_mode) && S_ISDIR(there->st_mode);
  const bool is_done = S_ISDIR(fresh->st_mode) && S_ISLNK(there->st_mode);
  if (is_to_do && ::renameat2(root.descriptor(), from.c_str(), folder.descriptor(), name.c_str(), RENAME_EXCHANGE) != 0)
    throw_errno("putting a link in place of the folder " + (folder.path() / name).string(),
                "they cannot change places");
  if (is_to_do || is_done) remove_tree(root, from);
  return is_to_do || is_done;
}

/// For folders that were just made.
void give_to_parents_owner(const fs::path& made) {
  const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const Descriptor folder(::open(made.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      opened(::open(made.c_str(), how));
  if (folder && opened) give_to_owner_of(folder.number(), opened.number(), "making the folder " + made.string());
}

/// What has to be true before anything is changed, because a rename could not do it.
void require_same_file_system(const Folder& staging, const Folder& target) {
  struct stat one {
  }, other{};
  const std::string doing = "writing to " + target.path().string();
  if (::fstat(staging.descriptor(), &one) != 0 || ::fstat(target.descriptor(), &other) != 0)
    throw_errno(doing, "looking at the folder");
  if (one.st_dev == other.st_dev) return;
  throw Error(Errc::io_failed, doing,
              "it is on another file system than " + staging.path().string() +
                  "; both must be on one, so that a change can be made as a whole: mount the whole state folder");
}

}  // namespace

bool write_all(int descriptor, std::string_view contents) noexcept {
  while (!contents.empty()) {
    const ssize_t written = ::write(descriptor, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void sync_folder(int folder, const std::string& doing) {
  if (::fsync(folder) != 0 && errno != EINVAL && errno != ENOTSUP)
    throw_errno(doing, "the change is made, but syncing the folder failed");
}

void sync_folder(const fs::path& folder, const std::string& doing) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A folder that may be written but not read cannot be opened; the file is in its place all the same.
  if (opened) sync_folder(opened.number(), doing);
}

fs::path absolute_path(const fs::path& path, const std::string& doing) {
  std::error_code failed;
  fs::path absolute = fs::absolute(path, failed);
  if (!failed) return absolute;
  throw Error(Errc::io_failed, doing,
              "the working folder, for " + path.string() + ", cannot be used: " + failed.message())
      .with_system_code(failed);
}

void make_folders(const fs::path& base, const fs::path& folder) {
  fs::path made = base;
  for (const fs::path& part : folder.lexically_relative(base)) {
    const fs::path parent = made;
    made /= part;
    if (::mkdir(made.c_str(), private_folder_mode) == 0) {
      give_to_parents_owner(made);
      sync_folder(parent, "making the folder " + made.string());
    } else if (errno != EEXIST) {
      throw_errno("making the folder " + made.string(), "it cannot be made");
    }
  }
}

void make_store_folder(const fs::path& folder) {
  std::error_code failed;
  if (fs::is_directory(folder, failed)) return;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), failed);
  if (::mkdir(folder.c_str(), private_folder_mode) == 0) {
    give_to_parents_owner(folder);
  } else if (errno != EEXIST) {
    throw_errno("making the folder " + folder.string(), "it cannot be made");
  }
  if (folder.has_parent_path()) sync_folder(folder.parent_path(), "making the folder " + folder.string());
}

void remove_file(const Folder& folder, const std::string& name) {
  if (::unlinkat(folder.descriptor(), name.c_str(), 0) != 0 && errno != ENOENT)
    throw_errno("removing " + (folder.path() / name).string(), "it cannot be removed");
}

void remove_if_empty(const Folder& folder, const std::string& name) noexcept {
  ::unlinkat(folder.descriptor(), name.c_str(), AT_REMOVEDIR);
}

// ---- Change ----

Change::Change(const Folder& root) : root_(root), staging_(root.make(staging_name)) {}

Change::~Change() {
  if (is_journaled_) return;
  try {  // it may contain keys
    for (const std::string& name : staging_.names()) remove_tree(staging_, name);
  } catch (const Error&) {
    // recover() does it later
  }
}

std::string Change::staged_name() { return std::to_string(++count_); }

void Change::write_staged(const Folder& folder, const std::string& name, std::string_view contents, mode_t mode,
                          const std::optional<struct stat>& like, const Folder& target, const std::string& doing) {
  // Closed to everyone else until it has its owner and its mode.
  Descriptor made(
      ::openat(folder.descriptor(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!made) throw_errno(doing, "making a file in " + folder.path().string());
  give_to_owner_of(target.descriptor(), made.number(), doing);
  take_after(made.number(), mode, like, doing);
  if (!write_all(made.number(), contents)) throw_errno(doing, "writing its contents");
  if (::fsync(made.number()) != 0) throw_errno(doing, "syncing its contents");
  if (!made.close()) throw_errno(doing, "closing it");
}

void Change::take_after(int file, mode_t mode, const std::optional<struct stat>& like, const std::string& doing) {
  struct stat own {};
  if (::fstat(file, &own) != 0) throw_errno(doing, "looking at it");
  if (like) {
    mode = like->st_mode & mode_bits;
    const bool differs = like->st_uid != own.st_uid || like->st_gid != own.st_gid;
    // Only root may give files away; a user may choose among its groups.
    if (differs && ::fchown(file, like->st_uid, like->st_gid) != 0 &&
        ::fchown(file, static_cast<uid_t>(-1), like->st_gid) != 0 && like->st_gid != own.st_gid) {
      throw_errno(doing, "giving it to group " + std::to_string(like->st_gid) +
                             ", as the file before; run as root or as a member of that group");
    }
  }
  // Not by the mode of open(): that one the umask cuts.
  if (::fchmod(file, mode) != 0) throw_errno(doing, "setting its mode");
}

void Change::put_file(const std::string& path, std::string_view contents, mode_t mode, const std::string& like) {
  const std::string doing = "writing " + (root_.path() / path).string();
  const Folder folder = folder_of_target(path, doing);
  std::optional<struct stat> model = folder.status(split_path(path).second);
  if (model && S_ISDIR(model->st_mode)) throw Error(Errc::io_failed, doing, "it is a folder; move it away");
  if (model && S_ISLNK(model->st_mode)) model.reset();  // the link is replaced, not what it points to
  if (model && !S_ISREG(model->st_mode))
    throw Error(Errc::io_failed, doing, "it is not a regular file; remove it, or move it away");
  if (!model && !like.empty()) model = model_of(like);
  const std::string staged = staged_name();
  write_staged(staging_, staged, contents, mode, model, folder, doing);
  steps_.push_back({std::string(staging_name) + "/" + staged, path, false});
}

void Change::put_link(const std::string& path, const std::string& target, bool over_folder) {
  const std::string doing = "pointing " + (root_.path() / path).string() + " to " + target;
  const Folder folder = folder_of_target(path, doing);
  const std::optional<struct stat> there = folder.status(split_path(path).second);
  if (there && S_ISDIR(there->st_mode) && !over_folder)
    throw Error(Errc::io_failed, doing, "it is a folder, and must be a symbolic link");
  const std::string staged = staged_name();
  if (::symlinkat(target.c_str(), staging_.descriptor(), staged.c_str()) != 0) throw_errno(doing, "making the link");
  steps_.push_back({std::string(staging_name) + "/" + staged, path, false});
}

void Change::put_folder(const std::string& path, const std::vector<NewFile>& files, const std::string& like) {
  const std::string doing = "writing " + (root_.path() / path).string();
  const Folder parent = folder_of_target(path, doing);
  const std::string staged = staged_name();
  const Folder folder = staging_.make(staged);
  give_to_owner_of(parent.descriptor(), folder.descriptor(), doing);
  for (const NewFile& file : files) {
    std::optional<struct stat> model = like.empty() ? std::nullopt : model_of(like + "/" + file.name);
    // A key that everybody could read was a mistake, and is not made again.
    if (model && file.is_key) model->st_mode &= ~static_cast<mode_t>(S_IRWXO);
    write_staged(folder, file.name, file.contents, file.mode, model, parent, doing + "/" + file.name);
  }
  std::optional<struct stat> model;
  if (!like.empty()) model = root_.status(like);
  if (model && !S_ISDIR(model->st_mode)) model.reset();
  take_after(folder.descriptor(), private_folder_mode, model, doing);
  folder.sync();
  steps_.push_back({std::string(staging_name) + "/" + staged, path, true});
}

void Change::remove(const std::string& path, bool is_folder) { steps_.push_back({"", path, is_folder}); }

Folder Change::folder_of_target(const std::string& path, const std::string& doing) const {
  std::optional<Folder> folder = root_.find(split_path(path).first);
  if (!folder) throw Error(Errc::io_failed, doing, "its folder does not exist");
  require_same_file_system(staging_, *folder);
  return std::move(*folder);
}

std::optional<struct stat> Change::model_of(const std::string& path) const {
  std::optional<struct stat> model;
  if (const std::optional<Folder> folder = root_.find(split_path(path).first))
    model = folder->status(split_path(path).second);
  if (model && !S_ISREG(model->st_mode)) model.reset();
  return model;
}

void Change::commit(const std::function<void()>& announce) {
  if (steps_.empty()) return;
  // Web servers read the links meanwhile: what they lead to comes before them, and goes after them.
  const auto rank = [](const Step& step) { return !step.from.empty() ? 0 : step.is_folder ? 2 : 1; };
  std::stable_sort(steps_.begin(), steps_.end(), [&rank](const Step& a, const Step& b) { return rank(a) < rank(b); });
  const bool is_one_rename = steps_.size() == 1 && !(steps_.front().from.empty() && steps_.front().is_folder);
  if (!is_one_rename) {
    const std::string doing = "writing " + (root_.path() / journal_name).string();
    write_staged(staging_, "journal", journal_text(steps_), 0600, std::nullopt, root_, doing);
    staging_.sync();
    is_journaled_ = true;
    if (::renameat(staging_.descriptor(), "journal", root_.descriptor(), journal_name) != 0) {
      is_journaled_ = false;
      throw_errno(doing, "putting it in its place");
    }
    root_.sync();
  }
  announce();
  apply(root_, steps_);
  if (is_journaled_) finish(root_);
  is_journaled_ = false;
  steps_.clear();
}

bool Change::pending(const Folder& root) { return root.status(journal_name).has_value(); }

bool Change::recover(const Folder& root, const std::function<void()>& announce) {
  const bool found = pending(root);
  if (found) {
    const std::vector<Step> steps = journal_steps(root);
    announce();
    apply(root, steps);
    finish(root);
  }
  if (const std::optional<Folder> staging = root.find(staging_name)) {
    for (const std::string& name : staging->names()) remove_tree(*staging, name);
  }
  return found;
}

void Change::finish(const Folder& root) {
  const std::string doing = "removing " + (root.path() / journal_name).string();
  if (::unlinkat(root.descriptor(), journal_name, 0) != 0 && errno != ENOENT)
    throw_errno(doing, "it cannot be removed");
  // A journal that came back after a crash would undo what was changed since.
  root.sync();
}

std::string Change::journal_text(const std::vector<Step>& steps) {
  boost::json::array list;
  for (const Step& step : steps) {
    boost::json::object one;
    one["from"] = step.from;
    one["to"] = step.to;
    one["folder"] = step.is_folder;
    list.push_back(std::move(one));
  }
  boost::json::object journal;
  journal["format"] = journal_format;
  journal["steps"] = std::move(list);
  return boost::json::serialize(journal) + "\n";
}

std::vector<Change::Step> Change::journal_steps(const Folder& root) {
  const std::string doing = "reading " + (root.path() / journal_name).string();
  const std::optional<FileRead> file = root.read(journal_name);
  std::vector<Step> steps;
  if (!file) return steps;
  try {
    const boost::json::value journal = boost::json::parse(file->contents);
    const std::int64_t format = journal.at("format").as_int64();
    if (format > journal_format)
      throw Error(Errc::io_failed, doing, base::newer_format_text(static_cast<std::uint64_t>(format), journal_format));
    for (const boost::json::value& one : journal.at("steps").as_array()) {
      steps.push_back(
          {std::string(one.at("from").as_string()), std::string(one.at("to").as_string()), one.at("folder").as_bool()});
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    throw Error(Errc::io_failed, doing,
                "it is not a journal of culmen; restore it, or move it away if the files are as they should be");
  }
  return steps;
}

// What was done before is found done: that is why it can be done again.
void Change::apply(const Folder& root, const std::vector<Step>& steps) {
  std::set<std::string> changed;
  for (const Step& step : steps) {
    const auto [parent, name] = split_path(step.to);
    const std::string doing = "changing " + (root.path() / step.to).string();
    const std::optional<Folder> folder = root.find(parent);
    if (!folder && step.from.empty()) continue;
    if (!folder) throw Error(Errc::io_failed, doing, "its folder does not exist any more");
    changed.insert(parent);
    if (step.from.empty()) {
      remove_tree(*folder, name);
      continue;
    }
    if (::renameat(root.descriptor(), step.from.c_str(), folder->descriptor(), name.c_str()) == 0) continue;
    const int failed = errno;
    if (replaced_folder_by_link(root, step.from, *folder, name)) continue;
    errno = failed;
    const bool done = errno == ENOENT && !root.status(step.from) && folder->status(name);
    if (!done) throw_errno(doing, "putting the new one in its place");
  }
  for (const std::string& parent : changed) {
    if (const std::optional<Folder> folder = root.find(parent)) folder->sync();
  }
}

}  // namespace storage

}  // namespace culmen
