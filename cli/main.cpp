// The culmen program.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "command_line.hpp"
#include "commands.hpp"
#include "culmen/version.hpp"
#include "hint.hpp"
#include "interrupt.hpp"
#include "output.hpp"

int main(int argc, char** argv) {
  using namespace culmen::cli;
  // A reader that goes away, and a file that becomes too large, are errors of the call, not the end of the program:
  // challenges are cleaned up.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  // No file may get the number of a stream that is closed; what is written there is noticed as lost.
  for (int stream = 0; stream < 3; ++stream) {
    if (fcntl(stream, F_GETFD) < 0) (void)open("/dev/null", O_RDONLY);
  }
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  // "culmen help issue" is what many type first.
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  const std::string chosen = words.empty() ? std::string() : words.front();
  const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
  remember_for_hints(words);
  Output output(json && chosen != "test-ca");
  if (chosen != "test-ca") cancel_on_interrupt(json);

  int exit_code = exit_ok;
  try {
    CommandLine command_line("culmen", program_description, std::string(culmen::version_text()), exit_code_help);
    // Only the command at hand defines its options: the others cost nothing.
    define_commands(command_line.root(), chosen);
    if (const auto text = command_line.parse(words)) {
      output.print(*text);
      return output.written() ? exit_ok : exit_failed;
    }
    exit_code = command_line.run(output);
  } catch (const Failure& failure) {
    exit_code = output.fail(failure);
  } catch (const culmen::Error& error) {
    exit_code = output.fail(error);
  } catch (const std::exception& error) {
    exit_code = output.fail(Failure(exit_failed, "internal", error.what()));
  }
  // A command that was told to stop has not done what it was asked for, whatever it made of that.
  if (interrupted() && exit_code != exit_ok) exit_code = exit_interrupted;
  output.finish(chosen, exit_code);
  if (exit_code == exit_ok && !output.written()) exit_code = exit_failed;
  return exit_code;
}
