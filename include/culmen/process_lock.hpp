// A lock between processes of this host.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

namespace culmen::cli {

/// Holds a file locked; the kernel frees it when the process ends, however it ends. The file stays. Also keeps
/// threads of one process apart.
class ProcessLock {
 public:
  /// nullopt: another one holds it. Makes the file, and notes this process in it. Throws Error (io_failed).
  static std::optional<ProcessLock> take(const std::filesystem::path& file);
  /// The process that holds it, as far as the file says; 0: it does not say.
  static pid_t holder(const std::filesystem::path& file);

  ProcessLock(ProcessLock&& other) noexcept;
  ProcessLock& operator=(ProcessLock&& other) noexcept;
  ~ProcessLock();

 private:
  explicit ProcessLock(int file) : file_(file) {}
  int file_;
};

}  // namespace culmen::cli
