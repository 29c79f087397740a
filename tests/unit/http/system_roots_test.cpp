// When the folder of the system's roots does instead of the file with all of them.
#include <doctest/doctest.h>

#include <string>

#include "http/system_roots.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;

TEST_CASE("the folder of the system's roots does when it has as many as the file") {
  test::TemporaryFolder folder;
  const std::string block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const std::string file = folder.write("all.crt", block + block);
  folder.write("0123abcd.0", block);
  folder.write("Some_Root.pem", block);
  folder.write("0123abcd.r0", "a revocation list");
  folder.write("0123ABCD.0", "OpenSSL writes hashes in lower case");
  CHECK_FALSE(http::folder_suffices(file, folder.path()));
  folder.write("0123abcd.1", block);
  CHECK(http::folder_suffices(file, folder.path()));

  CHECK_FALSE(http::folder_suffices(file, folder.path() / "none"));
  CHECK_FALSE(http::folder_suffices(folder.path() / "none", folder.path()));
  CHECK_FALSE(http::folder_suffices(folder.path(), folder.path()));
}

TEST_CASE("whether the folder does is found out once per process") {
  test::TemporaryFolder folder;
  const std::string block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const std::string file = folder.write("all.crt", block);
  folder.write("0123abcd.0", block);
  CHECK(http::folder_is_known_to_suffice(file, folder.path()));
  std::filesystem::remove(folder.path() / "0123abcd.0");
  CHECK(http::folder_is_known_to_suffice(file, folder.path()));
  CHECK_FALSE(http::folder_suffices(file, folder.path()));
}
