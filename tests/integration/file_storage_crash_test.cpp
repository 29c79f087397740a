// A program that changes a storage in files is killed at each of its system calls, or one of them fails, and the
// storage is looked at.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <random>
#include <sstream>

#include "support/run_program.hpp"
#include "support/storage_crash.hpp"
#include "support/text.hpp"
#include "support/traced_program.hpp"

using namespace culmen;
using namespace culmen::test;
using std::chrono::seconds;

namespace fs = std::filesystem;

namespace {

/// Thousands of folders, whose files need not last: in memory where there is such a file system.
const bool uses_memory = ::access("/dev/shm", W_OK | X_OK) == 0 && ::setenv("TMPDIR", "/dev/shm", 1) == 0;

/// All values of a storage, by key.
using Contents = std::map<std::string, std::string>;

Contents contents_of(const fs::path& folder) {
  VirtualTime time;
  Contents contents;
  const auto storage = file_storage(folder);
  const auto items = time.drive(storage->list("", "", 1000, true));
  if (!items) FAIL(items.error().what());
  for (const StoredItem& item : *items) {
    // One that is damaged has no revision.
    CHECK_MESSAGE(!item.stored.revision.none(), item.key, " cannot be read");
    contents[item.key] = item.stored.value;
  }
  return contents;
}

/// A folder with something in it, of which each test has a copy.
class Template {
 public:
  Template() {
    VirtualTime time;
    const auto storage = file_storage(folder_.path());
    time.drive(storage->write(storage_crash::before())).value();
    const auto lease = time.drive(storage->acquire(storage_crash::lease_name, "before", seconds(60))).value();
    token_ = lease->token;
    before_ = contents_of(folder_.path());
  }
  void copy_to(const fs::path& folder) const {
    fs::copy(folder_.path(), folder, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
  const Contents& before() const noexcept { return before_; }
  std::uint64_t token() const noexcept { return token_; }

 private:
  TemporaryFolder folder_;
  Contents before_;
  std::uint64_t token_ = 0;
};

Contents after(const Template& old, const std::string& change) {
  const TemporaryFolder folder;
  old.copy_to(folder / "copy");
  VirtualTime time;
  const auto storage = file_storage(folder / "copy");
  if (change == "lease") {
    time.drive(write_one(*storage, Write(storage_crash::lease_name + "/record", record_text(0)))).value();
  } else {
    time.drive(storage->write(storage_crash::changes().at(change))).value();
  }
  return contents_of(folder / "copy");
}

/// The certificate that web servers read, whatever the journal says: its key belongs to its chain.
void check_live(const fs::path& certificate) {
  std::error_code failed;
  const fs::path live = fs::read_symlink(certificate / "live", failed);
  if (failed) return;
  const std::string generation =
      file_text(certificate / live / "key.pem") + file_text(certificate / live / "fullchain.pem");
  bool is_whole = false;
  for (int number = 1; number <= 3; ++number)
    is_whole = is_whole || generation == key_text(number) + chain_text(number);
  CHECK(is_whole);
}

std::vector<fs::path> litter(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().parent_path().filename() == ".staging" || name == ".journal" || name.ends_with(".tmp"))
      found.push_back(entry.path());
  }
  return found;
}

/// Old or new, by a process that comes later; and it works.
void check_folder(const fs::path& folder, const Contents& old, const Contents& fresh) {
  check_live(folder / storage_crash::certificate);
  check_live(folder / "certificates/new.example");
  const Contents found = contents_of(folder);
  CHECK((found == old || found == fresh));
  VirtualTime time;
  const auto storage = file_storage(folder);
  CHECK(time.drive(write_one(*storage, Write("scratch/later", "value"))));
  Contents later = found;
  later["scratch/later"] = "value";
  CHECK(contents_of(folder) == later);
  CHECK(litter(folder).empty());
}

/// Whoever comes after a dead holder gets the lease at once, with a token that was never given out.
void check_lease(const fs::path& folder, std::uint64_t old_token) {
  VirtualTime time;
  const auto storage = file_storage(folder);
  const auto lease = time.drive(storage->acquire(storage_crash::lease_name, "test", seconds(60)));
  if (!lease) FAIL(lease.error().what());
  REQUIRE(*lease);
  CHECK((*lease)->token > old_token);
}

/// A third of them, or all.
enum class Part { first, second, third, all };
std::vector<std::string> changes_of(Part part) {
  std::vector<std::string> names;
  for (const auto& [name, writes] : storage_crash::changes()) names.push_back(name);
  names.push_back("lease");
  if (part == Part::all) return names;
  std::vector<std::string> some;
  for (std::size_t i = static_cast<std::size_t>(part); i < names.size(); i += 3) some.push_back(names[i]);
  return some;
}

/// Kills the writer at each system call in turn, entering and leaving it. Returns how many it killed.
int kill_at_each_step(const Template& old, const std::string& change) {
  const Contents fresh = after(old, change);
  int kills = 0;
  for (int steps = 0;; ++steps) {
    CAPTURE(change);
    CAPTURE(steps);
    const TemporaryFolder folder;
    const fs::path copy = folder / "copy";
    old.copy_to(copy);
    TracedProgram writer({CULMEN_STORAGE_WRITER, copy.string(), change}, TracedProgram::How::traced);
    if (!writer.may_be_traced()) {
      MESSAGE("this system does not let tests trace programs");
      return 0;
    }
    bool ended = false;
    for (int i = 0; i < steps && !ended; ++i) ended = !writer.step();
    writer.kill();
    if (change == "lease") check_lease(copy, old.token());
    check_folder(copy, old.before(), fresh);
    if (ended) {
      CHECK(writer.ended_well());
      Contents found = contents_of(copy);
      found.erase("scratch/later");
      CHECK(found == fresh);
      return kills;
    }
    ++kills;
  }
}

void kill_at_each_step(Part part) {
  const Template old;
  int kills = 0;
  for (const std::string& change : changes_of(part)) {
    const int killed = kill_at_each_step(old, change);
    MESSAGE(change, ": ", killed, " kills");
    kills += killed;
  }
  MESSAGE(kills, " kills");
}

void fail_each_call(Part part) {
  const Template old;
  int failures = 0, unclear = 0;
  for (const std::string& change : changes_of(part)) {
    const Contents fresh = after(old, change);
    for (int call = 1;; ++call) {
      const int codes[] = {ENOSPC, EIO, EMFILE};
      const int code = codes[(call + change.size()) % 3];
      CAPTURE(change);
      CAPTURE(code);
      CAPTURE(call);
      const TemporaryFolder folder;
      const fs::path copy = folder / "copy";
      old.copy_to(copy);
      const ProgramRun run = run_program(std::string(CULMEN_STORAGE_WRITER) + " '" + copy.string() + "' '" + change +
                                         "' " + std::to_string(call) + " " + std::to_string(code));
      INFO(run.output);
      REQUIRE((run.status == 0 || run.status == 3));
      const Contents found = contents_of(copy);
      if (run.status == 0) CHECK(found == fresh);
      if (run.status == 3) {
        CHECK(contains(run.output, "io_failed: "));
        CHECK((contains(run.output, copy.string()) || contains(run.output, storage_crash::lease_name)));
        unclear += found == fresh;
      }
      if (change == "lease") check_lease(copy, old.token());
      check_folder(copy, old.before(), fresh);
      if (std::stoi(run.output) < call) break;
      ++failures;
    }
  }
  MESSAGE(failures, " failures, ", unclear, " of them after the change was made");
  CHECK(failures > 200);
}

}  // namespace

