#include "support/unpacked_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace server_test {

namespace {

std::filesystem::path folder_of(const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(CULMEN_SERVERS) / name;
  // ctest looks for this text to count the test as skipped. Where tools/get-servers.sh fails, it does not run the test.
  if (!exists(folder / "program")) {
    throw std::runtime_error("no unpacked server to be had: tools/get-servers.sh has to unpack " + name + " first");
  }
  return folder;
}

}  // namespace

std::filesystem::path unpacked_program(const std::string& name) { return canonical(folder_of(name) / "program"); }

std::string unpacked_libraries(const std::string& name) {
  return "LD_LIBRARY_PATH=" + (folder_of(name) / "libraries").string();
}

std::unique_ptr<cli_test::Process> start(const std::string& name, const std::vector<std::string>& arguments,
                                         const std::function<bool()>& ready) {
  std::vector<std::string> command = {unpacked_program(name).string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto process = std::make_unique<cli_test::Process>(command, std::vector<std::string>{unpacked_libraries(name)});
  if (!cli_test::eventually([&] { return ready() || !process->running(); }) || !process->running()) {
    throw std::runtime_error(name + " did not start: " + process->out() + process->err());
  }
  return process;
}

bool is_listening(const std::string& address, std::uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  const bool connected = inet_pton(AF_INET, address.c_str(), &where.sin_addr) == 1 &&
                         connect(descriptor, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
  close(descriptor);
  return connected;
}

}  // namespace server_test
