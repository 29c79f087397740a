#include "interrupt.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "command.hpp"

namespace culmen::cli {

namespace {

std::atomic<int> signals_seen = 0;
std::atomic<bool> says_json = false, is_hung_up = false;
std::atomic<int> wake_file = -1;

void write_text(int file, const char* text) noexcept {
  [[maybe_unused]] const auto written = write(file, text, strlen(text));
}

void wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_file, &one, sizeof one);
}

extern "C" void on_hangup(int) {
  const int before = errno;
  is_hung_up = true;
  wake();
  errno = before;
}

extern "C" void on_interrupt(int) {
  const int before = errno;
  const int seen = ++signals_seen;
  if (seen < 3) {
    interrupt_token().cancel();
    if (wake_file >= 0) {
      wake();
    } else if (seen == 1) {
      write_text(STDERR_FILENO, "\nculmen: interrupted: cleaning up\n");
    }
    errno = before;
    return;
  }
  write_text(STDERR_FILENO, "\nculmen: interrupted\n");
  if (says_json) {
    write_text(STDOUT_FILENO,
               "{\"ok\":false,\"exit_code\":130,\"error\":{\"code\":\"cancelled\",\"message\":\"interrupted\"}}\n");
  }
  _exit(exit_interrupted);
}

}  // namespace

void cancel_on_interrupt(bool json) {
  says_json = json;
  (void)interrupt_token();  // made before a signal can come
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (signal == SIGHUP && sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

const CancelToken& interrupt_token() {
  // Never destroyed: the handler may run in another thread up to the program's last moment.
  static const CancelToken& token = *new CancelToken;
  return token;
}

bool interrupted() noexcept { return signals_seen.load() > 0; }

void serve_signals(int wake) {
  wake_file = wake;
  struct sigaction action {};
  action.sa_handler = on_hangup;
  sigemptyset(&action.sa_mask);
  sigaction(SIGHUP, &action, nullptr);
}

bool take_hangup() noexcept { return is_hung_up.exchange(false); }

}  // namespace culmen::cli
