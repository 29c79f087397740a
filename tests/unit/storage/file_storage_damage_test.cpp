// A file storage whose files are not as culmen left them.
#include "culmen/file_storage.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "culmen/error.hpp"
#include "support/file_state.hpp"
#include "support/text.hpp"
#include "unit/storage/issuance.hpp"

using namespace culmen;
using namespace culmen::test;

namespace fs = std::filesystem;

TEST_CASE("file storage: damage is named, and never taken for missing") {
  FileState state;
  REQUIRE(state.write(issuance(1)));
  AccountRecord account;
  account.key_pem = key_text(1);
  account.url = "https://ca.example/account/1";
  REQUIRE(state.put(account_key, encode(account)));
  REQUIRE(state.put("scratch/a", "value"));
  const fs::path folder = state / "certificates/a.example", accounts = state / "accounts/ca.example_directory";

  struct Case {
    std::string key;
    fs::path file;
    std::string contents;  // "-": remove it
    std::string message;
  };
  const std::vector<Case> cases = {
      {record_key, folder / "record.json", "{", "record.json: it is not a JSON object"},
      {record_key, folder / "record.json", "", "record.json: it is not a JSON object"},
      {record_key, folder / "record.json", R"({"format":2,"live":1})", "a newer version wrote it; use that one"},
      {record_key, folder / "record.json", R"({"live":"1"})", "its live is not the number"},
      {generation(1), folder / "1/key.pem", "-", "1/key.pem: it is missing"},
      {generation(1), folder / "1/fullchain.pem", "-", "1/fullchain.pem: it is missing"},
      {generation(1), folder / "1/key.pem", "\xff\xfe", "1/key.pem: it is not text"},
      {generation(1), folder / "1/fullchain.pem", "\xff\xfe", "1/fullchain.pem: it is not text"},
      {generation(1), folder / "1/meta.json", "-", "1/meta.json: it is missing"},
      {generation(1), folder / "1/meta.json", "[]", "1/meta.json: it is not a JSON object"},
      {account_key, accounts / "account.key", "-", "account.key: it is missing"},
      {account_key, accounts / "account.key", "", "account.key: it is empty"},
      {account_key, accounts / "account.key", "\xff\xfe", "account.key: it is not text"},
      {account_key, accounts / "account.json", "x", "account.json: it is not a JSON object"},
      {"scratch/a", state / "state/scratch+a", "", "it is not as culmen left it"},
      {"scratch/a", state / "state/scratch+a", "culmen-value 1 ab - - 9\nvalue", "it is not as culmen left it"},
  };
  for (const Case& damaged : cases) {
    CAPTURE(damaged.file.string());
    CAPTURE(damaged.contents);
    const std::string before = file_text(damaged.file);
    const unsigned mode = mode_of(damaged.file);
    fs::remove(damaged.file);
    if (damaged.contents != "-") put_text(damaged.file, damaged.contents);
    CHECK(contains(state.damage(damaged.key), damaged.message));
    Write create(damaged.key, "{}");
    create.expected = Revision();
    const auto refused = state.write({create});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::io_failed);
    // One that is damaged does not hide the others.
    const auto items = state.time.drive(state.storage->list("", "", 100, true));
    REQUIRE(items);
    CHECK(items->size() == 4);
    for (const StoredItem& item : *items) CHECK(item.stored.revision.none() == (item.key == damaged.key));
    put_text(damaged.file, before);
    fs::permissions(damaged.file, static_cast<fs::perms>(mode));
    CHECK(state.damage(damaged.key).empty());
  }

  fs::remove(folder / "live");
  CHECK(contains(state.damage(record_key), "ln -s 1 " + (state / "certificates/a.example/live").string()));
  fs::create_symlink("7", folder / "live");
  CHECK(contains(state.damage(record_key), "points to generation 7, which does not exist"));
  fs::remove(folder / "live");
  fs::create_symlink("../../etc", folder / "live");
  CHECK(contains(state.damage(record_key), "which is not a generation"));
  fs::remove(folder / "live");
  fs::create_directory(folder / "live");
  CHECK(contains(state.damage(record_key), "it is a folder"));
  const auto refused = state.write(issuance(2));
  REQUIRE_FALSE(refused);
  CHECK(contains(refused.error().what(), "it is a folder"));
  CHECK_FALSE(fs::exists(folder / "2"));
  fs::remove(folder / "live");
  fs::create_symlink("1", folder / "live");
  // A damaged record can be replaced by who says so.
  put_text(folder / "record.json", "{");
  CHECK(state.put(record_key, record_text(1)));
  CHECK(state.damage(record_key).empty());
}

