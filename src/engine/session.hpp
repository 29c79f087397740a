// What a session remembers: the directory, unused nonces, how long a round trip takes.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "culmen/engine.hpp"
#include "engine/retry.hpp"

namespace culmen::engine {

/// Unused nonces of one CA, each handed out once. Bounded; old ones are thrown away. Thread-safe.
class NoncePool {
 public:
  NoncePool(std::size_t limit, std::chrono::seconds lifetime) : limit_(limit), lifetime_(lifetime) {}

  void put(std::string nonce, Instant now);
  /// The newest: it is the least likely to be forgotten by the server.
  std::optional<std::string> take(Instant now);
  /// After badNonce: if the server forgot one nonce, it may have forgotten all (RFC 8555 §6.5).
  void clear();

 private:
  struct Entry {
    std::string nonce;
    std::chrono::steady_clock::time_point since;
  };
  std::size_t limit_;
  std::chrono::seconds lifetime_;
  std::mutex mutex_;
  std::deque<Entry> entries_;
};

struct Session::State {
  State(Directory directory_, SessionOptions options_)
      : directory(std::move(directory_)), options(options_), nonces(options.nonce_pool, options.nonce_lifetime) {}

  const Directory directory;
  const SessionOptions options;
  NoncePool nonces;
  CompletionEstimate validation;
  CompletionEstimate issuance;

  void measured(std::chrono::steady_clock::duration round_trip);
  /// About what one request takes, from the last few.
  std::chrono::milliseconds round_trip();

 private:
  std::mutex mutex_;
  std::chrono::duration<double, std::milli> round_trip_{0};
};

}  // namespace culmen::engine
