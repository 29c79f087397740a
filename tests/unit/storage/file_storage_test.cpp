#include "culmen/file_storage.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "culmen/error.hpp"
#include "culmen/persist.hpp"
#include "storage/file_locks.hpp"
#include "support/file_state.hpp"
#include "support/text.hpp"
#include "unit/storage/issuance.hpp"

using namespace culmen;
using namespace culmen::test;
using std::chrono::seconds;

namespace fs = std::filesystem;

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

namespace {

/// A child that was forked and has executed nothing, alive until this is destroyed.
class ForkedChild {
 public:
  /// `work` runs in the child.
  explicit ForkedChild(const std::function<void()>& work = {}) {
    int to_child[2], from_child[2];
    REQUIRE(::pipe(to_child) == 0);
    REQUIRE(::pipe(from_child) == 0);
    process_ = ::fork();
    if (process_ == 0) {
      ::close(to_child[1]);
      if (work) work();
      char end = 0;
      static_cast<void>(!::write(from_child[1], &end, 1));
      static_cast<void>(!::read(to_child[0], &end, 1));
      ::_exit(0);
    }
    char begun = 0;
    static_cast<void>(!::read(from_child[0], &begun, 1));
    for (const int end : {to_child[0], from_child[0], from_child[1]}) ::close(end);
    end_ = to_child[1];
  }
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;
  ~ForkedChild() {
    ::close(end_);
    ::waitpid(process_, nullptr, 0);
  }

 private:
  pid_t process_ = 0;
  int end_ = -1;
};

}  // namespace

TEST_CASE("file storage: locks end with the parent's use, while a child that was forked lives") {
  const TemporaryFolder folder;
  const storage::Folder root = storage::Folder::open(folder.path());
  std::optional<storage::FileLock> lock = storage::FileLock::take(root, ".lock");
  REQUIRE(lock);
  {
    const ForkedChild child;
    lock.reset();
    CHECK(storage::FileLock::take(root, ".lock"));
  }
  // The child's copy does not end the parent's lock.
  lock = storage::FileLock::take(root, ".lock");
  REQUIRE(lock);
  {
    const ForkedChild child([&lock] { lock.reset(); });
    CHECK_FALSE(storage::FileLock::take(root, ".lock"));
  }

  VirtualTime time;
  const TemporaryFolder state;
  auto first = file_storage(state.path());
  const auto second = file_storage(state.path());
  const Lease released = *time.drive(first->acquire("scratch/a", "first", seconds(60))).value();
  const Lease kept = *time.drive(first->acquire("scratch/b", "first", seconds(60))).value();
  const ForkedChild child([&first] { first.reset(); });
  CHECK_FALSE(time.drive(second->acquire("scratch/a", "second", seconds(60))).value());
  CHECK(time.drive(first->release(released)));
  CHECK(time.drive(second->acquire("scratch/a", "second", seconds(60))).value());
  CHECK(time.drive(first->renew({kept}, seconds(60))).value().front());
  first.reset();
  CHECK(time.drive(second->acquire("scratch/b", "second", seconds(60))).value());
}

TEST_CASE("file storage: a relative folder is below the working folder of the beginning") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "one/state");
  fs::create_directories(folder / "two/state");
  const fs::path before = fs::current_path();
  fs::current_path(folder / "one");
  const auto storage = file_storage("state");
  FilePersist persist("state");
  fs::current_path(folder / "two");
  VirtualTime time;
  const auto written = time.drive(write_one(*storage, Write("x", "y")));
  persist.put(PersistKey("r", PersistKind::account_key, "a"), "key");
  fs::current_path(before);
  CHECK(written);
  CHECK(fs::is_empty(folder / "two/state"));
  CHECK(fs::exists(folder / "one/state/r/account/a.pem"));
  CHECK(time.drive(load_one(*file_storage(folder / "one/state"), "x")).value());
}

TEST_CASE("file storage: a folder that was there and is gone is an error, and not made again") {
  const TemporaryFolder folder;
  FileStorageOptions options;
  options.make_folder = true;
  const auto storage = file_storage(folder / "state", options);
  VirtualTime time;
  REQUIRE(time.drive(write_one(*storage, Write("x", "y"))));
  fs::rename(folder / "state", folder / "elsewhere");
  const auto loaded = time.drive(load_one(*storage, "x"));
  REQUIRE_FALSE(loaded);
  CHECK(contains(loaded.error().what(), "make it, or mount it"));
  CHECK_FALSE(time.drive(write_one(*storage, Write("x", "z"))));
  CHECK_FALSE(fs::exists(folder / "state"));
  fs::rename(folder / "elsewhere", folder / "state");
  CHECK(time.drive(load_one(*storage, "x")).value());
}

TEST_CASE("file storage: what to do about an error depends on the error") {
  FileState state;
  REQUIRE(state.put("scratch/a", "value"));
  rlimit usual{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
  rlimit none = usual;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::string text = state.damage("scratch/a");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
  CHECK(contains(text, "raise its limit (ulimit -n)"));
  CHECK_FALSE(contains(text, "mount it"));
  put_text(state / "file", "");
  const auto in_file = state.time.drive(load_one(*file_storage(state / "file/below"), "x"));
  REQUIRE_FALSE(in_file);
  CHECK(contains(in_file.error().what(), "a part of the path is a file"));
}