// In parts, so that they can run side by side.
TEST_CASE("file storage: killed at each system call: old or new, never half, 1 of 3") {
  kill_at_each_step(Part::first);
}
TEST_CASE("file storage: killed at each system call: old or new, never half, 2 of 3") {
  kill_at_each_step(Part::second);
}
TEST_CASE("file storage: killed at each system call: old or new, never half, 3 of 3") {
  kill_at_each_step(Part::third);
}

TEST_CASE("file storage: each system call fails: old or new, and an error that names the folder, 1 of 3") {
  fail_each_call(Part::first);
}
TEST_CASE("file storage: each system call fails: old or new, and an error that names the folder, 2 of 3") {
  fail_each_call(Part::second);
}
TEST_CASE("file storage: each system call fails: old or new, and an error that names the folder, 3 of 3") {
  fail_each_call(Part::third);
}

TEST_CASE("file storage: killed at random, what is there is whole") {
  const Template old;
  std::mt19937 dice(20261127);
  const std::vector<std::string> names = changes_of(Part::all);
  std::map<std::string, Contents> fresh;
  for (const std::string& name : names) fresh[name] = after(old, name);
  for (int kills = 0; kills < 60; ++kills) {
    const std::string& change = names[dice() % names.size()];
    CAPTURE(change);
    const TemporaryFolder folder;
    const fs::path copy = folder / "copy";
    old.copy_to(copy);
    TracedProgram writer({CULMEN_STORAGE_WRITER, copy.string(), change}, TracedProgram::How::untraced);
    writer.go();
    ::usleep(static_cast<useconds_t>(dice() % 20000));
    writer.kill();
    if (change == "lease") check_lease(copy, old.token());
    check_folder(copy, old.before(), fresh[change]);
  }
}

