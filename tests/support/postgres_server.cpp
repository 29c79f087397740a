#include "support/postgres_server.hpp"

#include <signal.h>

#include <fstream>
#include <stdexcept>

#include "support/server_user.hpp"

namespace server_test {

namespace fs = std::filesystem;

namespace {

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

PostgresServer::PostgresServer(std::vector<std::string> settings, std::string group)
    : settings_(std::move(settings)), group_(std::move(group)), port_(cli_test::free_port()) {
  const std::string password_file = folder_.write("password", password() + "\n");
  give_to_owner(folder_);
  const fs::path server = unpacked("postgresql", folder_);
  programs_ = canonical(server / "program").parent_path();
  libraries_ = server / "libraries";
  const cli_test::Outcome made =
      cli_test::run(as_owner(folder_, {(programs_ / "initdb").string(), "--pgdata=" + (folder_ / "data").string(),
                                       "--username=culmen", "--pwfile=" + password_file, "--auth=scram-sha-256",
                                       "--encoding=UTF8", "--locale=C", "--no-sync"}),
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
        as_owner(folder_, command, group_),
        std::vector<std::string>{"LD_LIBRARY_PATH=" + libraries_.string(), "TZ=GMT", "LC_ALL=C"});
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

PgBouncer::PgBouncer(const PostgresServer& server) : port_(cli_test::free_port()) {
  const std::string users = folder_.write("users", "\"culmen\" \"" + PostgresServer::password() + "\"\n");
  const std::string settings = folder_.write(
      "settings", "[databases]\npostgres = host=127.0.0.1 pool_size=2 port=" + std::to_string(server.port()) +
                      "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " + std::to_string(port_) +
                      "\nunix_socket_dir =\npool_mode = transaction\nauth_type = plain\nauth_file = " + users + "\n");
  give_to_owner(folder_);
  const fs::path program = unpacked("pgbouncer", folder_);
  process_ = std::make_unique<cli_test::Process>(
      as_owner(folder_, {(program / "program").string(), settings}),
      std::vector<std::string>{"LD_LIBRARY_PATH=" + (program / "libraries").string()});
  const auto ready = [this] { return process_->err().find("process up") != std::string::npos; };
  if (!cli_test::eventually([&] { return ready() || !process_->running(); }) || !process_->running()) {
    throw std::runtime_error("PgBouncer did not start: " + process_->out() + process_->err());
  }
}

std::string PostgresServer::log() const { return process_ ? process_->err() : ""; }

}  // namespace server_test
