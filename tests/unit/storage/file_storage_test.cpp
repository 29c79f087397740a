#include "culmen/file_storage.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/json.hpp>

#include "culmen/driver.hpp"
#include "culmen/error.hpp"
#include "support/file_state.hpp"
#include "support/files.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace culmen::test;
using std::chrono::seconds;

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

const std::string record_key = "certificates/a.example/record";
const std::string pending_key = "certificates/a.example/pending";
const std::string account_key = "accounts/ca.example_directory/account";
std::string generation(int number) { return "certificates/a.example/" + std::to_string(number); }

std::vector<Write> issuance(int number) {
  std::vector<Write> writes;
  writes.emplace_back(generation(number), generation_text(number));
  writes.emplace_back(record_key, record_text(number));
  writes.emplace_back(pending_key);
  return writes;
}

json::object object_of(const std::string& text) { return json::parse(text).as_object(); }

/// What is in the folder, but for what culmen needs for itself.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != ".lock" && name != ".changes" && name != ".staging") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("file storage: conforms") {
  const TemporaryFolder folder;
  const fs::path moved = folder.path().string() + ".moved";
  StorageUnderTest subject([&folder] { return file_storage(folder.path()); });
  subject.outage = [&](bool down) { down ? fs::rename(folder.path(), moved) : fs::rename(moved, folder.path()); };
  std::size_t count = 0;
  CHECK(conformance_failures(subject, "", &count) == "");
  CHECK(count == storage_conformance().size());
  CHECK(fs::is_empty(folder.path() / ".staging"));
}

TEST_CASE("file storage: the folder must exist, unless it is to be made") {
  CHECK_THROWS_AS((void)file_storage(""), Error);
  const TemporaryFolder folder;
  VirtualTime time;
  const auto missing = file_storage(folder / "a/b");
  const auto loaded = time.drive(load_one(*missing, "x"));
  REQUIRE_FALSE(loaded);
  CHECK(contains(loaded.error().what(), "make it, or mount it"));
  CHECK(time.drive(write_one(*missing, Write("x", "y"))).error().code() == Errc::io_failed);
  FileStorageOptions options;
  options.make_folder = true;
  const auto made = file_storage(folder / "a/b", options);
  CHECK(time.drive(write_one(*made, Write("x", "y"))));
  CHECK(mode_of(folder / "a/b") == 0700);
  put_text(folder / "file", "");
  CHECK_FALSE(time.drive(load_one(*file_storage(folder / "file"), "x")));
}

TEST_CASE("file storage: a certificate in files, as web servers read them") {
  FileState state;
  PendingOrder order;
  order.order_url = "https://ca.example/order/1";
  order.names = {"a.example"};
  order.key_pem = key_text(1);
  REQUIRE(state.put(pending_key, encode(order)));
  CHECK(file_text(state / "certificates/a.example/pending/key.pem") == key_text(1));
  CHECK(object_of(file_text(state / "certificates/a.example/pending/order.json")).at("url") ==
        "https://ca.example/order/1");
  REQUIRE(state.write(issuance(1)));
  const fs::path live = state / "certificates/a.example/live";
  CHECK(fs::read_symlink(live) == "1");
  CHECK(names_in(state / "certificates/a.example") == Names{"1", "live", "record.json"});
  CHECK(names_in(live) == Names{"cert.pem", "chain.pem", "fullchain.pem", "key.pem", "meta.json"});
  CHECK(file_text(live / "key.pem") == key_text(1));
  CHECK(file_text(live / "fullchain.pem") == chain_text(1));
  CHECK(file_text(live / "cert.pem") + file_text(live / "chain.pem") == chain_text(1));
  CHECK(mode_of(live / "key.pem") == 0600);
  CHECK(mode_of(live / "fullchain.pem") == 0644);
  CHECK(mode_of(state / "certificates/a.example/1") == 0700);
  CHECK(object_of(file_text(live / "meta.json")).at("storage").as_object().contains("revision"));
  CHECK(state.value(generation(1)) == generation_text(1));
  CHECK(object_of(state.value(record_key)) == object_of(record_text(1)));
  REQUIRE(state.write(issuance(2)));
  CHECK(fs::read_symlink(live) == "2");
  CHECK(state.value(generation(1)) == generation_text(1));

  // What could be in use is not removed.
  const auto refused = state.remove(generation(2));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::invalid_argument);
  const auto dangling = state.put(record_key, record_text(3));
  REQUIRE_FALSE(dangling);
  CHECK(dangling.error().code() == Errc::invalid_argument);
  CHECK(contains(dangling.error().what(), "generation 3 does not exist"));
  std::vector<Write> both;
  both.emplace_back(generation(1));
  both.emplace_back(record_key, record_text(1));
  CHECK_FALSE(state.write(both));
  CHECK(state.remove(generation(1)));
  CHECK(names_in(state / "certificates/a.example") == Names{"2", "live", "record.json"});
  both.clear();
  both.emplace_back(generation(2));
  both.emplace_back(record_key);
  CHECK(state.write(both));
  CHECK(names_in(state / "certificates").empty());

  Write expiring(record_key, record_text(0));
  expiring.expires_in = seconds(10);
  CHECK(state.write({expiring}).error().code() == Errc::invalid_argument);
}

