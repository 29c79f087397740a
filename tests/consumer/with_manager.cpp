// A manager of an installed culmen, with its storage in files: the second run finds what the first one has stored.
#include <cstdio>
#include <culmen/file_storage.hpp>
#include <culmen/manager.hpp>
#include <culmen/test_ca.hpp>
#include <filesystem>
#include <stdexcept>

int main(int, char** argv) try {
  const std::string root_file = std::string(argv[0]) + ".root.pem";
  const std::filesystem::path folder = std::string(argv[0]) + ".state";
  std::filesystem::remove_all(folder);
  culmen::TestCaOptions ca_options;
  ca_options.root_file = root_file;
  ca_options.validate = [](const culmen::TestCaValidation&) { return std::optional<std::string>(); };
  culmen::TestCa ca(ca_options);
  ca.start();

  std::size_t issued = 0;
  for (int run = 0; run < 2; ++run) {
    culmen::FileStorageOptions files;
    files.make_folder = true;
    culmen::ManagerOptions options;
    options.names = {"www.example.test"};
    options.agree_tos = true;
    options.storage = culmen::file_storage(folder, files);
    options.cas = {{.directory = ca.directory_url()}};
    options.client.transport.extra_root_file = root_file;
    culmen::Manager manager(options);
    issued += manager.run_once().issued.size();
    if (!manager.current("www.example.test")) throw std::runtime_error("there is no certificate");
  }
  std::printf("%zu certificate issued in two runs\n", issued);
  return issued == 1 ? 0 : 1;
} catch (const std::exception& error) {
  std::printf("%s\n", error.what());
  return 1;
}
