#include "storage/system_error.hpp"

#include <cerrno>
#include <system_error>

#include "culmen/error.hpp"

namespace culmen::storage {

namespace {

/// What to do about it; empty if that is not known.
std::string advice_for(int code, const std::string& if_missing) {
  switch (code) {
    case ENOENT: return if_missing;
    case EACCES:
    case EPERM: return "the user of this process needs the right to do that";
    case EMFILE: return "this process has too many files open: raise its limit (ulimit -n), or close some";
    case ENFILE: return "the system has too many files open: raise its limit (fs.file-max), or end programs";
    case ENOSPC: return "make room on its file system, inodes included";
    case EDQUOT: return "raise the quota, or remove files";
    case EROFS: return "mount its file system for writing";
    case ENOTDIR: return "a part of the path is a file: move it away, or give another path";
    default: return {};
  }
}

}  // namespace

void throw_errno(const std::string& doing, const std::string& step, const std::string& if_missing) {
  const std::error_code code(errno, std::generic_category());
  std::string detail = step + ": " + code.message();
  if (const std::string advice = advice_for(code.value(), if_missing); !advice.empty()) detail += "; " + advice;
  throw Error(Errc::io_failed, doing, detail).with_system_code(code);
}

}  // namespace culmen::storage
