// Files of certificates that are kept in a database.
#include "culmen/live_files.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "culmen/blocking/storage.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/records.hpp"
#include "support/errors.hpp"
#include "support/faulty_storage.hpp"
#include "unit/deployment/hooked.hpp"

using namespace culmen;
using test::certificate_of;
using test::file_text;
namespace fs = std::filesystem;

namespace {

void write_files(const std::shared_ptr<Storage>& files, const InstalledCertificate& certificate) {
  blocking::Storage(files).run<void>(write_live_files(files, certificate));
}

}  // namespace

TEST_CASE("live files: in one step, with the generation before beside them, and not twice") {
  const test::TemporaryFolder folder;
  const std::shared_ptr<Storage> files = file_storage(folder.path());
  const fs::path live = folder / "certificates/a.example/live";
  const InstalledCertificate first = certificate_of("a.example"), second = certificate_of("a.example"),
                             third = certificate_of("a.example");
  write_files(files, first);
  write_files(files, first);
  CHECK(fs::read_symlink(live) == "1");
  CHECK(file_text(live / "fullchain.pem") == first.chain_pem);
  CHECK(file_text(live / "key.pem") == first.key_pem);
  write_files(files, second);
  CHECK(fs::read_symlink(live) == "2");
  CHECK(file_text(live / "key.pem") == second.key_pem);
  CHECK(file_text(live.parent_path() / "1/key.pem") == first.key_pem);
  write_files(files, third);
  CHECK(fs::read_symlink(live) == "3");
  CHECK(fs::exists(live.parent_path() / "2"));
  CHECK_FALSE(fs::exists(live.parent_path() / "1"));
}

TEST_CASE("live files: what is damaged is replaced") {
  const test::TemporaryFolder folder;
  const std::shared_ptr<Storage> files = file_storage(folder.path());
  const fs::path live = folder / "certificates/a.example/live";
  const InstalledCertificate certificate = certificate_of("a.example");
  write_files(files, certificate);
  std::ofstream(live / "key.pem") << "half";
  write_files(files, certificate);
  CHECK(file_text(live / "key.pem") == certificate.key_pem);
}

TEST_CASE("live files: a chain that cannot be read is an error, and changes nothing") {
  const std::shared_ptr<Storage> files = memory_storage();
  InstalledCertificate certificate = certificate_of("a.example");
  certificate.chain_pem = "no chain";
  CHECK(thrown_by([&] { write_files(files, certificate); }) != "(nothing thrown)");
  CHECK(blocking::Storage(files).list("").empty());
}

TEST_CASE("live files: another process that is faster is no error, unless it always is") {
  int conflicts = 0;
  const std::shared_ptr<Storage> inner = memory_storage();
  const auto files = std::make_shared<test::FaultyStorage>(inner, [&](const test::StorageCall& call) {
    return call.operation == "write" && conflicts-- > 0 ? test::StorageFault::conflict : test::StorageFault::none;
  });
  const InstalledCertificate certificate = certificate_of("a.example");
  conflicts = 3;
  CHECK(contains(thrown_by([&] { write_files(files, certificate); }), "conflict"));
  conflicts = 2;
  write_files(files, certificate);
  CHECK(decode_generation(blocking::Storage(inner).load_one(generation_key("a.example", 1))->value)->key_pem ==
        certificate.key_pem);
}
