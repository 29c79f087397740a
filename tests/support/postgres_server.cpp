#include "support/postgres_server.hpp"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace server_test {

namespace fs = std::filesystem;

namespace {

/// Copies what the server reads at run time: another user may not be able to reach the build folder.
void copy_server(const fs::path& from, const fs::path& to) {
  const auto options = fs::copy_options::recursive | fs::copy_options::copy_symlinks;
  for (const char* part : {"usr/lib/postgresql", "usr/share/postgresql", "libraries"}) {
    if (!exists(from / part)) continue;
    create_directories((to / part).parent_path());
    fs::copy(from / part, to / part, options);
  }
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  const std::string of_parent = std::to_string(parent);
  std::ifstream list("/proc/" + of_parent + "/task/" + of_parent + "/children");
  for (pid_t child; list >> child;) found.push_back(child);
  return found;
}

}  // namespace

const std::string& PostgresServer::password() {
  static const std::string text = "S3cret of the database's owner";
  return text;
}

PostgresServer::PostgresServer(std::vector<std::string> settings)
    : settings_(std::move(settings)), port_(cli_test::free_port()) {
  const fs::path unpacked = fs::path(CULMEN_SERVERS) / "postgresql";
  // ctest looks for this text to count the test as skipped. Where tools/get-servers.sh fails, it does not run the test.
  if (!exists(unpacked / "program")) {
    throw std::runtime_error("no unpacked server to be had: tools/get-servers.sh has to unpack postgresql first");
  }
  programs_ = canonical(unpacked / "program").parent_path();
  libraries_ = unpacked / "libraries";
  const std::string password_file = folder_.write("password", password() + "\n");
  if (geteuid() == 0) {
    const mode_t mask = umask(022);
    copy_server(unpacked, folder_ / "server");
    umask(mask);
    programs_ = folder_ / "server" / relative(programs_, canonical(unpacked));
    libraries_ = folder_ / "server" / "libraries";
    const passwd* const nobody = getpwnam("nobody");
    if (!nobody) throw std::runtime_error("there is no user nobody to run PostgreSQL as");
    for (const std::string& file : {folder_.path().string(), password_file}) {
      if (chown(file.c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
        throw std::system_error(errno, std::generic_category(), "chown " + file);
      }
    }
  }
  const cli_test::Outcome made = cli_test::run(
      as_owner({(programs_ / "initdb").string(), "--pgdata=" + (folder_ / "data").string(), "--username=culmen",
                "--pwfile=" + password_file, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"}),
      {"LD_LIBRARY_PATH=" + libraries_.string(), "TZ=GMT", "LC_ALL=C"});
  if (made.exit_code != 0) throw std::runtime_error("initdb failed: " + made.out + made.err);
  start();
}

PostgresServer::~PostgresServer() {
  if (!process_) return;
  thaw();
  process_->signal(SIGINT);  // ends sessions, and removes what it has in shared memory
  for (int i = 0; i < 250 && process_->running(); ++i) cli_test::sleep_a_little();
}

/// In a folder that the owner can reach, and without root's rights. The signal at the end of the test is asked for once
/// more, because a change of the user takes it back.
std::vector<std::string> PostgresServer::as_owner(std::vector<std::string> command) const {
  std::vector<std::string> words = {"/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", folder_.path().string()};
  if (geteuid() == 0) {
    for (const char* word :
         {"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=KILL", "--"})
      words.emplace_back(word);
  }
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

std::string PostgresServer::connection(std::uint16_t port) const {
  return "host=127.0.0.1 port=" + std::to_string(port == 0 ? port_ : port) +
         " user=culmen dbname=postgres password='S3cret of the database\\'s owner'";
}

void PostgresServer::start() {
  std::vector<std::string> command = {(programs_ / "postgres").string(), "-D", (folder_ / "data").string()};
  std::vector<std::string> all = {"listen_addresses=127.0.0.1",
                                  "port=" + std::to_string(port_),
                                  "unix_socket_directories=",
                                  "dynamic_shared_memory_type=mmap",
                                  "shared_buffers=16MB",
                                  "max_connections=40",
                                  "jit=off",
                                  "fsync=off"};
  all.insert(all.end(), settings_.begin(), settings_.end());
  for (const std::string& setting : all) command.insert(command.end(), {"-c", setting});
  const auto said = [this](const char* text) { return log().find(text) != std::string::npos; };
  const bool started = cli_test::eventually([&] {
    if (process_ && process_->running()) return said("ready to accept connections");
    // Processes of the one before can still be about to end.
    if (process_ && !said("is still in use")) return true;
    process_ = std::make_unique<cli_test::Process>(
        as_owner(command), std::vector<std::string>{"LD_LIBRARY_PATH=" + libraries_.string(), "TZ=GMT", "LC_ALL=C"});
    return false;
  });
  if (!started || !process_->running())
    throw std::runtime_error("PostgreSQL did not start: " + process_->out() + log());
}

void PostgresServer::kill() {
  freeze();  // so that none of them is born meanwhile
  signal_all(SIGKILL);
  process_->wait();
  process_.reset();
}

void PostgresServer::freeze() { signal_all(SIGSTOP); }

void PostgresServer::thaw() { signal_all(SIGCONT); }

/// The first process stops first and goes on last: it starts the others.
void PostgresServer::signal_all(int number) const {
  if (!process_->running()) return;
  if (number == SIGSTOP) process_->signal(number);
  for (const pid_t child : children_of(process_->id())) ::kill(child, number);
  if (number != SIGSTOP) process_->signal(number);
}

std::string PostgresServer::log() const { return process_ ? process_->err() : ""; }

}  // namespace server_test
