// What a session remembers: the directory, unused nonces, how long a round trip takes.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

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

/// Whether the URL's scheme is https, in whatever case.
bool is_https(std::string_view url) noexcept;

struct Session::State {
  State(std::string directory_url_, Directory directory, const SessionOptions& options_, Instant fetched)
      : directory_url(std::move(directory_url_)),
        over_https(is_https(directory_url)),
        options(checked(options_)),
        nonces(options.nonce_pool, options.nonce_lifetime),
        directory_(std::make_shared<const Directory>(std::move(directory))),
        refresh_at_(fetched.steady + options.directory_lifetime) {}

  const std::string directory_url;  ///< As it was asked for, before redirects.
  /// The directory was asked for by https: then no URL that this CA gives may lead to http.
  const bool over_https;
  const SessionOptions options;
  NoncePool nonces;
  CompletionEstimate validation;
  CompletionEstimate issuance;

  void measured(std::chrono::steady_clock::duration round_trip);
  /// About what one request takes, from the last few.
  std::chrono::microseconds round_trip();

  /// The directory as last fetched.
  std::shared_ptr<const Directory> directory() const;
  /// Whether its age calls for fetching it again. If so, this call also postpones the next time that this is true: one
  /// of many concurrent flows refreshes, and a CA that does not answer is not asked before each request.
  bool claim_refresh(Instant now);
  /// The same after an endpoint answered 404 or 410: not within a minute after that was done. Until then each of
  /// several concurrent flows fetches it: none of them could continue without.
  bool wants_refresh_of_endpoints(Instant now) const;
  void endpoints_refreshed(Instant now);
  void refreshed(Directory directory, Instant now);

 private:
  mutable std::mutex mutex_;
  std::chrono::duration<double, std::milli> round_trip_{0};
  std::shared_ptr<const Directory> directory_;
  std::chrono::steady_clock::time_point refresh_at_;
  std::optional<std::chrono::steady_clock::time_point> endpoints_refreshed_;
};

}  // namespace culmen::engine
