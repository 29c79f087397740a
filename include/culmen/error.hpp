// The one error type of culmen.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include "culmen/problem.hpp"

namespace culmen {

/// The five broad kinds.
enum class ErrorKind { jose, http, acme, crypto, io };

/// What went wrong. The first group is culmen's own; the second is the ACME error registry (RFC 8555 §9.7.4 and the
/// extensions), from a problem document's type.
enum class Errc {
  // culmen's own
  invalid_argument = 1,   ///< The caller asked for something that cannot be.
  cancelled,              ///< The caller cancelled.
  deadline,               ///< The time limit ran out, or the server asks to wait past it.
  connection_failed,      ///< DNS, TCP or proxy: the server was not reached.
  tls_failed,             ///< The server was reached, but is not to be trusted (or speaks no TLS we accept).
  timeout,                ///< The server was reached and did not answer in time.
  response_too_large,     ///< The body is over the limit.
  bad_response,           ///< An answer that ACME does not allow.
  http_status,            ///< An error status without a problem document.
  not_offered,            ///< The CA or the authorization does not offer what is needed.
  order_invalid,          ///< The order ended in `invalid`; problems() says why.
  authorization_invalid,  ///< The authorization ended in a state other than `valid`; problems() says why.
  crypto_failed,          ///< A key, certificate or signature is not usable.
  unsupported_key_type,   ///< The name is unknown, or this machine's OpenSSL does not have the algorithm.
  jose_failed,            ///< A JWK or JWS is not well-formed.
  io_failed,              ///< A file or socket of this machine; system_code() says which errno.
  solver_failed,          ///< A solver could not present or clean up.
  // from problem documents
  account_does_not_exist,
  already_replaced,
  already_revoked,
  auto_renewal_canceled,
  auto_renewal_cancellation_invalid,
  auto_renewal_expired,
  auto_renewal_revocation_not_supported,
  bad_attestation_statement,
  bad_csr,
  bad_nonce,
  bad_public_key,
  bad_revocation_reason,
  bad_signature_algorithm,
  caa,
  compound,
  connection,
  dns,
  external_account_required,
  incorrect_response,
  invalid_contact,
  invalid_profile,
  malformed,
  onion_caa_required,
  order_not_ready,
  rate_limited,
  rejected_identifier,
  server_internal,
  tls,
  unauthorized,
  unknown_delegation,
  unsupported_contact,
  unsupported_identifier,
  user_action_required,
  unknown_acme_error,  ///< A problem document with a type that is not in the list above.
};

/// What a code belongs to, for comparisons: `std::error_code(error.code()) == ErrorCondition::temporary`.
enum class ErrorCondition {
  temporary = 1,  ///< The code alone says that the same call may succeed later; see is_worth_retrying().
  from_server,    ///< The code comes from a problem document: the CA refused.
};

/// The category of Errc, named "culmen". std::errc works as a condition too: cancelled is operation_canceled, timeout
/// and deadline are timed_out, invalid_argument is invalid_argument, not_offered is not_supported.
const std::error_category& acme_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;
std::error_condition make_error_condition(ErrorCondition condition) noexcept;

/// The name of a code, as "order_invalid"; never empty.
std::string_view to_string(Errc code) noexcept;
std::string_view to_string(ErrorKind kind) noexcept;

/// Maps a problem document's type to a code; by the full URN only. `unknown_acme_error` when it is none we know.
Errc errc_from_type(std::string_view type) noexcept;

/// What went wrong, while doing what, and what the server said about it. Cheap to copy; safe to share.
/// Thrown by the public API; carried in Result<T> inside flows.
class Error : public std::exception {
 public:
  Error(Errc code, std::string_view doing, std::string_view detail = {});
  /// From a problem document; the code comes from its type.
  Error(Problem problem, std::string_view doing);

  Errc code() const noexcept;
  ErrorKind kind() const noexcept;

  /// One line: what we were doing, what went wrong, and what the server said (made printable, and cut short).
  const char* what() const noexcept override;

  /// What culmen was doing, as "creating an order".
  const std::string& doing() const noexcept;
  /// What went wrong, without what we were doing and without the problem document.
  const std::string& detail() const noexcept;

  /// The server's problem document, or nullptr. Valid as long as this Error or a copy of it.
  const Problem* problem() const noexcept;
  /// All problem documents that belong to this error: the order's, and each failed authorization's.
  const std::vector<Problem>& problems() const noexcept;

  /// How long the server asks to wait before another try, when it said so.
  std::optional<std::chrono::seconds> retry_after() const noexcept;
  /// The HTTP status of the answer, 0 when there was none.
  int http_status() const noexcept;
  /// The system's error, when there is one.
  std::error_code system_code() const noexcept;

  // Builders; each returns a changed copy.
  Error with_retry_after(std::optional<std::chrono::seconds> wait) const;
  Error with_http_status(int status) const;
  Error with_system_code(std::error_code code) const;
  Error with_problems(std::vector<Problem> problems) const;
  /// The same error, said to have happened while doing something else as well: "issuing …: creating an order: …".
  Error while_doing(std::string_view outer) const;

 private:
  struct Data;
  explicit Error(std::shared_ptr<const Data> data) noexcept;
  std::shared_ptr<const Data> data_;
};

/// The only place that knows which errors are temporary: the same call may go through later.
bool is_worth_retrying(const Error& error) noexcept;

/// The server's text made fit for a log line: control characters replaced, cut after `limit` bytes.
std::string printable(std::string_view untrusted, std::size_t limit = 400);

}  // namespace culmen

template <>
struct std::is_error_code_enum<culmen::Errc> : std::true_type {};
template <>
struct std::is_error_condition_enum<culmen::ErrorCondition> : std::true_type {};