TEST_CASE("file storage: a pipe or a device in place of a file is an error, and nobody waits for it") {
  FileState state;
  REQUIRE(state.write(issuance(1)));
  REQUIRE(state.put("scratch/a", "value"));
  for (const std::string& path : {std::string("certificates/a.example/1/key.pem"),
                                  std::string("certificates/a.example/record.json"), std::string("state/scratch+a")}) {
    CAPTURE(path);
    fs::remove(state / path);
    REQUIRE(::mkfifo((state / path).c_str(), 0600) == 0);
  }
  for (const std::string& key : {generation(1), record_key, std::string("scratch/a")}) {
    CHECK(contains(state.damage(key), "not a regular file"));
    const auto refused = state.put(key, key == record_key ? record_text(1) : generation_text(1));
    REQUIRE_FALSE(refused);
    CHECK(contains(refused.error().what(), "not a regular file"));
  }
  fs::remove(state / ".lock");
  REQUIRE(::mkfifo((state / ".lock").c_str(), 0600) == 0);
  CHECK(contains(state.put("scratch/b", "value").error().what(), "not a regular file"));
}

TEST_CASE("file storage: links of other users are not followed, and links are replaced") {
  FileState state;
  const TemporaryFolder elsewhere;
  REQUIRE(state.put("scratch/a", "value"));
  elsewhere.write("mine", file_text(state / "state/scratch+a"));
  fs::remove(state / "state/scratch+a");
  fs::create_symlink(elsewhere / "mine", state / "state/scratch+a");
  CHECK(state.value("scratch/a") == "value");
  REQUIRE(state.put("scratch/a", "other"));
  CHECK_FALSE(fs::is_symlink(state / "state/scratch+a"));
  CHECK(contains(file_text(elsewhere / "mine"), "value"));

  // A folder may be a link; not one of another user.
  fs::rename(state / "state", elsewhere / "state");
  fs::create_directory_symlink(elsewhere / "state", state / "state");
  CHECK(state.value("scratch/a") == "other");
  REQUIRE(state.put("scratch/a", "third"));
  CHECK(state.value("scratch/a") == "third");
  if (::geteuid() != 0) {
    MESSAGE("only root can make links of other users");
    return;
  }
  REQUIRE(::lchown((state / "state").c_str(), 12345, 12345) == 0);
  CHECK(contains(state.damage("scratch/a"), "belongs to user 12345, and is not followed"));
  CHECK_FALSE(state.put("scratch/a", "fourth"));
  fs::remove(state / "state");
  fs::rename(elsewhere / "state", state / "state");
  elsewhere.write("theirs", file_text(state / "state/scratch+a"));
  fs::remove(state / "state/scratch+a");
  fs::create_symlink(elsewhere / "theirs", state / "state/scratch+a");
  REQUIRE(::lchown((state / "state/scratch+a").c_str(), 12345, 12345) == 0);
  CHECK(contains(state.damage("scratch/a"), "belongs to user 12345"));
}

TEST_CASE("file storage: a folder on another file system is refused before anything is done") {
  FileState state;
  struct stat here {
  }, there{};
  if (::stat("/dev/shm", &there) != 0 || ::stat(state.path().c_str(), &here) != 0 || here.st_dev == there.st_dev ||
      ::access("/dev/shm", W_OK) != 0) {
    MESSAGE("there is no other file system to try it with");
    return;
  }
  std::string elsewhere = "/dev/shm/culmen-test-XXXXXX";
  REQUIRE(::mkdtemp(elsewhere.data()));
  fs::create_directory_symlink(elsewhere, state / "certificates");
  std::vector<Write> writes = issuance(1);
  writes.emplace_back("scratch/a", "value");
  const auto refused = state.write(writes);
  REQUIRE_FALSE(refused);
  CHECK(contains(refused.error().what(), "mount the whole state folder"));
  CHECK(state.value("scratch/a").empty());
  CHECK(fs::is_empty(state / ".staging"));
  CHECK(state.put("scratch/a", "value"));
  fs::remove_all(elsewhere);
}