TEST_CASE("file storage: an account in files, and its rollover") {
  FileState state;
  AccountRecord account;
  account.key_pem = key_text(1);
  REQUIRE(state.put(account_key, encode(account)));
  const fs::path folder = state / "accounts/ca.example_directory";
  CHECK(names_in(folder) == Names{"account.json", "account.key"});
  CHECK(mode_of(folder) == 0700);
  CHECK(mode_of(folder / "account.key") == 0600);
  account.url = "https://ca.example/account/1";
  account.directory_url = "https://ca.example/directory";
  account.next_key_pem = key_text(2);
  REQUIRE(state.put(account_key, encode(account)));
  CHECK(file_text(folder / "account.key.new") == key_text(2));
  CHECK(state.value(account_key) == encode(account));
  account.key_pem = account.next_key_pem;
  account.next_key_pem.clear();
  REQUIRE(state.put(account_key, encode(account)));
  CHECK(names_in(folder) == Names{"account.json", "account.key"});
  CHECK(file_text(folder / "account.key") == key_text(2));
  CHECK(state.put(account_key, R"({"format":1,"url":"https://ca.example/account/1"})").error().code() ==
        Errc::invalid_argument);
  CHECK(state.remove(account_key));
  CHECK(names_in(state / "accounts").empty());
}

TEST_CASE("file storage: modes, owners and groups last") {
  FileState state;
  REQUIRE(state.write(issuance(1)));
  const fs::path folder = state / "certificates/a.example", first = folder / "1";
  const gid_t group = ::geteuid() == 0 ? 12345 : ::getegid();
  for (const char* name : {"1", "1/key.pem", "1/fullchain.pem"})
    REQUIRE(::chown((folder / name).c_str(), static_cast<uid_t>(-1), group) == 0);
  REQUIRE(::chmod(first.c_str(), 0750) == 0);
  REQUIRE(::chmod((first / "key.pem").c_str(), 0640) == 0);
  REQUIRE(::chmod((folder / "record.json").c_str(), 0604) == 0);
  for (int number = 2; number < 5; ++number) {
    REQUIRE(state.write(issuance(number)));
    const fs::path fresh = folder / std::to_string(number);
    struct stat found {};
    for (const char* name : {".", "key.pem", "fullchain.pem"}) {
      REQUIRE(::stat((fresh / name).c_str(), &found) == 0);
      CHECK(found.st_gid == group);
    }
    CHECK(mode_of(fresh) == 0750);
    CHECK(mode_of(fresh / "key.pem") == 0640);
    CHECK(mode_of(fresh / "fullchain.pem") == 0644);
    CHECK(mode_of(fresh / "meta.json") == 0600);
    CHECK(mode_of(folder / "record.json") == 0604);
  }
  REQUIRE(state.put(generation(4), generation_text(5)));  // replaced in its place
  CHECK(mode_of(folder / "4/key.pem") == 0640);
  CHECK(state.value(generation(4)) == generation_text(5));
}

TEST_CASE("file storage: what others can read or write is reported, once") {
  std::vector<std::string> warnings;
  FileStorageOptions options;
  options.on_warning = [&warnings](const std::string& warning) {
    warnings.push_back(warning);
    throw std::runtime_error("ignored");
  };
  FileState state(options);
  REQUIRE(state.write(issuance(1)));
  CHECK(warnings.empty());
  REQUIRE(::chmod((state / "certificates/a.example/1/key.pem").c_str(), 0644) == 0);
  for (int i = 0; i < 3; ++i) CHECK(state.load(generation(1)));
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "1/key.pem"));
  REQUIRE(::chmod(state.path().c_str(), 0770) == 0);
  for (int i = 0; i < 3; ++i) CHECK(state.load(generation(1)));
  REQUIRE(warnings.size() == 2);
  CHECK(contains(warnings[1], "can write to the state folder"));
}

