#include "culmen/persist.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using test::mode_of;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

PersistKey certificate_of(const std::string& name, const std::string& realm = "ops@example.com") {
  return {realm, PersistKind::certificate, name};
}
PersistKey key_of(const std::string& name, const std::string& realm = "ops@example.com") {
  return {realm, PersistKind::private_key, name};
}
PersistKey account_of(const std::string& name, const std::string& realm = "ops@example.com") {
  return {realm, PersistKind::account_key, name};
}

/// Names that a store could take for each other.
const std::vector<std::string> odd_names = {
    "a.b", "a_b", "A.b", "a-b", "a/b", "a%2fb", "a b",  "",    "%",        "%25", ".",
    "..",  ".a",  "a.",  "*.a", "a+b", "a\\b",  "a\nb", "a:b", "\xc3\xa9", "a~b", std::string("a\0b", 3)};

/// A store as users write them: put() and get() alone.
class OwnStore : public Persist {
 public:
  void put(const PersistKey& key, std::string_view value) override {
    puts.push_back(key.to_string() + "=" + std::string(value));
  }
  std::optional<std::string> get(const PersistKey& key) override {
    for (const std::string& put : puts) {
      if (put.starts_with(key.to_string() + "=")) return put.substr(put.find('=') + 1);
    }
    return std::nullopt;
  }
  std::vector<std::string> puts;
};

void keeps_what_it_is_given(Persist& store, Persist& copy) {
  CHECK(store.get(account_of("account")) == std::nullopt);
  store.put(account_of("account"), "first");
  CHECK(copy.get(account_of("account")) == "first");
  copy.put(account_of("account"), "second");
  CHECK(store.get(account_of("account")) == "second");
  store.put(account_of("account"), "");
  CHECK(store.get(account_of("account")) == "");

  // Each half by itself, then both.
  const std::string octets = std::string("\0\xff\r\n 7 -\n", 10);
  CHECK(store.get_certificate("ops@example.com", "example.com") == std::nullopt);
  store.put(certificate_of("example.com"), "certificate");
  CHECK(store.get(key_of("example.com")) == std::nullopt);
  CHECK(store.get_certificate("ops@example.com", "example.com") == std::nullopt);
  store.put(key_of("example.com"), octets);
  CHECK(store.get(certificate_of("example.com")) == "certificate");
  CHECK(store.get(key_of("example.com")) == octets);
  CHECK(copy.get_certificate("ops@example.com", "example.com") == PersistedCertificate(octets, "certificate"));
  store.put_certificate("ops@example.com", "example.com", PersistedCertificate("new key", "new certificate"));
  CHECK(copy.get(key_of("example.com")) == "new key");
  CHECK(copy.get(certificate_of("example.com")) == "new certificate");
  store.put_certificate("ops@example.com", "example.com", PersistedCertificate("", ""));
  CHECK(store.get_certificate("ops@example.com", "example.com") == PersistedCertificate("", ""));
}

void keeps_odd_names_apart(Persist& store) {
  std::vector<std::string> names = odd_names;
  for (const std::size_t length : {199, 200, 201, 260, 1000}) names.emplace_back(length, 'x');
  names.push_back(std::string(196, 'x') + ".pem");
  names.push_back(std::string(196, 'x') + ".pemx");
  int value = 0;
  for (const std::string& realm : names) {
    for (const PersistKey& key : {account_of("name", realm), certificate_of("name", realm), key_of("name", realm),
                                  account_of(realm, "name"), certificate_of(realm, "name"), key_of(realm, "name")}) {
      if (realm == "name") continue;
      store.put(key, std::to_string(value++));
    }
  }
  value = 0;
  for (const std::string& realm : names) {
    for (const PersistKey& key : {account_of("name", realm), certificate_of("name", realm), key_of("name", realm),
                                  account_of(realm, "name"), certificate_of(realm, "name"), key_of(realm, "name")}) {
      CAPTURE(key.to_string());
      CHECK(store.get(key) == std::to_string(value++));
    }
  }
}

}  // namespace

TEST_CASE("a persistence key's text is what it was") {
  // These texts are in people's stores: they never change.
  CHECK(certificate_of("example.com").to_string() == "ops@example.com/certificate/example.com");
  CHECK(key_of("*.example.com").to_string() == "ops@example.com/private_key/%2a.example.com");
  CHECK(account_of("account", "Big Corp").to_string() == "%42ig%20%43orp/account_key/account");
  CHECK(account_of("account/pending", "").to_string() == "%/account_key/account%2fpending");
  CHECK(key_of("..", "a_b").to_string() == "a_b/private_key/%2e.");
  CHECK(key_of("%", "\xc3\xa9").to_string() == "%c3%a9/private_key/%25");
}

