#include "storage/file_layout.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "culmen/records.hpp"
#include "culmen/storage.hpp"
#include "storage/file_systems.hpp"

using namespace culmen;
using namespace culmen::storage;

namespace {

std::string path_of(const std::string& key) {
  const Place place = place_of(key);
  return place.file.empty() ? place.folder : place.folder + "/" + place.file;
}

}  // namespace

TEST_CASE("file layout: what the program has is found under its key") {
  CHECK(path_of(certificate_record_key("example.com")) == "certificates/example.com");
  CHECK(path_of(certificate_record_key("Foo")) == "certificates/Foo");
  CHECK(path_of(certificate_record_key("_wildcard.example.com")) == "certificates/_wildcard.example.com");
  CHECK(path_of(certificate_record_key("a:b")) == "certificates/a:b");
  CHECK(path_of(certificate_record_key("2001:db8::1")) == "certificates/2001:db8::1");
  CHECK(path_of(pending_order_key("a.b")) == "certificates/a.b/pending");
  CHECK(path_of(generation_key("a.b", 12)) == "certificates/a.b/12");
  CHECK(path_of(account_key_of("https://acme.example/directory")) == "accounts/acme.example_directory");
  CHECK(path_of(account_key_of("https://localhost:14000/Dir")) == "accounts/localhost%3A14000_Dir");
  for (const char* folder : {"example.com", "Foo", "_wildcard.example.com", "a:b", "A", "a"})
    CHECK(path_of("certificates/" + certificate_part(folder).value() + "/record") ==
          "certificates/" + std::string(folder));
  CHECK(path_of("accounts/" + account_part("localhost%3A14000_Dir").value() + "/account") ==
        "accounts/localhost%3A14000_Dir");
}

TEST_CASE("file layout: everything else has a place as well") {
  CHECK(path_of("certificates/a/foo") == "state/certificates+a+foo");
  CHECK(path_of("certificates/a/01") == "state/certificates+a+01");
  CHECK(path_of("certificates/a/0") == "state/certificates+a+0");
  CHECK(path_of("certificates/a/99999999999999999999") == "state/certificates+a+99999999999999999999");
  CHECK(path_of("certificates/a/record/b") == "state/certificates+a+record+b");
  CHECK(path_of("accounts/a") == "state/accounts+a");
  CHECK(path_of("keys/unused/a") == "keys/unused/a");
  CHECK(path_of("keys/unused/a/b") == "state/keys+unused+a+b");
  CHECK(path_of("rates/a/b") == "state/rates+a+b");
  CHECK(path_of("x") == "state/x");
  CHECK(lease_folder("certificates/a") == "leases/certificates+a");
}

