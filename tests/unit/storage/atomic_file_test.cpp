#include "culmen/atomic_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

#include "culmen/error.hpp"
#include "support/temporary_folder.hpp"

namespace culmen {
namespace {

namespace fs = std::filesystem;
using test::mode_of;

/// A folder of the test's own that every user may write to.
class Folder : public test::TemporaryFolder {
 public:
  Folder() { fs::permissions(path(), fs::perms::all); }
};

/// Tests may run as root, whom no mode stops.
class WithoutRoot {
 public:
  WithoutRoot() : user_(::geteuid()) {
    if (user_ == 0) REQUIRE(::seteuid(65534) == 0);
  }
  WithoutRoot(const WithoutRoot&) = delete;
  WithoutRoot& operator=(const WithoutRoot&) = delete;
  ~WithoutRoot() {
    if (user_ == 0 && ::seteuid(0) != 0) std::abort();
  }

 private:
  uid_t user_;
};

class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t octets) : old_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_) == 0);
    rlimit fresh = old_;
    fresh.rlim_cur = octets;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &fresh) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

using Names = std::vector<std::string>;

/// What is thrown; the test fails when nothing is.
Error failure(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.code() == Errc::io_failed);
    CHECK(error.kind() == ErrorKind::io);
    return error;
  }
  FAIL("nothing was thrown");
  std::abort();
}

bool says(const Error& error, const std::string& words) {
  return std::string(error.what()).find(words) != std::string::npos;
}