TEST_CASE("file storage: a state folder of the program is read") {
  FileState state;
  const fs::path folder = state / "certificates/Old";
  const std::string chain = test_data("rfc9773-certificate.pem");
  put_text(folder / "3/key.pem", key_text(3));
  put_text(folder / "3/fullchain.pem", chain);
  put_text(folder / "3/meta.json",
           R"({"server":"https://ca.example/directory","account":"https://ca.example/account/1",)"
           R"("names":["example.com"],"key_type":"ec:P-256","challenge":{"type":"http-01"}})");
  put_text(folder / "3/renewal.json", R"({"next_check":1800000000,"dice":250000})");
  put_text(folder / "4/key.pem", key_text(4));  // of a run that was killed
  fs::create_symlink("3", folder / "live");
  const std::string key = certificate_record_key("Old");

  const std::optional<StoredValue> found = state.load(key).value();
  REQUIRE(found);
  json::object record = object_of(found->value);
  CHECK(record.at("format") == 1);
  CHECK(record.at("live") == 3);
  CHECK(record.at("last_generation") == 4);
  CHECK(record.at("server") == "https://ca.example/directory");
  CHECK(record.at("account") == "https://ca.example/account/1");
  CHECK(record.at("key_type") == "ec:P-256");
  CHECK(record.at("certificate_id") == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  CHECK(record.at("renewal").at("next_check") == 1800000000);
  CHECK(record.at("dice") == 250000);
  CHECK(record.at("not_after").as_int64() >= record.at("not_before").as_int64());
  CHECK(record.at("revoked") == "");
  CHECK(object_of(state.value(generation_key("Old", 3))).at("chain").as_string() == chain);
  CHECK(state.value(generation_key("Old", 4)).empty());
  const auto items = state.time.drive(state.storage->list("certificates/", "", 10, true)).value();
  REQUIRE(items.size() == 2);
  CHECK(items[0].key == generation_key("Old", 3));
  CHECK(items[1].key == key);
  CHECK(items[1].stored.revision == found->revision);

  // Written, then renewed by the program: the link counts, and what only the record knows stays.
  record["spec"] = json::object{{"names", json::array{"example.com"}}};
  record["of_a_newer_version"] = 1;
  Write write(key, json::serialize(record));
  write.expected = found->revision;
  REQUIRE(state.write({write}));
  CHECK(object_of(state.value(key)) == record);
  CHECK(object_of(file_text(folder / "record.json")).at("of_a_newer_version") == 1);
  fs::copy(folder / "3", folder / "5");
  put_text(folder / "5/meta.json", R"({"server":"https://other.example/","revoked":"2027-01-01T00:00:00Z"})");
  fs::remove(folder / "5/renewal.json");
  fs::remove(folder / "live");
  fs::create_symlink("5", folder / "live");
  const std::optional<StoredValue> renewed = state.load(key).value();
  REQUIRE(renewed);
  const json::object after = object_of(renewed->value);
  CHECK(after.at("live") == 5);
  CHECK(after.at("last_generation") == 5);
  CHECK(after.at("server") == "https://other.example/");
  CHECK(after.at("revoked") == "2027-01-01T00:00:00Z");
  CHECK(after.at("renewal") == json::object());
  CHECK(after.at("spec") == record.at("spec"));
  CHECK(after.at("of_a_newer_version") == 1);
  write.expected = found->revision;
  CHECK(state.write({write}).error().code() == Errc::conflict);
  // Revoked by the program: it says so in meta.json alone.
  write.expected = renewed->revision;
  write.value = record_text(3);
  REQUIRE(state.write({write}));
  CHECK(fs::read_symlink(folder / "live") == "3");
  put_text(folder / "3/meta.json", R"({"revoked":"2027-02-02T00:00:00Z"})");
  CHECK(object_of(state.value(key)).at("revoked") == "2027-02-02T00:00:00Z");
  // A generation that was not finished gives way; one that is old is removed, but for its key.
  Write fresh(generation_key("Old", 4), generation_text(4));
  fresh.expected = Revision();
  CHECK(state.write({fresh}));
  CHECK(state.value(generation_key("Old", 4)) == generation_text(4));
  for (const char* name : {"6", "7"}) put_text(folder / name / "key.pem", key_text(6));
  struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (folder / "6").c_str(), long_ago, 0) == 0);
  REQUIRE(::utimensat(AT_FDCWD, (folder / "7").c_str(), nullptr, 0) == 0);
  REQUIRE(state.put(generation_key("Old", 8), generation_text(8)));
  CHECK(names_in(folder) == Names{"3", "4", "5", "7", "8", "live", "record.json"});
  const auto unused = state.time.drive(state.storage->list("keys/unused/", "", 10, true)).value();
  REQUIRE(unused.size() == 1);
  CHECK(unused[0].stored.value == key_text(6));
}

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
      {record_key, folder / "record.json", R"({"format":2,"live":1})", "a newer version of culmen wrote it"},
      {record_key, folder / "record.json", R"({"live":"1"})", "its live is not the number"},
      {generation(1), folder / "1/key.pem", "-", "1/key.pem: it is missing"},
      {generation(1), folder / "1/fullchain.pem", "-", "1/fullchain.pem: it is missing"},
      {generation(1), folder / "1/meta.json", "-", "1/meta.json: it is missing"},
      {generation(1), folder / "1/meta.json", "[]", "1/meta.json: it is not a JSON object"},
      {account_key, accounts / "account.key", "-", "account.key: it is missing"},
      {account_key, accounts / "account.key", "", "account.key: it is empty"},
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
  CHECK(contains(state.damage(record_key), "ln -s 1 live"));
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

