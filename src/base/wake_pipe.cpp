#include "base/wake_pipe.hpp"

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "culmen/error.hpp"

namespace culmen::base {

WakePipe::WakePipe() {
  if (::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0) {
    const std::error_code why(errno, std::generic_category());
    throw Error(Errc::io_failed, "preparing for cancellation", "making a pipe: " + why.message()).with_system_code(why);
  }
}

WakePipe::~WakePipe() {
  for (const int end : ends_) ::close(end);
}

void WakePipe::wake() const noexcept {
  const int interrupted = errno;  // a signal handler must leave it as it was
  const char byte = 1;
  while (::write(ends_[1], &byte, 1) < 0 && errno == EINTR) {
  }
  errno = interrupted;
}

void WakePipe::drain() const noexcept {
  std::array<char, 64> bytes;
  while (::read(ends_[0], bytes.data(), bytes.size()) > 0) {
  }
}

}  // namespace culmen::base
