// Changes a storage in files until it is killed, or until a system call of it fails: what file_storage_crash_test.cpp
// runs.
//
//   storage_writer DIR CHANGE            makes a change of support/storage_crash.hpp, and stops itself before it
//   storage_writer DIR lease             acquires a lease, renews it, and releases it; stops itself before that
//   storage_writer DIR count LEASE FILE  until it is killed: acquires the lease, and adds one to a counter below it,
//                                        and to FILE a line that says what became of that; stops itself before it
//   storage_writer DIR CHANGE N ERRNO    its N-th system call fails; prints how many there were
// Exits with 0 after success, with 3 after an error, which it prints.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <vector>

#include "support/storage_crash.hpp"

using namespace culmen;
using namespace culmen::test;
using std::chrono::seconds;

namespace {

// ---- System calls that fail ----

bool counting = false;
int calls = 0, failing_call = 0, failure = 0;

/// Whether this one fails.
bool fails() {
  if (!counting || ++calls != failing_call) return false;
  errno = failure;
  return true;
}

template <class F>
F* original(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
int openat(int folder, const char* path, int flags, ...) {
  static const auto call = original<int(int, const char*, int, ...)>("openat");
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return fails() ? -1 : call(folder, path, flags, mode);
}
ssize_t read(int file, void* data, size_t size) {
  static const auto call = original<ssize_t(int, void*, size_t)>("read");
  return fails() ? -1 : call(file, data, size);
}
ssize_t write(int file, const void* data, size_t size) {
  static const auto call = original<ssize_t(int, const void*, size_t)>("write");
  return fails() ? -1 : call(file, data, size);
}
ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  static const auto call = original<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return fails() ? -1 : call(file, data, size, offset);
}
int fsync(int file) {
  static const auto call = original<int(int)>("fsync");
  return fails() ? -1 : call(file);
}
int ftruncate(int file, off_t size) noexcept {
  static const auto call = original<int(int, off_t)>("ftruncate");
  return fails() ? -1 : call(file, size);
}
int fchmod(int file, mode_t mode) noexcept {
  static const auto call = original<int(int, mode_t)>("fchmod");
  return fails() ? -1 : call(file, mode);
}
int flock(int file, int operation) noexcept {
  static const auto call = original<int(int, int)>("flock");
  return fails() ? -1 : call(file, operation);
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  static const auto call = original<int(int, const char*, mode_t)>("mkdirat");
  return fails() ? -1 : call(folder, path, mode);
}
int symlinkat(const char* target, int folder, const char* path) noexcept {
  static const auto call = original<int(const char*, int, const char*)>("symlinkat");
  return fails() ? -1 : call(target, folder, path);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  static const auto call = original<int(int, const char*, int, const char*)>("renameat");
  return fails() ? -1 : call(from_folder, from, to_folder, to);
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  static const auto call = original<int(int, const char*, int)>("unlinkat");
  return fails() ? -1 : call(folder, path, flags);
}
}

namespace {

void use_lease(Storage& storage) {
  const auto lease = drive_in_real_time(storage.acquire(storage_crash::lease_name, "writer", seconds(60))).value();
  if (!lease) throw Error(Errc::io_failed, "acquiring", "it is held");
  std::vector<Lease> leases(1, *lease);
  if (!drive_in_real_time(storage.renew(leases, seconds(60))).value().front())
    throw Error(Errc::io_failed, "renewing", "it is lost");
  Write write(storage_crash::lease_name + "/record", record_text(0));
  write.fence = *lease;
  drive_in_real_time(write_one(storage, write)).value();
  drive_in_real_time(storage.release(*lease)).value();
}

[[noreturn]] void count_for_ever(Storage& storage, const std::string& lease_name, const std::string& log_file) {
  const std::string key = lease_name + "/counter", owner = std::to_string(::getpid());
  const int log = ::open(log_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const auto say = [log](const std::string& line) {
    if (::write(log, line.data(), line.size()) < 0) ::_exit(4);
  };
  while (true) {
    const auto lease = drive_in_real_time(storage.acquire(lease_name, owner, seconds(1))).value();
    if (!lease) {
      ::usleep(20000);
      continue;
    }
    for (int i = 0; i < 5; ++i) {
      const auto stored = drive_in_real_time(load_one(storage, key)).value();
      const int next = (stored ? std::stoi(stored->value) : 0) + 1;
      ::usleep(3000);
      Write write(key, std::to_string(next));
      write.fence = *lease;
      const auto written = drive_in_real_time(write_one(storage, write));
      say(written ? "wrote " + std::to_string(next) + "\n" : std::string(to_string(written.error().code())) + "\n");
      if (!written) break;
    }
    drive_in_real_time(storage.release(*lease)).value();
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto storage = file_storage(words.at(0));
  const std::string& what = words.at(1);
  if (what == "count") {
    ::raise(SIGSTOP);
    count_for_ever(*storage, words.at(2), words.at(3));
  }
  if (words.size() == 4) {
    failing_call = std::stoi(words[2]);
    failure = std::stoi(words[3]);
    counting = true;
  } else {
    ::raise(SIGSTOP);
  }
  Result<void> outcome;
  try {
    if (what == "lease") {
      use_lease(*storage);
    } else {
      drive_in_real_time(storage->write(storage_crash::changes().at(what))).value();
    }
  } catch (const Error& error) {
    outcome = error;
  }
  counting = false;
  if (words.size() == 4) std::cout << calls << std::endl;
  if (!outcome) std::cout << to_string(outcome.error().code()) << ": " << outcome.error().what() << std::endl;
  ::_exit(outcome ? 0 : 3);  // no leak checker: it cannot work in a traced process
} catch (const std::exception& error) {
  std::cerr << "storage_writer: " << error.what() << std::endl;
  ::_exit(1);
}