TEST_CASE("file storage: a key without its order is set aside, not overwritten") {
  FileState state;
  put_text(state / "certificates/a.example/pending/key.pem", key_text(1));
  CHECK(state.value(pending_key).empty());
  CHECK(state.damage(pending_key).empty());
  PendingOrder order;
  order.order_url = "https://ca.example/order/1";
  Write create(pending_key, encode(order));
  create.expected = Revision();
  REQUIRE(state.write({create}));
  CHECK(state.value(pending_key) == encode(order));
  CHECK_FALSE(fs::exists(state / "certificates/a.example/pending/key.pem"));
  const auto items = state.time.drive(state.storage->list("keys/unused/", "", 10, true)).value();
  REQUIRE(items.size() == 1);
  CHECK(items[0].stored.value == key_text(1));
  CHECK(contains(file_text(state / items[0].key), key_text(1)));  // PEM for programs that skip a line before it
}

TEST_CASE("file storage: what cannot be read goes with its record, and its key is kept") {
  for (const bool is_folder : {false, true}) {
    CAPTURE(is_folder);
    FileState state;
    REQUIRE(state.write(issuance(1)));
    const fs::path folder = state / "certificates/a.example";
    if (is_folder) {
      fs::remove(folder / "live");
      put_text(folder / "live/key.pem", key_text(4));
    } else {
      put_text(folder / "4/key.pem", key_text(4));
    }
    put_text(folder / "pending/key.pem", key_text(5));
    put_text(folder / "1/meta.json", "{");
    std::vector<Write> removal;
    removal.emplace_back(record_key);
    removal.emplace_back(generation(1));
    REQUIRE(state.write(removal));
    CHECK_FALSE(fs::exists(folder));
    std::vector<std::string> kept;
    for (const StoredItem& item : state.time.drive(state.storage->list("keys/unused/", "", 10, true)).value())
      kept.push_back(item.stored.value);
    std::sort(kept.begin(), kept.end());
    std::vector<std::string> keys{key_text(1), key_text(4), key_text(5)};
    std::sort(keys.begin(), keys.end());
    CHECK(kept == keys);
  }
}

