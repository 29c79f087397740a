// A program that keeps things in a FilePersist is killed wherever that could hurt, and the store is looked at.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "culmen/blocking/directory.hpp"
#include "culmen/certificate.hpp"
#include "culmen/test_ca.hpp"
#include "support/persist_crash.hpp"
#include "support/temporary_folder.hpp"
#include "support/traced_program.hpp"

using namespace culmen;
using test::TemporaryFolder;
using namespace std::chrono_literals;

namespace fs = std::filesystem;

namespace crash_test {
namespace {

/// A persist_writer that has come to the point where it would begin.
class Writer : public test::TracedProgram {
 public:
  Writer(std::vector<std::string> words, How how) : TracedProgram(with_program(std::move(words)), how) {}

 private:
  static std::vector<std::string> with_program(std::vector<std::string> words) {
    words.insert(words.begin(), CULMEN_PERSIST_WRITER);
    return words;
  }
};

std::mt19937& dice() {
  static std::mt19937 generator(20260101);
  return generator;
}
void pause_up_to(std::chrono::microseconds longest) {
  ::usleep(static_cast<useconds_t>(std::uniform_int_distribution<long>(0, longest.count())(dice())));
}

int files_left_over(const fs::path& folder) {
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".tmp") ++count;
  }
  return count;
}

/// A store, what was in it before the writer came, and what the writer writes.
struct Store {
  std::string folder() const { return files.path().string(); }
  std::optional<PersistedCertificate> certificate() { return persist.get_certificate(realm, name); }

  /// The certificate that is there has its key; both are the old ones or the new ones.
  void check_pair(const std::optional<PersistedCertificate>& old, const PersistedCertificate& fresh) {
    const std::optional<PersistedCertificate> found = certificate();
    CHECK((found == old || found == fresh));
    const std::optional<std::string> certificate_alone = persist.get({realm, PersistKind::certificate, name});
    const std::optional<std::string> key_alone = persist.get({realm, PersistKind::private_key, name});
    CHECK(certificate_alone.has_value() == found.has_value());
    CHECK(key_alone.has_value() == found.has_value());
  }

  TemporaryFolder files;
  FilePersist persist{files.path()};
};

/// Kills the writer of `what` at each system call in turn, entering and leaving it. Returns how many it killed.
int kill_at_each_step(const std::string& what, bool something_there) {
  int kills = 0;
  for (int steps = 0;; ++steps) {
    CAPTURE(what);
    CAPTURE(steps);
    Store store;
    if (something_there) {
      store.persist.put(account_key, key_text(1));
      store.persist.put_certificate(realm, name, pair(1));
    }
    const std::optional<PersistedCertificate> old_pair = store.certificate();
    const std::optional<std::string> old_key = store.persist.get(account_key);

    Writer writer({what, store.folder(), "2"}, Writer::How::traced);
    bool ended = false;
    if (writer.may_be_traced()) {
      for (int i = 0; i < steps && !ended; ++i) ended = !writer.step();
    } else {
      MESSAGE("this system does not let tests trace programs: killed at random times instead");
      Writer untraced({what, store.folder(), "2"}, Writer::How::untraced);
      untraced.go();
      pause_up_to(2ms);
      untraced.kill();
      ended = steps == 70;
    }
    writer.kill();
    if (what == "pair") {
      store.check_pair(old_pair, pair(2));
    } else {
      const std::optional<std::string> key = store.persist.get(account_key);
      CHECK((key == old_key || key == key_text(2)));
    }
    if (ended) {
      CHECK((!writer.may_be_traced() || writer.ended_well()));
      CHECK((what == "pair" ? store.certificate() == pair(2) : store.persist.get(account_key) == key_text(2)));
      return kills;
    }
    ++kills;
    store.persist.put(account_key, key_text(3));
    store.persist.put_certificate(realm, name, pair(3));
    CHECK(store.certificate() == pair(3));
    CHECK(files_left_over(store.files.path()) == 0);
  }
}

}  // namespace

TEST_CASE("killed at each system call: old or new, never half, never a certificate without its key") {
  int kills = 0;
  kills += kill_at_each_step("pair", true);
  kills += kill_at_each_step("pair", false);
  kills += kill_at_each_step("account", true);
  kills += kill_at_each_step("account", false);
  MESSAGE(kills, " kills");
  CHECK(kills >= 200);
}