TEST_CASE("each persistence key has a text of its own, and the text gives the key back") {
  std::set<std::string> texts;
  std::size_t keys = 0;
  for (const std::string& realm : odd_names) {
    for (const std::string& name : odd_names) {
      for (const PersistKey& key : {account_of(name, realm), certificate_of(name, realm), key_of(name, realm)}) {
        ++keys;
        const std::string text = key.to_string();
        texts.insert(text);
        CHECK(PersistKey::parse(text) == key);
        for (const char c : text) CHECK_FALSE((c >= 'A' && c <= 'Z'));  // nor is one the other in upper case
      }
    }
  }
  CHECK(texts.size() == keys);
}

TEST_CASE("a text that no persistence key has is refused") {
  for (const std::string text :
       {"", "a", "a/b", "a/certificate", "a/certificate/", "/certificate/a", "a/certificate/b/c", "a/Certificate/b",
        "A/certificate/b", "a/certificate/%2A", "a/certificate/%61", "a/certificate/%2", "a/certificate/%zz",
        "a/certificate/.b", "a/certificate/b c"}) {
    CAPTURE(text);
    CHECK(contains(thrown_by([&] { return PersistKey::parse(text); }), "invalid_argument"));
  }
}

TEST_CASE("a store in memory keeps what it is given, copies are the same store") {
  MemoryPersist store;
  MemoryPersist copy = store;
  keeps_what_it_is_given(store, copy);
  keeps_odd_names_apart(store);
  MemoryPersist other;
  CHECK(other.get(certificate_of("a.b")) == std::nullopt);
}

TEST_CASE("a store in files keeps what it is given, copies are the same store") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  FilePersist copy = store;
  keeps_what_it_is_given(store, copy);
  keeps_odd_names_apart(store);
  CHECK(FilePersist(folder.path().string() + "/").get(certificate_of("a.b", "name")) ==
        store.get(certificate_of("a.b", "name")));
}

TEST_CASE("a store that keeps nothing") {
  NoPersist store;
  store.put(account_of("account"), "key");
  store.put_certificate("realm", "name", PersistedCertificate("key", "certificate"));
  CHECK(store.get(account_of("account")) == std::nullopt);
  CHECK(store.get_certificate("realm", "name") == std::nullopt);
}

TEST_CASE("a store of one's own gets the key first, then the certificate") {
  OwnStore store;
  store.put_certificate("r", "n", PersistedCertificate("key", "chain"));
  CHECK(store.puts == std::vector<std::string>{"r/private_key/n=key", "r/certificate/n=chain"});
  CHECK(store.get_certificate("r", "n") == PersistedCertificate("key", "chain"));
  store.puts.pop_back();
  CHECK(store.get_certificate("r", "n") == std::nullopt);
}

TEST_CASE("files are where the documentation says, for their owner alone") {
  const TemporaryFolder folder;
  const mode_t old_mask = ::umask(0);
  FilePersist store(folder.path());
  store.put(account_of("account"), "key");
  store.put_certificate("ops@example.com", "*.example.com", PersistedCertificate("KEY\n", "CHAIN\n"));
  ::umask(old_mask);
  const fs::path realm = folder.path() / "ops@example.com";
  CHECK(read_file(realm / "account" / "account.pem") == "key");
  CHECK(read_file(realm / "certificate" / "%2a.example.com.pem") == "culmen-pair 1 4 6\nKEY\nCHAIN\n");
  CHECK(store.file_of(key_of("*.example.com")) == realm / "certificate" / "%2a.example.com.pem");
  CHECK(store.file_of(key_of("*.example.com")) == store.file_of(certificate_of("*.example.com")));
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    CAPTURE(entry.path());
    CHECK(mode_of(entry.path()) == (entry.is_directory() ? 0700u : 0600u));
  }
}

TEST_CASE("what cannot be read is an error, and not none") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  fs::create_directories(store.file_of(account_of("account")));
  CHECK(contains(thrown_by([&] { return store.get(account_of("account")); }), "io_failed"));
  fs::create_directories(store.file_of(certificate_of("a")));
  CHECK(contains(thrown_by([&] { return store.get(certificate_of("a")); }), "io_failed"));
  CHECK(contains(thrown_by([&] { return store.get(key_of("a")); }), "io_failed"));
  CHECK(contains(thrown_by([&] { return store.get_certificate("ops@example.com", "a"); }), "io_failed"));
  // A file where a folder should be.
  folder.write("realm", "");
  CHECK(contains(thrown_by([&] { return store.get(account_of("account", "realm")); }), "io_failed"));
  CHECK(contains(thrown_by([&] { return store.put(account_of("account", "realm"), "key"), 0; }), "io_failed"));
}

TEST_CASE("a file that may not be read is an error, and not none") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  store.put(account_of("account"), "key");
  fs::permissions(folder.path(), fs::perms::owner_all | fs::perms::others_exec);
  const uid_t user = ::geteuid();
  if (user == 0)
    REQUIRE(::seteuid(65534) == 0);  // no mode stops root
  else
    fs::permissions(store.file_of(account_of("account")), fs::perms::none);
  const std::string thrown = thrown_by([&] { return store.get(account_of("account")); });
  if (user == 0) REQUIRE(::seteuid(0) == 0);
  CHECK(contains(thrown, "io_failed"));
  CHECK(contains(thrown, "Permission denied"));
}

