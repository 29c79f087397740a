// bench_storage [ROUNDS]: what each function of each storage engine costs, one call at a time, as a table in Markdown.
// PostgreSQL is a server of its own on the loopback interface, with fsync; files are in the temporary folder (TMPDIR).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "culmen/file_storage.hpp"
#include "culmen/postgres_storage.hpp"
#include "culmen/storage.hpp"
#include "support/postgres_server.hpp"
#include "support/run_flow.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using culmen::test::run_flow;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t many = 1000;
constexpr std::size_t value_size = 4500;  // a certificate with its chain and key
constexpr int writers = 8;

std::string microseconds(Clock::duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return count >= 100 ? std::to_string(count)
                      : std::to_string(count) + "." + std::to_string(duration / std::chrono::nanoseconds(100) % 10);
}

class StorageBench {
 public:
  StorageBench(Storage& storage, std::size_t rounds) : storage_(storage), rounds_(rounds) {}

  template <class Make>
  auto timed(const std::string& name, Make make) {
    const auto begin = Clock::now();
    auto result = run_flow(make());
    times_[name].push_back(Clock::now() - begin);
    if constexpr (std::is_same_v<decltype(result), Result<void>>) {
      result.value();
    } else {
      return std::move(result).value();
    }
  }

  /// Of each row, by name: "p50 (p99)", or a rate.
  std::map<std::string, std::string> run() {
    const std::string value(value_size, 'x');
    std::vector<std::string> keys;
    std::vector<Lease> leases;
    for (std::size_t i = 0; i < many; ++i) {
      keys.push_back("scratch/many/" + std::to_string(i) + "/value");
      run_flow(write_one(storage_, Write(keys.back(), value))).value();
      leases.push_back(*run_flow(storage_.acquire("scratch/many/" + std::to_string(i), "bench", 600s)).value());
    }
    for (std::size_t round = 0; round < rounds_; ++round) {
      const Lease lease = *timed("acquire", [&] { return storage_.acquire("scratch/one", "bench", 60s); });
      timed("acquire, while it is held", [&] { return storage_.acquire("scratch/one", "bench", 60s); });
      const std::vector<Lease> one(1, lease);
      timed("renew, 1 lease", [&] { return storage_.renew(one, 60s); });
      Write write("scratch/one/value", value);
      write.fence = lease;
      write.expected = revision_;
      revision_ = timed("write, fenced, 4.5 KB", [&] { return write_one(storage_, write); });
      timed("load, 1 key", [&] { return load_one(storage_, "scratch/one/value"); });
      timed("changed, nothing did", [&] { return storage_.changed("scratch/one/", cursor_, 0s); });
      cursor_ = run_flow(storage_.changed("scratch/one/", "", 0s)).value();
      timed("release", [&] { return storage_.release(lease); });
      if (round % 20 != 0) continue;
      timed("renew, 1,000 leases", [&] { return storage_.renew(leases, 600s); });
      timed("load, 1,000 keys", [&] { return storage_.load(keys); });
      timed("list, 1,000 keys", [&] { return storage_.list("scratch/many/", "", many, false); });
      timed("list, 1,000 keys with values", [&] { return storage_.list("scratch/many/", "", many, true); });
      if (!storage_.capabilities().many_in_one) continue;
      std::vector<Write> writes;
      for (std::size_t i = 0; i < 100; ++i) writes.emplace_back(keys[i], value);
      timed("write, 100 keys in one", [&] { return storage_.write(writes); });
    }
    write_side_by_side(leases, value);

    std::map<std::string, std::string> rows;
    for (auto& [name, times] : times_) {
      std::ranges::sort(times);
      rows[name] = microseconds(times[times.size() / 2]) + " (" + microseconds(times[times.size() * 99 / 100]) + ")";
    }
    rows[side_by_side] = std::to_string(static_cast<int>(rate_)) + " a second";
    return rows;
  }

  static constexpr const char* side_by_side = "write, fenced, 8 at a time";

 private:
  void write_side_by_side(const std::vector<Lease>& leases, const std::string& value) {
    const auto begin = Clock::now();
    std::vector<std::future<void>> running;
    for (int writer = 0; writer < writers; ++writer) {
      running.push_back(std::async(std::launch::async, [&, writer] {
        for (std::size_t round = 0; round < rounds_; ++round) {
          const Lease& lease = leases[static_cast<std::size_t>(writer)];
          Write write(lease.name + "/value", value);
          write.fence = lease;
          run_flow(write_one(storage_, write)).value();
        }
      }));
    }
    for (auto& one : running) one.get();
    rate_ = writers * static_cast<double>(rounds_) / std::chrono::duration<double>(Clock::now() - begin).count();
  }

  Storage& storage_;
  const std::size_t rounds_;
  std::optional<Revision> revision_ = Revision();
  std::string cursor_;
  std::map<std::string, std::vector<Clock::duration>> times_;
  double rate_ = 0;
};

void print_table(const std::vector<std::pair<std::string, std::map<std::string, std::string>>>& engines) {
  std::string head = "| us, p50 (p99) |", line = "|---|";
  for (const auto& engine : engines) {
    head += " " + engine.first + " |";
    line += "---|";
  }
  std::printf("%s\n%s\n", head.c_str(), line.c_str());
  for (const char* row :
       {"acquire", "acquire, while it is held", "renew, 1 lease", "renew, 1,000 leases", "release", "load, 1 key",
        "load, 1,000 keys", "list, 1,000 keys", "list, 1,000 keys with values", "write, fenced, 4.5 KB",
        "write, 100 keys in one", StorageBench::side_by_side, "changed, nothing did"}) {
    std::string text = std::string("| ") + row + " |";
    for (const auto& engine : engines) {
      const auto found = engine.second.find(row);
      text += " " + (found == engine.second.end() ? "-" : found->second) + " |";
    }
    std::printf("%s\n", text.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::size_t rounds = argc > 1 ? static_cast<std::size_t>(std::max(20, std::atoi(argv[1]))) : 400;
  std::vector<std::pair<std::string, std::map<std::string, std::string>>> engines;
  engines.emplace_back("memory", StorageBench(*memory_storage(), rounds).run());
  const culmen::test::TemporaryFolder folder;
  engines.emplace_back("files", StorageBench(*file_storage(folder.path()), rounds).run());
  const server_test::PostgresServer server({"fsync=on"});
  const PostgresOptions options(server.connection());
  run_flow(create_postgres_schema(options)).value();
  engines.emplace_back("PostgreSQL", StorageBench(*postgres_storage(options), rounds).run());
  print_table(engines);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_storage: %s\n", error.what());
  return 1;
}
