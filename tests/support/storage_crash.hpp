// The changes that storage_writer makes, so that file_storage_crash_test.cpp knows what to expect.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/file_state.hpp"

namespace culmen::test::storage_crash {

inline const std::string account_key = "accounts/ca.example_directory/account";
inline const std::string certificate = "certificates/a.example";
inline const std::string lease_name = "certificates/b.example";

inline std::string account_text(int key, int next_key) {
  AccountRecord account;
  account.key_pem = key_text(key);
  if (next_key != 0) account.next_key_pem = key_text(next_key);
  account.url = "https://ca.example/account/1";
  account.directory_url = "https://ca.example/directory";
  return encode(account);
}
inline std::string pending_text(int key) {
  PendingOrder order;
  order.order_url = "https://ca.example/order/" + std::to_string(key);
  if (key != 0) order.key_pem = key_text(key);
  return encode(order);
}

/// What is there before each change.
inline std::vector<Write> before() {
  std::vector<Write> writes;
  writes.emplace_back(account_key, account_text(1, 0));
  writes.emplace_back(certificate + "/1", generation_text(1));
  writes.emplace_back(certificate + "/2", generation_text(2));
  writes.emplace_back(certificate + "/record", record_text(2));
  writes.emplace_back(certificate + "/pending", pending_text(3));
  writes.emplace_back("keys/unused/x", key_text(7));
  writes.emplace_back("scratch/a", "old");
  return writes;
}

/// The changes, by name.
inline std::map<std::string, std::vector<Write>> changes() {
  std::map<std::string, std::vector<Write>> all;
  all["rollover begins"].emplace_back(account_key, account_text(1, 4));
  all["rollover"].emplace_back(account_key, account_text(4, 0));
  all["rollover"].emplace_back("keys/unused/y", key_text(1));
  all["record"].emplace_back(certificate + "/record", record_text(2) + " ");
  all["record"].back().value->insert(1, R"("revoked":"now",)");
  all["order"].emplace_back("certificates/new.example/pending", pending_text(0));
  all["key of an order"].emplace_back(certificate + "/pending", pending_text(5));
  all["issuance"].emplace_back(certificate + "/3", generation_text(3));
  all["issuance"].emplace_back(certificate + "/record", record_text(3));
  all["issuance"].emplace_back(certificate + "/pending");
  all["first issuance"].emplace_back("certificates/new.example/1", generation_text(3));
  all["first issuance"].emplace_back("certificates/new.example/record", record_text(1));
  all["removal"].emplace_back(certificate + "/1");
  all["removal of all"].emplace_back(certificate + "/1");
  all["removal of all"].emplace_back(certificate + "/2");
  all["removal of all"].emplace_back(certificate + "/record");
  all["removal of all"].emplace_back(certificate + "/pending");
  all["value"].emplace_back("scratch/a", "new");
  all["values"].emplace_back("scratch/a", "new");
  all["values"].emplace_back("scratch/b", "new");
  return all;
}

}  // namespace culmen::test::storage_crash
