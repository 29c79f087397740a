// Runs an example against a test CA in this process, in an empty folder: run_example PROGRAM.
// Fails unless the example ends well and the CA has issued a certificate that the example printed.
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "culmen/certificate.hpp"
#include "culmen/test_ca.hpp"

extern char** environ;

namespace {

std::uint16_t free_port() {
  const int socket_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(socket_, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  close(socket_);
  return ntohs(address.sin_port);
}

int run(std::vector<std::string> command, const std::filesystem::path& folder) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "output", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::system_error(failed, std::generic_category(), command.front());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw std::invalid_argument("usage: run_example PROGRAM");
  std::string pattern = (std::filesystem::temp_directory_path() / "culmen-example-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::system_error(errno, std::generic_category(), pattern);
  const std::filesystem::path folder = pattern;

  culmen::TestCaOptions options;
  options.http_port = free_port();
  options.resolve = {{"*", "127.0.0.1"}};
  options.root_file = folder / "root.pem";
  culmen::TestCa ca(options);
  ca.start();
  const int exit_code = run({std::filesystem::absolute(argv[1]), ca.directory_url(), "example.test",
                             std::to_string(options.http_port), options.root_file},
                            folder);
  std::ostringstream output;
  output << std::ifstream(folder / "output").rdbuf();
  std::filesystem::remove_all(folder);
  std::cout << output.str();
  if (exit_code != 0) {
    std::cerr << argv[1] << " ended with " << exit_code << '\n';
    return 1;
  }
  const std::vector<std::string> issued = ca.issued();
  if (issued.size() != 1 || culmen::pem_to_der(output.str()).empty() ||
      culmen::pem_to_der(output.str()).front() != culmen::pem_to_der(issued.front()).front()) {
    std::cerr << argv[1] << " did not print the certificate that the CA issued\n";
    return 1;
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
