// A server that uses the files of the culmen program, set up as docs/serving.md says, with clients that connect all the
// time while it takes new files.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/files.hpp"
#include "support/unpacked_server.hpp"

namespace served_test {

namespace fs = std::filesystem;
using culmen::test::TemporaryFolder;

/// What stands on the page, and what stands for it in the test.
using Replacements = std::vector<std::pair<std::string, std::string>>;

inline std::string replaced(std::string text, const Replacements& replacements) {
  for (const auto& [from, to] : replacements) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  }
  return text;
}

/// The block that is indented by four blanks, `number` from 1, below that heading of the page.
inline std::string block_of_page(const std::string& heading, int number, const Replacements& replacements) {
  const std::string page = test_data("../../docs/serving.md");
  const auto begin = page.find("\n## " + heading + "\n");
  if (begin == std::string::npos) throw std::runtime_error("docs/serving.md has no heading " + heading);
  std::istringstream lines(page.substr(begin, page.find("\n## ", begin + 1) - begin));
  std::string block, blank;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      blank += "\n";
      continue;
    }
    const bool indented = line.starts_with("    ");
    if (indented && !inside) --number;
    if (!indented && number == 0) break;
    if (indented && number == 0) block += (block.empty() ? "" : blank) + line.substr(4) + "\n";
    inside = indented;
    blank.clear();
  }
  if (block.empty()) throw std::runtime_error("docs/serving.md has too few blocks below " + heading);
  return replaced(block, replacements);
}

/// The words of `culmen …` on the page, without the first.
inline std::vector<std::string> command_of_page(const std::string& heading, int number,
                                                const Replacements& replacements) {
  std::istringstream in(block_of_page(heading, number, replacements));
  std::vector<std::string> words;
  for (std::string word; in >> word;) {
    if (word != "\\") words.push_back(word);
  }
  REQUIRE(words.at(0) == "culmen");
  words.erase(words.begin());
  return words;
}

inline std::string add_program(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
  fs::permissions(file, static_cast<fs::perms>(0755));
  return file.string();
}

/// A program of a server under its usual name: with its libraries, and with these options first.
inline void add_server_program(const fs::path& file, const std::string& libraries, const fs::path& program,
                               const std::string& options = {}) {
  add_program(file, "#!/bin/sh\nexport '" + libraries + "'\nexec '" + program.string() + "' " + options + " \"$@\"\n");
}

/// Runs it with the programs of that folder found first.
inline cli_test::Outcome run_with(const fs::path& programs, std::vector<std::string> command) {
  const char* const path = getenv("PATH");
  command.insert(command.begin(), {"env", "PATH=" + programs.string() + ":" + (path ? path : "/usr/bin:/bin")});
  return cli_test::run(command);
}

inline std::string serial_of(const X509* certificate) {
  const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), BN_free);
  char* const digits = BN_bn2hex(number.get());
  std::string text = digits;
  OPENSSL_free(digits);
  return text;
}

/// Of the first certificate in the file.
inline std::string serial_in(const fs::path& file) {
  const std::string pem = cli_test::contents(file);
  const std::unique_ptr<BIO, int (*)(BIO*)> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const std::unique_ptr<X509, void (*)(X509*)> certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr),
                                                           X509_free);
  if (!certificate) throw std::runtime_error(file.string() + " has no certificate");
  return serial_of(certificate.get());
}

/// Who may read the file: "100640 0 12345" is a regular file, 0640, of root, for the group 12345.
inline std::string access_of(const fs::path& file) {
  struct stat found {};
  if (stat(file.c_str(), &found) != 0) throw std::runtime_error("there is no " + file.string());
  std::ostringstream text;
  text << std::oct << found.st_mode << std::dec << " " << found.st_uid << " " << found.st_gid;
  return text.str();
}

/// Looks at something again and again, in a thread of its own.
class Watch {
 public:
  explicit Watch(std::function<std::string()> look) : look_(std::move(look)), thread_([this] { run(); }) {}
  ~Watch() { stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// What it saw, in that order; "failed: …" where it threw.
  std::vector<std::string> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  auto times(const std::string& what) const {
    const std::vector<std::string> all = seen();
    return std::count(all.begin(), all.end(), what);
  }

 private:
  void run() {
    while (!stopping_) {
      std::string what;
      try {
        what = look_();
      } catch (const std::exception& error) {
        what = std::string("failed: ") + error.what();
      }
      const std::lock_guard lock(mutex_);
      seen_.push_back(what);
    }
  }

  std::function<std::string()> look_;
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

/// Renews while clients connect. `connect` returns the serial number that the server shows; `key` is the file with the
/// key that it reads.
inline void check_renewal(const cli_test::Client& client, const std::string& id, const fs::path& key,
                          const fs::path& programs, const std::function<std::string()>& connect) {
  constexpr int enough = 20;
  const fs::path chain = client.certificate(id) / "live/fullchain.pem";
  const std::string before = serial_in(chain), key_before = cli_test::contents(key), access = access_of(key);
  REQUIRE(connect() == before);

  Watch first(connect), second(connect);
  Watch file([&key] {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return access_of(key);
  });
  const auto both_saw = [&](const std::string& serial) {
    return cli_test::eventually([&] { return first.times(serial) >= enough && second.times(serial) >= enough; });
  };
  CHECK(both_saw(before));
  const auto connections = [&] { return first.seen().size() + second.seen().size(); };
  const auto at_begin = connections();
  const cli_test::Outcome renewed =
      run_with(programs, {cli_test::culmen_path(), "renew", "--force", "--dir", client.state().string()});
  const auto during = connections() - at_begin;
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  const std::string after = serial_in(chain);
  CHECK(after != before);
  CHECK(both_saw(after));
  for (Watch* watch : {&first, &second, &file}) watch->stop();

  CHECK(during > 0);
  std::vector<std::string> unexpected;
  for (const Watch* watch : {&first, &second}) {
    const std::vector<std::string> seen = watch->seen();
    CHECK(seen.back() == after);
    std::copy_if(seen.begin(), seen.end(), std::back_inserter(unexpected),
                 [&](const std::string& what) { return what != before && what != after; });
  }
  CHECK_MESSAGE(unexpected.empty(), unexpected.size() << " connections, the first: " << unexpected.front());
  CHECK(cli_test::contents(key) != key_before);
  CHECK(access_of(key) == access);
  CHECK(file.times(access) == static_cast<std::ptrdiff_t>(file.seen().size()));
  MESSAGE(id << ": " << connections() << " connections, " << during << " of them while culmen renewed, "
             << unexpected.size() << " failed");
}

}  // namespace served_test