TEST_CASE("file layout: different keys have different places, and the place gives the key back") {
  const std::vector<std::string> texts = {"a",
                                          "A",
                                          "a.b",
                                          "a_b",
                                          "a-b",
                                          "-a",
                                          ".a",
                                          "..",
                                          "",
                                          "%",
                                          "%41",
                                          "a%b",
                                          "a:b",
                                          "a b",
                                          "a/b",
                                          "a+b",
                                          "a@b",
                                          "@a",
                                          "a%3ab",
                                          "a\n",
                                          "live",
                                          "record",
                                          "1",
                                          "01",
                                          "a%3Ab",
                                          "@",
                                          "a%2fb",
                                          "+",
                                          "\xff",
                                          "pending",
                                          std::string("\0", 1),
                                          "%2e.",
                                          "a%20b"};
  std::vector<std::string> parts;
  for (const std::string& text : texts) parts.push_back(storage_part(text));
  for (const std::size_t length : {199, 200, 201, 240, 252, 253, 254, 255, 300, 400, 440})
    for (const char* begin : {"", "%41", "@"}) {
      std::string part = begin;
      part.resize(length, 'x');
      parts.push_back(part);
    }
  std::map<std::string, std::string> places;
  std::size_t keys = 0;
  const auto add = [&](const std::string& key) {
    ++keys;
    const Place place = place_of(key);
    std::string where = path_of(key);
    if (place.kind == Place::Kind::record) where += "/record.json";
    CHECK_MESSAGE(places.emplace(where, key).second, key, " and ", places[where], " are both in ", where);
    for (std::size_t begin = 0; begin < where.size();) {
      const std::size_t end = std::min(where.find('/', begin), where.size());
      CHECK(end - begin <= 255);
      CHECK(end > begin);
      begin = end + 1;
    }
    if (place.kind == Place::Kind::other) {
      std::string joined = where.substr(std::string("state/").size());
      for (std::size_t at; (at = joined.find("+/")) != std::string::npos;) joined.erase(at, 2);
      CHECK(other_key(joined) == key);
    }
  };
  for (const std::string& part : parts) {
    for (const char* rest : {"/record", "/pending", "/1", "/2", "/x"}) add("certificates/" + part + rest);
    add("accounts/" + part + "/account");
    add("accounts/" + part);
    add("keys/unused/" + part);
    add("scratch/" + part);
    add("scratch/" + part + "/a");
    add(part);

    Place place = place_of("certificates/" + part + "/record");
    std::string folder = place.folder.substr(std::string("certificates/").size());
    for (std::size_t at; (at = folder.find("+/")) != std::string::npos;) folder.erase(at, 2);
    CHECK(certificate_part(folder) == part);
    place = place_of("accounts/" + part + "/account");
    folder = place.folder.substr(std::string("accounts/").size());
    for (std::size_t at; (at = folder.find("+/")) != std::string::npos;) folder.erase(at, 2);
    CHECK(account_part(folder) == part);
  }
  CHECK(places.size() == keys);
}

TEST_CASE("file layout: files that are not culmen's have no key") {
  for (const char* name : {".staging", "a+", "+a", "a++b", "A", "certificates+a+record"}) CHECK_FALSE(other_key(name));
  CHECK_FALSE(certificate_part(".culmen-1-2.tmp"));
  CHECK_FALSE(certificate_part("a~"));
  CHECK_FALSE(account_part("@A"));
  CHECK_FALSE(account_part("@a"));
  for (const char* text : {"", "0", "01", "-1", "+1", "1 ", "1a", "18446744073709551616"})
    CHECK_FALSE(generation_number(text));
  CHECK(generation_number("18446744073709551615") == 18446744073709551615U);
}

TEST_CASE("file layout: shared file systems without reliable locks are refused") {
  const std::string mounts =
      "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
      "30 22 0:40 / /mnt/a\\040b rw,relatime shared:1 master:2 - nfs server:/a rw,vers=3\n"
      "31 22 0:41 / /mnt/c rw - nfs4 server:/c rw\n"
      "32 22 0:42 / /mnt/d rw - fuse.glusterfs g:/d rw\n";
  CHECK(mount_name(mounts, 8, 1) == "ext4");
  CHECK(mount_name(mounts, 0, 40) == "nfs");
  CHECK(mount_name(mounts, 0, 41) == "nfs4");
  CHECK(mount_name(mounts, 0, 42) == "fuse.glusterfs");
  CHECK(mount_name(mounts, 0, 43) == "");
  CHECK(mount_name("garbage", 0, 43) == "");
  CHECK(refused_file_system(0x6969, "nfs") == "NFSv3");
  CHECK(refused_file_system(0x6969, "") == "NFSv3");
  CHECK(refused_file_system(0x6969, "nfs4") == "");
  CHECK(refused_file_system(0xFF534D42, "") == "SMB");
  CHECK(refused_file_system(0xFE534D42, "") == "SMB");
  CHECK(refused_file_system(0x65735546, "fuse.glusterfs") == "GlusterFS");
  CHECK(refused_file_system(0x65735546, "fuse.sshfs") == "");
  CHECK(refused_file_system(0xEF53, "") == "");
  CHECK(needs_mount_name(0x6969));
  CHECK_FALSE(needs_mount_name(0xEF53));
}
