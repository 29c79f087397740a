// A lock between processes of this host.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

namespace culmen {

/// Holds a file locked; the kernel frees it when the process ends, however it ends. The file stays. Also keeps
/// threads of one process apart. Can be moved, then the moved-from one holds nothing.
class ProcessLock {
 public:
  /// nullopt: another one holds it. Makes the file, and notes this process in it; root makes it for the owner of the
  /// folder. Does not wait. Throws Error (io_failed).
  static std::optional<ProcessLock> take(const std::filesystem::path& file);
  /// The process that holds it, as far as the file says; 0: it does not say. Throws Error (io_failed).
  static int holder(const std::filesystem::path& file);

  ProcessLock(ProcessLock&& other) noexcept;
  ProcessLock& operator=(ProcessLock&& other) noexcept;
  ~ProcessLock();

 private:
  struct File;
  explicit ProcessLock(std::unique_ptr<File> file) noexcept;
  std::unique_ptr<File> file_;
};

}  // namespace culmen
