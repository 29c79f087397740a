// Writes to a store until it is killed: what persist_crash_test.cpp runs.
//
//   persist_writer account DIR VALUE            puts an account key
//   persist_writer pair DIR VALUE               puts a certificate and its key
//   persist_writer loop DIR VALUE               both, over and over, with VALUE, VALUE + 1, …
//   persist_writer issue DIR URL ROOT           gets a certificate for crash.example.test, and keeps it
// Stops itself when it is about to begin.
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "culmen/blocking/directory.hpp"
#include "support/persist_crash.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

void put_account(FilePersist& store, int value) { store.put(crash_test::account_key, crash_test::key_text(value)); }
void put_pair(FilePersist& store, int value) {
  store.put_certificate(crash_test::realm, crash_test::name, crash_test::pair(value));
}

void issue(const FilePersist& store, const std::string& url, const std::string& root) {
  ClientOptions options;
  options.transport.extra_root_file = root;
  const auto directory = blocking::DirectoryHandle::from_url(store, DirectoryUrl::other(url), options);
  const auto account = directory.account(crash_test::realm);
  auto order = account.new_order(crash_test::name);
  while (!order.confirm_validations()) {
    for (const auto& auth : order.authorizations()) {
      if (auth.need_challenge()) auth.http_challenge().validate(0ms);
    }
    order.refresh();
  }
  order.confirm_validations()->finalize_pkey(create_p256_key(), 0ms).download_and_save_cert();
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  FilePersist store(words.at(1));
  const std::string& what = words.at(0);
  ::raise(SIGSTOP);
  if (what == "account") put_account(store, std::stoi(words.at(2)));
  if (what == "pair") put_pair(store, std::stoi(words.at(2)));
  if (what == "loop") {
    for (int value = std::stoi(words.at(2));; ++value) {
      put_account(store, value);
      put_pair(store, value);
    }
  }
  if (what == "issue") issue(store, words.at(2), words.at(3));
  ::_exit(0);  // no leak checker: it cannot work in a traced process
} catch (const std::exception& error) {
  std::cerr << "persist_writer: " << error.what() << std::endl;
  ::_exit(1);
}
