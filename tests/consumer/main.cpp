// Ten lines that use an installed culmen: key, CSR, HTTPS client. Nothing answers at that port, and culmen has to say
// so.
#include <cstdio>
#include <culmen/blocking/acme_client.hpp>
#include <culmen/csr.hpp>

int main() try {
  const auto key = culmen::PrivateKey::generate("ec:P-256");
  const auto names = culmen::csr_identifiers(culmen::build_csr(std::vector<std::string>{"example.com"}, key));
  std::printf("a CSR for %zu name\n", names.size());
  culmen::blocking::AcmeClient("https://127.0.0.1:1/directory");
  return 1;
} catch (const culmen::Error& error) {
  std::printf("%s\n", error.what());
  return error.code() == culmen::Errc::connection_failed ? 0 : 1;
}