TEST_CASE("write_file_atomically: a new file, a replaced file, an empty file") {
  const Folder folder;
  const std::string binary("a\0b\r\n\xff", 6);
  write_file_atomically(folder / "file", "first");
  CHECK(read_file(folder / "file") == "first");
  write_file_atomically(folder / "file", binary);
  CHECK(read_file(folder / "file") == binary);
  write_file_atomically(folder / "file", "");
  CHECK(read_file(folder / "file") == "");
  const std::string large(3 << 20, 'x');
  write_file_atomically(folder / "file", large);
  CHECK(read_file(folder / "file") == large);
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("write_file_atomically: the mode is the one asked for, whatever the umask and the old file") {
  const Folder folder;
  for (mode_t mask : {0000, 0022, 0077, 0777}) {
    const mode_t before = ::umask(mask);
    write_file_atomically(folder / "key", "secret", 0600);
    write_file_atomically(folder / "chain", "public");
    write_file_atomically(folder / "group", "shared", 0640);
    ::umask(before);
    CHECK(mode_of(folder / "key") == 0600);
    CHECK(mode_of(folder / "chain") == 0644);
    CHECK(mode_of(folder / "group") == 0640);
  }
  write_file_atomically(folder / "chain", "secret", 0600);
  CHECK(mode_of(folder / "chain") == 0600);
}

TEST_CASE("write_file_atomically: a name relative to the working folder") {
  const Folder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("plain", "x");
  fs::current_path(before);
  CHECK(folder.names() == Names{"plain"});
}

TEST_CASE("write_file_atomically: a name as long as names can be") {
  const Folder folder;
  const std::string name(255, 'n');
  write_file_atomically(folder / name, "x");
  CHECK(folder.names() == Names{name});
}

TEST_CASE("write_file_atomically: a symbolic link stays, the file behind it is replaced") {
  const Folder folder;
  fs::create_directory(folder / "data");
  write_file_atomically(folder / "data/real", "old", 0600);
  fs::create_symlink("data/real", folder / "link");
  fs::create_symlink("link", folder / "second");
  fs::create_symlink(folder / "second", folder / "absolute");
  write_file_atomically(folder / "absolute", "new", 0640);
  CHECK(read_file(folder / "data/real") == "new");
  CHECK(mode_of(folder / "data/real") == 0640);
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(fs::is_symlink(folder / "second"));
  CHECK(fs::is_symlink(folder / "absolute"));
  CHECK(folder.names() == Names{"absolute", "data", "link", "second"});

  fs::create_symlink("data/later", folder / "dangling");
  write_file_atomically(folder / "dangling", "born");
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(read_file(folder / "data/later") == "born");

  fs::create_symlink("circle", folder / "circle");
  CHECK(failure([&] { write_file_atomically(folder / "circle", "x"); }).system_code() ==
        std::errc::too_many_symbolic_link_levels);
}

TEST_CASE("write_file_atomically: what already has the file open keeps the old one") {
  const Folder folder;
  write_file_atomically(folder / "file", "old");
  const int opened = ::open((folder / "file").c_str(), O_RDONLY);
  REQUIRE(opened >= 0);
  write_file_atomically(folder / "file", "new");
  char text[8] = {};
  CHECK(::read(opened, text, sizeof text) == 3);
  CHECK(std::string(text) == "old");
  ::close(opened);
}

TEST_CASE("write_file_atomically: a disk that fills up leaves the old file, and nothing else") {
  const Folder folder;
  write_file_atomically(folder / "key", "old", 0600);
  {
    const FileSizeLimit limit(4096);
    const Error error = failure([&] { write_file_atomically(folder / "key", std::string(100'000, 'x')); });
    CHECK(error.system_code() == std::errc::file_too_large);
    CHECK(says(error, "writing " + (folder / "key").string() + ": writing its contents: File too large"));
  }
  CHECK(read_file(folder / "key") == "old");
  CHECK(mode_of(folder / "key") == 0600);
  CHECK(folder.names() == Names{"key"});
}

TEST_CASE("write_file_atomically: a folder that may not be written leaves the old file") {
  const Folder folder;
  write_file_atomically(folder / "key", "old");
  fs::permissions(folder.path(), static_cast<fs::perms>(0555));
  {
    const WithoutRoot plain_user;
    const Error error = failure([&] { write_file_atomically(folder / "key", "new"); });
    CHECK(error.system_code() == std::errc::permission_denied);
    CHECK(says(error, "making a file in the folder " + folder.path().string()));
    CHECK(read_file(folder / "key") == "old");
  }
  CHECK(folder.names() == Names{"key"});
}

TEST_CASE("write_file_atomically: missing folders and files in the place of folders are named") {
  const Folder folder;
  const Error missing = failure([&] { write_file_atomically(folder / "no/such/key", "x"); });
  CHECK(missing.system_code() == std::errc::no_such_file_or_directory);
  CHECK(says(missing, "making a file in the folder " + (folder / "no/such").string() + ": No such file or directory"));

  write_file_atomically(folder / "file", "x");
  CHECK(failure([&] { write_file_atomically(folder / "file/key", "x"); }).system_code() == std::errc::not_a_directory);
}

TEST_CASE("write_file_atomically: directories, devices and pipes are not replaced") {
  const Folder folder;
  fs::create_directory(folder / "dir");
  CHECK(says(failure([&] { write_file_atomically(folder / "dir", "x"); }), "it is a directory"));
  CHECK(says(failure([&] { write_file_atomically(folder / "dir/", "x"); }), "it is a directory"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(says(failure([&] { write_file_atomically(folder / "pipe", "x"); }), "it is not a regular file"));
  CHECK(says(failure([&] { write_file_atomically("/dev/null", "x"); }), "it is not a regular file"));
  CHECK(fs::is_character_file("/dev/null"));
  CHECK(folder.names() == Names{"dir", "pipe"});
}

TEST_CASE("write_file_atomically: empty paths and paths with a NUL") {
  CHECK(says(failure([] { write_file_atomically("", "x"); }), "the path is empty"));
  const std::string cut("/tmp/a\0b", 8);
  CHECK(says(failure([&] { write_file_atomically(cut, "x"); }), "NUL"));
  CHECK(says(failure([&] { read_file(cut); }), "NUL"));
  CHECK(says(failure([] { read_file(""); }), "the path is empty"));
}

TEST_CASE("write_file_atomically: leftovers of a crash with the same process number do not matter") {
  const Folder folder;
  for (int i = 0; i < 300; ++i) {
    const std::string name = ".culmen-" + std::to_string(::getpid()) + "-" + std::to_string(i) + ".tmp";
    REQUIRE(::close(::open((folder / name).c_str(), O_CREAT | O_WRONLY, 0600)) == 0);
  }
  write_file_atomically(folder / "file", "x");
  CHECK(read_file(folder / "file") == "x");
}

TEST_CASE("write_file_atomically: readers see the old or the new, with several writers at once") {
  const Folder folder;
  const std::string a(50'000, 'a');
  const std::string b(70'000, 'b');
  write_file_atomically(folder / "file", a);
  std::atomic<int> writing = 2;
  const auto write = [&](const std::string& contents) {
    for (int i = 0; i < 20; ++i) write_file_atomically(folder / "file", contents);
    --writing;
  };
  std::thread first(write, std::cref(a));
  std::thread second(write, std::cref(b));
  int torn = 0;
  do {
    const auto seen = read_file(folder / "file");
    if (seen != a && seen != b) ++torn;
  } while (writing > 0);
  first.join();
  second.join();
  CHECK(torn == 0);
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("write_files_atomically: all are written, or all are as they were") {
  const Folder folder;
  write_file_atomically(folder / "a", "old a");
  fs::create_directory(folder / "c");
  CHECK_THROWS_WITH_AS(write_files_atomically(folder.path(), {{"a", "new a"}, {"b", "new b"}, {"c", "new c"}}),
                       doctest::Contains("it is a directory"), Error);
  CHECK(read_file(folder / "a") == "old a");
  CHECK(folder.names() == std::vector<std::string>{"a", "c"});
  fs::remove(folder / "c");

  write_files_atomically(folder.path(), {{"a", "new a"}, {"b", "new b", 0600}, {"c", ""}});
  CHECK(folder.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(read_file(folder / "a") == "new a");
  CHECK(read_file(folder / "b") == "new b");
  CHECK(read_file(folder / "c") == "");
  CHECK(mode_of(folder / "b") == 0600);
  write_files_atomically(folder.path(), {});
}

TEST_CASE("read_file: only what is not there is none") {
  const Folder folder;
  CHECK_FALSE(read_file(folder / "missing"));
  CHECK_FALSE(read_file(folder / "missing/too"));
  fs::create_symlink("nowhere", folder / "dangling");
  CHECK_FALSE(read_file(folder / "dangling"));

  fs::create_directory(folder / "dir");
  CHECK(failure([&] { read_file(folder / "dir"); }).system_code() == std::errc::is_a_directory);

  write_file_atomically(folder / "key", "secret", 0000);
  CHECK(failure([&] { read_file(folder / "key/below"); }).system_code() == std::errc::not_a_directory);
  const WithoutRoot plain_user;
  const Error error = failure([&] { read_file(folder / "key"); });
  CHECK(error.system_code() == std::errc::permission_denied);
  CHECK(std::string(error.what()) ==
        "reading " + (folder / "key").string() +
            ": opening it: Permission denied; the user of this process needs the right to do that");
}

TEST_CASE("read_file: up to the limit, and not an octet more") {
  const Folder folder;
  write_file_atomically(folder / "file", std::string(20'000, 'x'));
  CHECK(read_file(folder / "file", 20'000)->size() == 20'000);
  CHECK(says(failure([&] { read_file(folder / "file", 19'999); }), "larger than 19999 octets"));
  CHECK(says(failure([&] { read_file(folder / "file", 0); }), "larger than 0 octets"));
  CHECK(says(failure([] { read_file("/dev/zero", 100'000); }), "larger than 100000 octets"));
  write_file_atomically(folder / "empty", "");
  CHECK(read_file(folder / "empty", 0) == "");
}

TEST_CASE("replace_file: a file that is replaced keeps mode and group, and is left alone if nothing changed (E2)") {
  const Folder folder;
  const fs::path file = folder / "key.pem";
  CHECK(replace_file(file, "one", 0600));
  CHECK(mode_of(file) == 0600);
  fs::permissions(file, static_cast<fs::perms>(0640));
  if (::geteuid() == 0) REQUIRE(::chown(file.c_str(), 65534, 12345) == 0);
  struct stat before {};
  REQUIRE(::stat(file.c_str(), &before) == 0);
  CHECK_FALSE(replace_file(file, "one", 0600));
  struct stat same {};
  REQUIRE(::stat(file.c_str(), &same) == 0);
  CHECK(same.st_ino == before.st_ino);
  CHECK(replace_file(file, "two", 0600));
  struct stat after {};
  REQUIRE(::stat(file.c_str(), &after) == 0);
  CHECK(after.st_ino != before.st_ino);
  CHECK(read_file(file) == "two");
  CHECK(mode_of(file) == 0640);
  CHECK(after.st_uid == before.st_uid);
  CHECK(after.st_gid == before.st_gid);
  FileAccess access;
  access.mode = 0660;
  access.group = ::getegid();
  CHECK_FALSE(replace_file(file, "two", 0600, access));
  CHECK(mode_of(file) == 0660);
  REQUIRE(::stat(file.c_str(), &after) == 0);
  CHECK(after.st_gid == ::getegid());
}

TEST_CASE("set_access: keys and folders of a certificate, and nothing else") {
  const Folder folder;
  const fs::path top = folder / "state", certificate = top / "certificates/a.example";
  fs::create_directories(certificate / "1");
  for (fs::path path = certificate / "1"; path != folder.path(); path = path.parent_path())
    fs::permissions(path, fs::perms::owner_all);
  write_file_atomically(certificate / "1/key.pem", "-----BEGIN PRIVATE KEY-----\n", 0600);
  write_file_atomically(certificate / "1/cert.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
  fs::create_symlink("1", certificate / "live");
  FileAccess access;
  access.mode = 0640;
  access.group = ::getegid();
  set_access(certificate / "live", top, access);
  CHECK(mode_of(certificate / "1/key.pem") == 0640);
  CHECK(mode_of(certificate / "1/cert.pem") == 0644);
  CHECK(mode_of(certificate / "1") == 0750);
  CHECK(mode_of(certificate) == 0750);
  CHECK(mode_of(certificate.parent_path()) == 0701);
  CHECK(mode_of(top) == 0701);
}

// Only root can make a link that belongs to somebody else.
TEST_CASE("a link of another user is not followed, and a token replaces a link (D13)" *
          doctest::skip(::geteuid() != 0)) {
  const Folder folder;
  const fs::path victim = folder / "victim", link = folder / "chain.pem";
  write_file_atomically(victim, "precious", 0600);
  fs::create_symlink(victim, link);
  REQUIRE(::lchown(link.c_str(), 65534, 65534) == 0);
  CHECK_THROWS_AS(write_file_atomically(link, "evil", 0644), Error);
  CHECK(read_file(victim) == "precious");
  write_file_atomically(link, "token", 0644, Links::replace);
  CHECK_FALSE(fs::is_symlink(link));
  CHECK(read_file(victim) == "precious");
  CHECK(read_file(link) == "token");
}

TEST_CASE("read_file: a pipe in place of a file is an error, and does not wait for a writer (D20)") {
  const Folder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(read_file(folder / "pipe"), doctest::Contains("it is a pipe"), Error);
}

TEST_CASE("replace_file: what a killed program left beside the file is removed, what another writes now is not") {
  const Folder folder;
  folder.write(".culmen-1-0.tmp", "a key");
  folder.write(".culmen-1-1.tmp", "a key");
  folder.write(".culmen-mine.tmp", "another program's");
  const int other = ::open((folder / ".culmen-1-1.tmp").c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(::flock(other, LOCK_EX | LOCK_NB) == 0);
  CHECK(replace_file(folder / "key.pem", "new", 0600));
  CHECK(folder.names() == std::vector<std::string>{".culmen-1-1.tmp", ".culmen-mine.tmp", "key.pem"});
  ::close(other);
  CHECK_FALSE(replace_file(folder / "key.pem", "new", 0600));
  CHECK(folder.names() == std::vector<std::string>{".culmen-mine.tmp", "key.pem"});
}

/// What the call says as a user that is neither root nor the owner of much. That user gets the folder.
template <class Call>
std::string said_to_nobody(const fs::path& folder, const Call& call) {
  const auto said = [&call] {
    try {
      call();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("(nothing thrown)");
  };
  if (::geteuid() != 0) return said();
  constexpr uid_t nobody = 65534;
  REQUIRE(::chown(folder.c_str(), nobody, nobody) == 0);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool is_nobody = ::setgroups(0, nullptr) == 0 && ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
    const std::string text = is_nobody ? said() : "(still root)";
    (void)!::write(ends[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  char text[4096];
  const ssize_t size = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
}

TEST_CASE("replace_file: a group that this user is not in: the file, and what to type") {
  const Folder folder;
  const std::string file = folder / "key.pem";
  FileAccess access;
  access.group = 0;
  const std::string said = said_to_nobody(folder.path(), [&] { (void)replace_file(file, "key", 0600, access); });
  CHECK_MESSAGE(said.find("giving " + file + " to the group root: Operation not permitted") != std::string::npos, said);
  CHECK_MESSAGE(said.find("usermod -aG root ") != std::string::npos, said);
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("replace_file: a mode that only the owner can set: the file, and what to type" *
          doctest::skip(::geteuid() != 0)) {
  const Folder folder;
  const std::string file = folder / "key.pem";
  std::ofstream(file) << "key";
  fs::permissions(file, fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
  FileAccess access;
  access.mode = 0640;
  const std::string said = said_to_nobody(folder.path(), [&] { (void)replace_file(file, "key", 0600, access); });
  CHECK_MESSAGE(said.find("setting the mode of " + file + " to 0640: Operation not permitted") != std::string::npos,
                said);
  CHECK_MESSAGE(
      said.find("it belongs to the user root: as that user or root, type chmod 0640 " + file) != std::string::npos,
      said);
}

}  // namespace
}  // namespace culmen