TEST_CASE("killed in the middle of a write") {
  Store store;
  store.persist.put(account_key, key_text(1));
  store.persist.put_certificate(realm, name, pair(1));
  const std::size_t longest = pair(2).private_key.size();
  for (std::size_t limit = 0; limit < longest; limit += longest / 20) {
    for (const std::string what : {"pair", "account"}) {
      Writer writer({what, store.folder(), "2"}, Writer::How::untraced);
      writer.limit_files(limit);
      writer.go();
      writer.end();
      CHECK(writer.was_killed_by(SIGXFSZ));
      CHECK(store.certificate() == pair(1));
      CHECK(store.persist.get(account_key) == key_text(1));
    }
  }
  store.persist.put_certificate(realm, name, pair(3));
  store.persist.put(account_key, key_text(3));
  CHECK(files_left_over(store.files.path()) == 0);
}

TEST_CASE("killed at random: what is there is whole, and never older than what was there") {
  Store store;
  int value = 0;
  for (int kills = 0; kills < 80; ++kills) {
    Writer writer({"loop", store.folder(), std::to_string(value + 1)}, Writer::How::untraced);
    writer.go();
    pause_up_to(15ms);
    writer.kill();
    const std::optional<PersistedCertificate> found = store.certificate();
    const std::optional<std::string> key = store.persist.get(account_key);
    if (found) {
      const int pair_value = value_of(found->certificate);
      REQUIRE(*found == pair(pair_value));
      REQUIRE(pair_value >= value);
      value = pair_value;
    }
    REQUIRE(found.has_value() == (value > 0));
    // The writer puts the key just before the pair.
    if (key) {
      const int key_value = value_of(*key);
      REQUIRE(*key == key_text(key_value));
      REQUIRE((key_value == value || key_value == value + 1));
    }
  }
  CHECK(value > 0);
}

namespace {

/// A CA that believes everything, and a store to get certificates into.
struct Issuance : Store {
  Issuance() : ca(believing()) {
    ca.start();
    root = files.write("root.pem", ca.root_pem());
  }
  static TestCaOptions believing() {
    TestCaOptions options;
    options.skip_validation = true;
    return options;
  }
  std::vector<std::string> words() const { return {"issue", folder(), ca.directory_url(), root}; }
  blocking::AccountHandle account() const {
    ClientOptions options;
    options.transport.extra_root_file = root;
    return blocking::DirectoryHandle::from_url(persist, DirectoryUrl::other(ca.directory_url()), options)
        .account(realm);
  }

  /// After the writer was killed: no key of a certificate that the CA issued is lost, and what is kept belongs
  /// together.
  void check(const std::optional<PersistedCertificate>& before, std::size_t issued_before) {
    const std::optional<PersistedCertificate> found = certificate();
    const blocking::AccountHandle us = account();
    const std::optional<blocking::CertificateWithKey> kept = us.certificate(name);
    CHECK(kept.has_value() == found.has_value());
    const std::vector<std::string> issued = ca.issued();
    if (found != before) {
      REQUIRE(kept);
      REQUIRE(issued.size() > issued_before);
      CHECK(kept->certificate_der() == culmen::Certificate::from_pem(issued.back()).der);
    } else if (issued.size() > issued_before) {
      const std::optional<blocking::CertOrder> unsaved = us.unsaved_order(name);
      REQUIRE(unsaved);
      const blocking::CertificateWithKey saved = unsaved->download_and_save_cert();
      CHECK(saved.certificate_der() == culmen::Certificate::from_pem(issued.back()).der);
      CHECK(us.certificate(name)->private_key() == saved.private_key());
    }
  }

  TestCa ca;
  std::string root;
};

}  // namespace

TEST_CASE("killed at each change of the store while it gets a certificate") {
  for (const bool renewal : {false, true}) {
    for (int steps = 1;; ++steps) {
      CAPTURE(renewal);
      CAPTURE(steps);
      Issuance issuance;
      if (renewal) {
        Writer first(issuance.words(), Writer::How::untraced);
        first.go();
        first.end();
        REQUIRE(first.ended_well());
      }
      const std::optional<PersistedCertificate> before = issuance.certificate();
      const std::size_t issued_before = issuance.ca.issued().size();
      REQUIRE(before.has_value() == renewal);
      Writer writer(issuance.words(), Writer::How::traced);
      bool ended = !writer.may_be_traced();
      for (int i = 0; i < steps && !ended; ++i) ended = !writer.step_to_change();
      writer.kill();
      issuance.check(before, issued_before);
      if (ended) {
        CHECK((!writer.may_be_traced() || (writer.ended_well() && steps > 10)));
        break;
      }
    }
  }
}

TEST_CASE("killed at random while it gets a certificate") {
  for (int kills = 0; kills < 20; ++kills) {
    Issuance issuance;
    Writer writer(issuance.words(), Writer::How::untraced);
    writer.go();
    pause_up_to(500ms);
    writer.kill();
    issuance.check(std::nullopt, 0);
  }
}

}  // namespace crash_test
