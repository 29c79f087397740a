// certbot's renewal files, as imports read them.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "culmen/error.hpp"
#include "imports/renewal_conf.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const imports::RenewalConf conf = imports::RenewalConf::parse(text, "name.conf");
    const std::string server = conf.text("server");
    const std::vector<std::string> servers = conf.texts("server");
    if (servers.empty() ? !server.empty() : servers.front() != server) std::abort();
    // What is read is a part of the file.
    for (const std::string& value : conf.texts_below("webroot_map")) {
      if (text.find(value) == std::string_view::npos) std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != Errc::io_failed) std::abort();
  }
  return 0;
}
