#include "interrupt.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "command.hpp"

namespace culmen::cli {

namespace {

std::atomic<const CancelToken*> token_in_use = nullptr;
std::atomic<int> signals_seen = 0;
std::atomic<bool> says_json = false;

void say(int file, const char* text) noexcept { [[maybe_unused]] const auto written = write(file, text, strlen(text)); }

extern "C" void on_interrupt(int) {
  const int seen = ++signals_seen;
  if (const CancelToken* token = token_in_use.load(); token && seen < 3) {
    token->cancel();
    if (seen == 1) say(STDERR_FILENO, "\nculmen: interrupted: cleaning up\n");
    return;
  }
  say(STDERR_FILENO, "\nculmen: interrupted\n");
  if (says_json) {
    say(STDOUT_FILENO,
        "{\"ok\":false,\"exit_code\":130,\"error\":{\"code\":\"cancelled\",\"message\":\"interrupted\"}}\n");
  }
  _exit(exit_interrupted);
}

}  // namespace

void exit_on_interrupt(bool json) {
  says_json = json;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

const CancelToken& interrupt_token() {
  // Never destroyed: the handler may run in another thread up to the program's last moment.
  static const CancelToken& token = *new CancelToken;
  return token;
}

void cancel_on_interrupt() { token_in_use = &interrupt_token(); }

}  // namespace culmen::cli
