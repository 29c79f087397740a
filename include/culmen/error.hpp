// Errors.
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

/// Broad categories of errors.
enum class ErrorKind { jose, http, acme, crypto, io };

/// What went wrong. The first group is culmen's own. The second group has the ACME error types (RFC 8555 §9.7.4 and
/// extensions), taken from a problem document.
enum class Errc {
  // culmen's own
  invalid_argument = 1,   ///< The caller passed an invalid argument.
  cancelled,              ///< The caller cancelled.
  deadline,               ///< The time limit passed, or the server asks to wait longer.
  connection_failed,      ///< DNS, TCP or proxy: the server was not reached.
  tls_failed,             ///< The TLS handshake failed, or the server's certificate is not trusted.
  timeout,                ///< The server was reached but did not respond in time.
  response_too_large,     ///< The header or body exceeds the limit.
  bad_response,           ///< The response violates the protocol, or is not what was asked for.
  http_status,            ///< An error status without a problem document.
  not_offered,            ///< The CA or the authorization does not offer the feature.
  order_invalid,          ///< The order ended in `invalid`; problems() says why.
  authorization_invalid,  ///< The authorization cannot become `valid` any more; problems() says why.
  crypto_failed,          ///< A key, certificate or signature cannot be used.
  unsupported_key_type,   ///< The key type is unknown, or OpenSSL does not support it.
  jose_failed,            ///< A JWK or JWS is not well-formed.
  io_failed,              ///< A local file or socket; system_code() has the errno.
  conflict,               ///< Storage: the value is not the expected one; nothing was changed.
  fenced,                 ///< Storage: a lease with a newer token was given out; nothing was changed.
  held,                   ///< Storage: another process holds the lease.
  not_found,              ///< Storage: there is no such certificate or account.
  solver_failed,          ///< A solver failed, or user code threw an exception that is not an Error.
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
  unknown_acme_error,  ///< A problem document with a type not listed above.
};

/// Conditions to compare codes with: `error.code() == ErrorCondition::temporary`.
enum class ErrorCondition {
  temporary = 1,  ///< The code alone implies that the same call may succeed later; see is_worth_retrying().
  from_server,    ///< The code comes from a problem document: the CA rejected the request.
};

/// The category of Errc, named "culmen". Codes also compare with std::errc: cancelled equals operation_canceled,
/// timeout and deadline equal timed_out, invalid_argument equals invalid_argument, not_offered equals not_supported.
const std::error_category& acme_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;
std::error_condition make_error_condition(ErrorCondition condition) noexcept;
bool operator==(Errc code, ErrorCondition condition) noexcept;

/// The name of a code, such as "order_invalid"; never empty.
std::string_view to_string(Errc code) noexcept;
std::string_view to_string(ErrorKind kind) noexcept;

/// The code for a problem document's type, which must be the full URN; `unknown_acme_error` if it is not known.
Errc errc_from_type(std::string_view type) noexcept;

/// An error: its code, what culmen was doing, and what the server said. Thrown by the clients and plain functions;
/// carried in Result<T> inside flows. Copies share immutable data: cheap to copy, thread-safe. Moving copies: an Error
/// that was moved from is still the same Error. References returned are valid while the Error or a copy exists.
class Error : public std::exception {
 public:
  Error(Errc code, std::string_view doing, std::string_view detail = {});
  /// From a problem document; the code comes from its type.
  Error(Problem problem, std::string_view doing);
  Error(const Error&) noexcept = default;
  Error& operator=(const Error&) noexcept = default;
  ~Error() override = default;

  Errc code() const noexcept;
  ErrorKind kind() const noexcept;

  /// One line: what culmen was doing, what went wrong, and what the server said. Printable, and limited in length.
  const char* what() const noexcept override;

  /// What culmen was doing, such as "creating an order"; may be empty.
  const std::string& doing() const noexcept;
  /// What went wrong, without doing() and without the problem document.
  const std::string& detail() const noexcept;

  /// The first of problems(), or nullptr.
  const Problem* problem() const noexcept;
  /// All problem documents of this error, such as those of the order and of each failed authorization.
  const std::vector<Problem>& problems() const noexcept;

  /// How long the server asks to wait before a retry, if it said so.
  std::optional<std::chrono::seconds> retry_after() const noexcept;
  /// The HTTP status of the response; 0 if there was none.
  int http_status() const noexcept;
  /// The operating system's error, if there is one.
  std::error_code system_code() const noexcept;

  // Each returns a modified copy.
  Error with_retry_after(std::optional<std::chrono::seconds> wait) const;
  Error with_http_status(int status) const;
  Error with_system_code(std::error_code code) const;
  Error with_problems(std::vector<Problem> problems) const;
  /// Puts `outer` before doing(): "issuing …: creating an order: …".
  Error while_doing(std::string_view outer) const;

 private:
  struct Data;
  explicit Error(std::shared_ptr<const Data> data) noexcept;
  std::shared_ptr<const Data> data_;
};

/// Whether the error is temporary: the same call may succeed later.
bool is_worth_retrying(const Error& error) noexcept;

/// Makes untrusted text safe for a log line: control characters and invalid UTF-8 become "?"; longer texts are cut at
/// `limit` bytes, and end in "…".
std::string printable(std::string_view untrusted, std::size_t limit = 400);

}  // namespace culmen

template <>
struct std::is_error_code_enum<culmen::Errc> : std::true_type {};
template <>
struct std::is_error_condition_enum<culmen::ErrorCondition> : std::true_type {};
