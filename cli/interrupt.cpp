#include "interrupt.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "command.hpp"

namespace culmen::cli {

namespace {

std::atomic<blocking::AcmeClient*> client_at_work = nullptr;
std::atomic<int> signals_seen = 0;
std::atomic<bool> says_json = false;

void say(int file, const char* text) noexcept { [[maybe_unused]] const auto written = write(file, text, strlen(text)); }

extern "C" void on_interrupt(int) {
  const int seen = ++signals_seen;
  if (blocking::AcmeClient* client = client_at_work.load(); client && seen < 3) {
    client->cancel();
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

void cancel_on_interrupt(const blocking::AcmeClient& client) {
  // Never destroyed: the handler may run in another thread up to the program's last moment.
  client_at_work = new blocking::AcmeClient(client);
}

}  // namespace culmen::cli