TEST_CASE("a folder that is not there is an error, and not an empty store") {
  const TemporaryFolder folder;
  FilePersist store(folder.path() / "not mounted");
  CHECK(contains(thrown_by([&] { return store.get(account_of("account")); }), "make it, or mount it"));
  CHECK(contains(thrown_by([&] { return store.get_certificate("r", "n"); }), "make it, or mount it"));
  CHECK(contains(thrown_by([&] { return store.put(account_of("account"), "key"), 0; }), "make it, or mount it"));
  CHECK(contains(thrown_by([] { return FilePersist(""); }), "invalid_argument"));
}

TEST_CASE("a file that is not as culmen left it is an error, and is not written over by half a change") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  store.put_certificate("r", "n", PersistedCertificate("KEY", "CHAIN"));
  const fs::path file = store.file_of(key_of("n", "r"));
  const std::string whole = *read_file(file);
  for (const std::string& damaged :
       {std::string(), whole.substr(0, whole.size() - 1), whole + "x", std::string("-----BEGIN"),
        std::string("culmen-pair 2 3 5\nKEYCHAIN"), std::string("culmen-pair 1 3\nKEYCHAIN"),
        std::string("culmen-pair 1 9 -1\nKEYCHAIN"), std::string("culmen-pair 1 99999999999999999999999 5\nKEYCHAIN"),
        std::string("culmen-pair 1 18446744073709551615 9\nKEYCHAIN"), std::string("culmen-pair 1 3x 5\nKEYCHAIN")}) {
    CAPTURE(damaged);
    write_file_atomically(file, damaged, 0600);
    CHECK(contains(thrown_by([&] { return store.get_certificate("r", "n"); }), "not as culmen left it"));
    CHECK(contains(thrown_by([&] { return store.put(key_of("n", "r"), "x"), 0; }), "not as culmen left it"));
    CHECK(read_file(file) == damaged);
  }
  store.put_certificate("r", "n", PersistedCertificate("KEY", "CHAIN"));  // a whole change may replace it
  CHECK(read_file(file) == whole);
}

TEST_CASE("what killed writers have left goes with the next write") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  store.put_certificate("r", "n", PersistedCertificate("KEY", "CHAIN"));
  const fs::path place = store.file_of(key_of("n", "r")).parent_path();
  write_file_atomically(place / ".culmen-1-1.tmp", "half a key", 0600);
  store.put_certificate("r", "n", PersistedCertificate("KEY 2", "CHAIN 2"));
  CHECK_FALSE(fs::exists(place / ".culmen-1-1.tmp"));
  CHECK(store.get(key_of("n", "r")) == "KEY 2");
}

TEST_CASE("readers see a certificate with its own key while others write") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  store.put_certificate("r", "n", PersistedCertificate("0", "0"));
  std::atomic<bool> done = false;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([store, writer]() mutable {
      for (int i = 0; i < 40; ++i) {
        const std::string value(static_cast<std::size_t>(1 + i * 97 + writer), static_cast<char>('a' + writer));
        store.put_certificate("r", "n", PersistedCertificate(value, value));
      }
    });
  }
  std::thread reader([store, &done]() mutable {
    while (!done) {
      const std::optional<PersistedCertificate> stored = store.get_certificate("r", "n");
      REQUIRE(stored);
      REQUIRE(stored->private_key == stored->certificate);
    }
  });
  for (std::thread& writer : writers) writer.join();
  done = true;
  reader.join();
}

TEST_CASE("halves put at the same time are both there afterwards") {
  const TemporaryFolder folder;
  FilePersist store(folder.path());
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i);
    std::thread other([store, name]() mutable { store.put(key_of(name), name); });
    store.put(certificate_of(name), name);
    other.join();
    CHECK(store.get_certificate("ops@example.com", name) == PersistedCertificate(name, name));
  }
}

TEST_CASE("a memory store that was moved from is still the same store") {
  MemoryPersist store;
  MemoryPersist taken = std::move(store);
  taken.put(key_of("example.com"), "secret");
  CHECK(store.get(key_of("example.com")) == "secret");
}

TEST_CASE("what root stores in the folder of another user is that user's") {
  if (::geteuid() != 0) return;  // only root can give files away
  constexpr uid_t user = 65534;
  const TemporaryFolder folder;
  REQUIRE(::chown(folder.path().c_str(), user, 12345) == 0);
  FilePersist store(folder.path());
  store.put(account_of("account"), "key");
  store.put_certificate("r", "n", PersistedCertificate("key", "certificate"));
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    struct stat found {};
    CAPTURE(entry.path().string());
    REQUIRE(::stat(entry.path().c_str(), &found) == 0);
    CHECK(found.st_uid == user);
    CHECK(found.st_gid == 12345);
    ++count;
  }
  CHECK(count == 8);
}
