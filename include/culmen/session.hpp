// The state that a client shares between its calls.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "culmen/directory.hpp"
#include "culmen/options.hpp"

namespace culmen::engine {

/// One CA: its directory, its nonces, and the retry and polling options for it. A shared handle: copies are the same
/// session. Thread-safe; may be used by several executions at once. Calling functions of an empty handle is undefined.
///
/// The directory is fetched again by the first request after SessionOptions::directory_lifetime, and when an endpoint
/// answers 404 or 410; then the request is repeated at the new URL. If it cannot be fetched, the old one remains in
/// use.
class Session {
 public:
  struct State;
  /// An empty handle, for APIs that require default construction. Use connect().
  Session() noexcept = default;
  Session(std::shared_ptr<State> state, int nonce_retries) noexcept
      : state_(std::move(state)), nonce_retries_(nonce_retries) {}

  /// A copy of the directory as last fetched.
  Directory directory() const;
  const SessionOptions& options() const noexcept;
  /// The directory's URL as connect() was asked for it, before redirects. Storage knows the CA by it.
  const std::string& directory_url() const noexcept;

  /// The same session with another value for SessionOptions::nonce_retries.
  Session with_nonce_retries(int retries) const noexcept;
  int nonce_retries() const noexcept { return nonce_retries_; }

  // Internal.
  State& state() const noexcept { return *state_; }

 private:
  std::shared_ptr<State> state_;
  int nonce_retries_ = 0;
};

}  // namespace culmen::engine
