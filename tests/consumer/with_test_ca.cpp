// The test CA of an installed culmen, and a client of it, in one program.
#include <cstdio>
#include <culmen/blocking/acme_client.hpp>
#include <culmen/test_ca.hpp>
#include <fstream>

int main(int, char** argv) try {
  culmen::TestCaOptions options;
  options.root_file = std::string(argv[0]) + ".root.pem";
  culmen::TestCa ca(options);
  ca.start();
  culmen::ClientOptions client;
  client.transport.extra_root_file = options.root_file.string();
  const culmen::blocking::AcmeClient acme(ca.directory_url(), client);
  std::printf("new orders go to %s\n", acme.directory().new_order.c_str());
  return 0;
} catch (const culmen::Error& error) {
  std::printf("%s\n", error.what());
  return 1;
}
