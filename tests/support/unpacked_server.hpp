// Servers of the distribution, as tools/get-servers.sh unpacked them; each runs as a process of the test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/culmen_program.hpp"

namespace server_test {

/// The program of a server, with what is beside it, and the variable with its libraries.
std::filesystem::path unpacked_program(const std::string& name);
std::string unpacked_libraries(const std::string& name);

/// Runs `name` with these arguments, and waits until `ready` holds. Throws if it ends before, with what it said.
std::unique_ptr<cli_test::Process> start(const std::string& name, const std::vector<std::string>& arguments,
                                         const std::function<bool()>& ready);
/// Whether something listens at that IPv4 address.
bool is_listening(const std::string& address, std::uint16_t port);

}  // namespace server_test
