#include "storage/system_error.hpp"

#include <cerrno>
#include <system_error>

#include "culmen/error.hpp"

namespace culmen::storage {

void throw_errno(const std::string& doing, const std::string& step) {
  const std::error_code code(errno, std::generic_category());
  throw Error(Errc::io_failed, doing, step + ": " + code.message()).with_system_code(code);
}

}  // namespace culmen::storage