TEST_CASE("file storage: a record goes alone if what is beside it counts, and an empty key is damage") {
  FileState state;
  REQUIRE(state.write(issuance(1)));
  const fs::path folder = state / "certificates/a.example";
  std::ofstream(folder / "1/key.pem", std::ios::trunc).close();
  const auto loaded = state.time.drive(load_one(*state.storage, generation(1)));
  REQUIRE(!loaded);
  CHECK(std::string(loaded.error().what()).find("1/key.pem: it is empty") != std::string::npos);
  std::ofstream(folder / "1/key.pem") << key_text(1);
  std::vector<Write> removal;
  removal.emplace_back(record_key);
  REQUIRE(state.write(removal));
  CHECK(fs::exists(folder / "1/key.pem"));
  CHECK(!fs::exists(folder / "live"));
  CHECK(state.time.drive(state.storage->list("keys/unused/", "", 10, true)).value().empty());
}

TEST_CASE("file storage: who holds the lock for too long is named") {
  FileState state;
  REQUIRE(state.put("scratch/a", "value"));
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    ::close(pipe_ends[1]);
    const int file = ::open((state / ".lock").c_str(), O_RDWR);
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::flock(file, LOCK_EX) != 0 || ::pwrite(file, text.data(), text.size(), 0) < 0) ::_exit(1);
    char end = 0;
    ::mkfifo((state / "ready").c_str(), 0600);
    static_cast<void>(!::read(pipe_ends[0], &end, 1));
    ::_exit(0);
  }
  ::close(pipe_ends[0]);
  while (!fs::exists(state / "ready")) ::usleep(1000);
  const auto begin = state.time.driver.clock().now();
  const auto refused = state.put("scratch/a", "other");
  const auto waited = state.time.driver.clock().now() - begin;
  CHECK(state.value("scratch/a") == "value");  // readers do not need the lock
  ::close(pipe_ends[1]);
  ::waitpid(holder, nullptr, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::io_failed);
  CHECK(contains(refused.error().what(), "process " + std::to_string(holder)));
  CHECK(waited > seconds(30));
  CHECK(waited < seconds(32));
  CHECK(state.put("scratch/a", "third"));
}

TEST_CASE("file storage: a lease ends with its holder, and a silent one is taken over") {
  const TemporaryFolder folder;
  VirtualTime time;
  auto first = file_storage(folder.path()), second = file_storage(folder.path());
  const Lease dead = *time.drive(first->acquire("scratch/a", "first", seconds(60))).value();
  CHECK_FALSE(time.drive(second->acquire("scratch/a", "second", seconds(60))).value());
  first.reset();
  const auto at_once = time.drive(second->acquire("scratch/a", "second", seconds(60))).value();
  REQUIRE(at_once);
  CHECK(at_once->token > dead.token);

  // Renewing keeps it, silence loses it, by the clock of the observer alone.
  first = file_storage(folder.path());
  const auto tries = [&] { return time.drive(first->acquire("scratch/a", "first", seconds(60))).value(); };
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(tries());
    time.pass(seconds(40));
    const auto renewed = time.drive(second->renew({*at_once}, seconds(60))).value();
    CHECK(renewed.front());
  }
  CHECK_FALSE(tries());  // sees the last beat
  time.pass(seconds(65));
  CHECK_FALSE(tries());
  time.pass(seconds(2));
  const auto taken = tries();
  REQUIRE(taken);
  CHECK(taken->token > at_once->token);
  Write late("scratch/a/value", "late");
  late.fence = *at_once;
  CHECK(time.drive(write_one(*second, late)).error().code() == Errc::fenced);
  CHECK_FALSE(time.drive(second->renew({*at_once}, seconds(60))).value().front());
  CHECK(time.drive(second->release(*at_once)));
  CHECK_FALSE(time.drive(second->acquire("scratch/a", "second", seconds(60))).value());
  late.fence = *taken;
  CHECK(time.drive(write_one(*second, late)));
  CHECK(time.drive(first->renew({*taken}, seconds(60))).value().front());
}

TEST_CASE("file storage: descriptors are open for leases alone") {
  const TemporaryFolder folder;
  VirtualTime time;
  const auto storage = file_storage(folder.path());
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  std::vector<Lease> leases;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "scratch/" + std::to_string(i);
    leases.push_back(*time.drive(storage->acquire(name, "test", seconds(60))).value());
    CHECK(time.drive(write_one(*storage, Write(name, "value"))));
    CHECK(time.drive(storage->list("scratch/")));
  }
  CHECK(open_files() == before + 20);
  CHECK(time.drive(storage->renew(leases, seconds(60))));
  for (const Lease& lease : leases) CHECK(time.drive(storage->release(lease)));
  CHECK(open_files() == before);
}

