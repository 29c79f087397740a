// A state folder, and what the tests of file storages put there.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "culmen/driver.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/records.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_storage.hpp"

namespace culmen::test {

inline void put_text(const std::filesystem::path& path, const std::string& contents) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << contents;
}

/// PEM with DER in it, but no key.
inline std::string key_text(int number) {
  return "-----BEGIN PRIVATE KEY-----\nMAIw" + std::string(1, static_cast<char>('A' + number)) +
         "A==\n-----END PRIVATE KEY-----\n";
}
inline std::string chain_text(int number) {
  const std::string octet(1, static_cast<char>('A' + number));
  return "-----BEGIN CERTIFICATE-----\nMAIw" + octet + "A==\n-----END CERTIFICATE-----\n" +
         "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
}
inline std::string generation_text(int number) {
  Generation generation;
  generation.key_pem = key_text(number);
  generation.chain_pem = chain_text(number);
  generation.meta = R"({"server":"https://ca.example/directory","number":)" + std::to_string(number) + "}";
  return encode(generation);
}
inline std::string record_text(int live) {
  return R"({"format":1,"live":)" + std::to_string(live) + R"(,"last_generation":9,"dice":500000})";
}

/// Drives a flow of a storage in real time, on the calling thread.
template <class T>
T drive_in_real_time(Flow<T> flow) {
  Execution<T> execution(std::move(flow),
                         [] { return Instant(std::chrono::system_clock::now(), std::chrono::steady_clock::now()); });
  while (Ask* ask = execution.next()) {
    if (ask->kind() == Ask::Kind::wait) {
      auto& wait = static_cast<WaitAsk&>(*ask);
      std::this_thread::sleep_for(wait.duration);
      execution.answer(wait, Result<void>());
    } else {
      if (ask->kind() != Ask::Kind::call) throw std::logic_error("a storage in files waits and calls, and no more");
      auto& call = static_cast<CallAsk&>(*ask);
      execution.answer(call, call_function(call));
    }
  }
  return execution.result();
}

/// A storage in a folder of its own, and virtual time to use it in.
class FileState : public TemporaryFolder {
 public:
  explicit FileState(FileStorageOptions options = {}) : storage(file_storage(path(), std::move(options))) {}

  Result<std::vector<Revision>> write(std::vector<Write> writes) {
    return time.drive(storage->write(std::move(writes)));
  }
  Result<Revision> put(const std::string& key, const std::string& value) {
    return time.drive(write_one(*storage, Write(key, value)));
  }
  Result<Revision> remove(const std::string& key) { return time.drive(write_one(*storage, Write(key))); }
  Result<std::optional<StoredValue>> load(const std::string& key) { return time.drive(load_one(*storage, key)); }
  /// The value; "" if there is none.
  std::string value(const std::string& key) {
    const std::optional<StoredValue> stored = load(key).value();
    return stored ? stored->value : std::string();
  }
  /// The error of loading the key; "" if there is none.
  std::string damage(const std::string& key) {
    const auto loaded = load(key);
    return loaded ? std::string() : std::string(loaded.error().what());
  }

  VirtualTime time;
  std::shared_ptr<Storage> storage;
};

}  // namespace culmen::test