namespace {

/// Three processes that add to one counter, under one lease.
class Counters {
 public:
  Counters() {
    for (int i = 0; i < 3; ++i) start();
    wait_until_above(0);
  }
  int counter() const {
    const auto stored = drive_in_real_time(load_one(*file_storage(store()), lease_ + "/counter"));
    if (!stored) FAIL(stored.error().what());
    return *stored ? std::stoi((*stored)->value) : 0;
  }
  /// Somebody gets on, in the end.
  void wait_until_above(int value) const {
    for (int tries = 0; counter() <= value; ++tries) {
      REQUIRE(tries < 6000);
      ::usleep(10000);
    }
  }
  /// How many lines of what they say begin so.
  int said(const std::string& begin) const {
    std::istringstream lines(file_text(log()));
    int count = 0;
    for (std::string line; std::getline(lines, line);) count += line.starts_with(begin);
    return count;
  }
  std::vector<int> written() const {
    std::istringstream words(file_text(log()));
    std::vector<int> numbers;
    for (std::string word; words >> word;) {
      if (word == "wrote" && words >> word) numbers.push_back(std::stoi(word));
    }
    return numbers;
  }
  void kill_and_replace(std::size_t victim) {
    writers_[victim]->kill();
    writers_.erase(writers_.begin() + static_cast<std::ptrdiff_t>(victim));
    start();
  }
  /// Stops the one that has the lease, until another has taken it over.
  void stop_the_holder() {
    const std::string owner = file_text(store() / "leases/scratch+chaos/lease.json");
    for (const auto& writer : writers_) {
      if (!contains(owner, "\"" + std::to_string(writer->process()) + "\"")) continue;
      writer->send(SIGSTOP);
      if (lock_becomes_free()) wait_until_above(counter() + 5);
      writer->go();
      return;
    }
  }
  void kill_all() { writers_.clear(); }

 private:
  fs::path store() const { return folder_.path(); }
  std::string log() const { return logs_ / "log"; }
  void start() {
    writers_.push_back(std::make_unique<TracedProgram>(
        std::vector<std::string>{CULMEN_STORAGE_WRITER, store().string(), "count", lease_, log()},
        TracedProgram::How::untraced));
    writers_.back()->go();
  }
  /// A process that was stopped inside a change blocks the others until it goes on: that is how it should be.
  bool lock_becomes_free() const {
    const int file = ::open((store() / ".lock").c_str(), O_RDWR | O_CLOEXEC);
    bool is_free = false;
    for (int tries = 0; tries < 500 && !is_free; ++tries) {
      is_free = ::flock(file, LOCK_EX | LOCK_NB) == 0;
      if (!is_free) ::usleep(1000);
    }
    ::close(file);
    return is_free;
  }

  const std::string lease_ = "scratch/chaos";
  TemporaryFolder folder_, logs_;
  std::vector<std::unique_ptr<TracedProgram>> writers_;
};

}  // namespace

TEST_CASE("file storage: three processes, killed and stopped: every late write is refused, every other one counts") {
  Counters counters;
  std::mt19937 dice(7);
  int kills = 0, stops = 0;
  for (; kills < 10; ++kills) {
    ::usleep(static_cast<useconds_t>(dice() % 50000));
    counters.kill_and_replace(dice() % 3);
    counters.wait_until_above(counters.counter());
  }
  for (; stops < 100 && counters.said("fenced") < 4; ++stops) counters.stop_the_holder();
  counters.kill_all();
  const int end = counters.counter();
  std::vector<int> written = counters.written();
  std::sort(written.begin(), written.end());
  CHECK(counters.said("fenced") >= 4);
  CHECK(std::adjacent_find(written.begin(), written.end()) == written.end());  // none was lost to another
  CHECK(written.back() <= end);
  // Who was killed had perhaps no time to say that it wrote.
  CHECK(static_cast<int>(written.size()) >= end - kills - 3);
  MESSAGE("the counter is at ", end, ", ", written.size(), " writes were reported, ", counters.said("fenced"),
          " late ones were refused; ", kills, " kills, ", stops, " stops");
}
