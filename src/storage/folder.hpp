// Open files, and folders whose links are trusted. Errors are thrown: Error (io_failed), with the path.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culmen::storage {

inline constexpr mode_t private_folder_mode = 0700;
inline constexpr int most_links_followed = 40;  // as Linux does

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

/// What root makes in the folder of another user becomes that user's: else the user's own programs could not use it.
/// Both are descriptors. Nothing happens if another user runs this, or root owns the folder.
void give_to_owner_of(int folder, int made, const std::string& doing);

/// What is left of a file. Throws if that is more than `limit` octets.
std::string read_to_end(const Descriptor& file, std::size_t limit, const std::string& doing);

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
  /// Makes what is missing, with mode 0700, and makes that last. See give_to_owner_of().
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
  /// Opens for reading and writing, and makes it with mode 0600 if it is missing. See give_to_owner_of().
  Descriptor open_or_make(std::string_view name) const;
  void sync() const;

 private:
  Folder(Descriptor descriptor, std::filesystem::path path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
  Descriptor descriptor_;
  std::filesystem::path path_;
};

}  // namespace culmen::storage
