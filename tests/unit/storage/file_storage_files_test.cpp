// The files of a file storage, as web servers and the program read them.
#include "culmen/file_storage.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "culmen/error.hpp"
#include "support/file_state.hpp"
#include "support/files.hpp"
#include "support/text.hpp"
#include "unit/storage/issuance.hpp"

using namespace culmen;
using namespace culmen::test;
using std::chrono::seconds;

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

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
  // What everybody could read was a mistake, and not one to be repeated with a new key.
  REQUIRE(::chmod((folder / "4/key.pem").c_str(), 0644) == 0);
  REQUIRE(state.write(issuance(5)));
  CHECK(mode_of(folder / "5/key.pem") == 0640);
  CHECK(mode_of(folder / "5/fullchain.pem") == 0644);
  REQUIRE(::chmod((folder / "4/key.pem").c_str(), 0640) == 0);
  REQUIRE(state.put(generation(4), generation_text(5)));  // replaced in its place
  CHECK(mode_of(folder / "4/key.pem") == 0640);
  CHECK(state.value(generation(4)) == generation_text(5));
}

TEST_CASE("file storage: what root makes in the folder of another user is that user's") {
  if (::geteuid() != 0) return;  // only root can give files away
  constexpr uid_t user = 65534;
  constexpr gid_t group = 12345;
  FileStorageOptions options;
  options.make_folder = true;
  const TemporaryFolder home;
  REQUIRE(::chown(home.path().c_str(), user, group) == 0);
  const auto storage = file_storage(home / "state", options);
  VirtualTime time;
  REQUIRE(time.drive(storage->write(issuance(1))));
  REQUIRE(time.drive(write_one(*storage, Write("scratch/a", "value"))));
  AccountRecord account;
  account.key_pem = key_text(1);
  REQUIRE(time.drive(write_one(*storage, Write(account_key, encode(account)))));
  REQUIRE(time.drive(storage->acquire("scratch/b", "root", seconds(60))).value());
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(home.path())) {
    if (entry.is_symlink()) continue;
    struct stat found {};
    CAPTURE(entry.path().string());
    REQUIRE(::stat(entry.path().c_str(), &found) == 0);
    CHECK(found.st_uid == user);
    CHECK(found.st_gid == group);
    ++count;
  }
  CHECK(count > 15);

  // What that user's own process makes there is read by root: a link to what is beside it leads nowhere else.
  const fs::path live = home / "state/certificates/a.example/live";
  REQUIRE(::lchown(live.c_str(), user, group) == 0);
  CHECK(time.drive(storage->load({generation(1)})).value().front().has_value());
  fs::remove(live);
  fs::create_directory_symlink("../a.example/1", live);
  REQUIRE(::lchown(live.c_str(), user, group) == 0);
  CHECK_FALSE(time.drive(storage->load({generation(1), record_key})));
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