TEST_CASE("file storage: readers never see half of a change") {
  const TemporaryFolder folder;
  const auto storage = file_storage(folder.path());
  const auto both_of = [](const std::string& value) {
    std::vector<Write> writes;
    for (const char* key : {"scratch/a", "scratch/b", "scratch/c"}) writes.emplace_back(key, value);
    return writes;
  };
  REQUIRE(drive_in_real_time(storage->write(both_of("0"))));
  std::atomic<bool> done = false;
  std::atomic<int> halves = 0, reads = 0, failures = 0;
  std::vector<std::thread> readers;
  for (int number = 0; number < 2; ++number) {
    readers.emplace_back([&] {
      const auto reader = file_storage(folder.path());
      while (!done) {
        const auto found = drive_in_real_time(reader->load({"scratch/a", "scratch/b", "scratch/c"}));
        ++reads;
        if (!found) {
          ++failures;
          continue;
        }
        if (!(*found)[0] || !(*found)[1] || !(*found)[2] || (*found)[0]->value != (*found)[1]->value ||
            (*found)[0]->value != (*found)[2]->value)
          ++halves;
      }
    });
  }
  for (int number = 1; number <= 60; ++number)
    REQUIRE(drive_in_real_time(storage->write(both_of(std::to_string(number)))));
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(reads > 0);
  CHECK(failures == 0);
  CHECK(halves == 0);
}

TEST_CASE("file storage: lists are paged over all kinds of keys") {
  FileState state;
  std::vector<std::string> keys;
  for (int number = 0; number < 230; ++number) {
    const std::string key = certificate_record_key("n" + std::to_string(number) + ".example");
    REQUIRE(state.put(key, record_text(0)));
    keys.push_back(key);
  }
  for (const std::string& key : {std::string("a"), std::string("certificates/x/y"), std::string("scratch/a"),
                                 std::string("challenges/http-01/x"), std::string("keys/unused/x")}) {
    REQUIRE(state.put(key, "value"));
    keys.push_back(key);
  }
  put_text(state / "certificates/README", "not a certificate");
  put_text(state / "state/README", "not a value");
  fs::create_directory(state / "certificates/.git");
  std::sort(keys.begin(), keys.end());
  for (const std::size_t limit : {1000, 220, 50, 7}) {
    std::vector<std::string> found;
    std::string after;
    while (true) {
      const auto page = state.time.drive(state.storage->list("", after, limit, false)).value();
      for (const StoredItem& item : page) {
        CHECK_FALSE(item.stored.revision.none());
        found.push_back(item.key);
      }
      if (page.size() < limit) break;
      after = found.back();
    }
    CHECK(found == keys);
  }
  const auto some = state.time.drive(state.storage->list("certificates/n1.example/")).value();
  REQUIRE(some.size() == 1);
  CHECK(some[0].key == "certificates/n1.example/record");
}

TEST_CASE("file storage: changes are noticed by prefix, in other processes, and after the log began anew") {
  FileState state;
  const auto other = file_storage(state.path());
  const auto next = [&](const std::string& cursor) {
    return state.time.drive(other->changed("scratch/a/", cursor, seconds(20))).value();
  };
  std::string cursor = next("");
  CHECK(next(cursor) == cursor);
  REQUIRE(state.put("scratch/a/x", "1"));
  std::string after = next(cursor);
  CHECK(after != cursor);
  CHECK(next(after) == after);
  REQUIRE(state.put("scratch/b/x", "1"));
  REQUIRE(state.put("scratch/a", "1"));
  CHECK(next(after) == after);
  REQUIRE(state.remove("scratch/a/x"));
  cursor = next(after);
  CHECK(cursor != after);
  CHECK(next("from another storage") == cursor);
  // Longer than the log may be: it begins anew, and then anything may have changed.
  {
    std::ofstream log(state / ".changes", std::ios::app);
    for (int number = 0; number < 100000; ++number) log << "scratch/b/x\n";
  }
  CHECK(next(cursor) == cursor);
  REQUIRE(state.put("scratch/b/x", "2"));
  after = next(cursor);
  CHECK(after != cursor);
  CHECK(next(after) == after);
  CHECK(fs::file_size(state / ".changes") < 1000);
}
