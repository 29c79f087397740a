#include "culmen/error.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "culmen/result.hpp"

namespace culmen {
namespace {

constexpr std::string_view urn_prefix = "urn:ietf:params:acme:error:";
constexpr std::size_t longest_said = 1000;
constexpr std::size_t most_problems_said = 10;

/// Whether the same call may go through later.
enum class Retry { no, yes, by_status, by_problems };

struct Row {
  Errc code;
  std::string_view name;
  ErrorKind kind;
  Retry retry;
  std::string_view text;  ///< Our own codes: said when there is no detail. ACME codes: the type after the URN prefix.
};

/// All there is to know about a code. One row a code, in the order of the enum.
constexpr Row rows[] = {
    // A wrong argument is a request no CA could honour, so it counts with what the CA would have refused.
    {Errc::invalid_argument, "invalid_argument", ErrorKind::acme, Retry::no, "this cannot be asked for"},
    {Errc::cancelled, "cancelled", ErrorKind::http, Retry::no, "cancelled"},
    {Errc::deadline, "deadline", ErrorKind::http, Retry::yes, "the time limit ran out"},
    {Errc::connection_failed, "connection_failed", ErrorKind::http, Retry::yes, "the server could not be reached"},
    // A certificate will not become valid within the time of a retry loop.
    {Errc::tls_failed, "tls_failed", ErrorKind::http, Retry::no, "the server's TLS is not to be trusted"},
    {Errc::timeout, "timeout", ErrorKind::http, Retry::yes, "the server did not answer in time"},
    {Errc::response_too_large, "response_too_large", ErrorKind::http, Retry::no, "the response is too large"},
    {Errc::bad_response, "bad_response", ErrorKind::http, Retry::no, "the response is not what ACME allows"},
    {Errc::http_status, "http_status", ErrorKind::http, Retry::by_status, "the server answered with an error"},
    {Errc::not_offered, "not_offered", ErrorKind::acme, Retry::no, "the CA does not offer this"},
    {Errc::order_invalid, "order_invalid", ErrorKind::acme, Retry::by_problems, "the order is invalid"},
    {Errc::authorization_invalid, "authorization_invalid", ErrorKind::acme, Retry::by_problems,
     "the authorization is invalid"},
    {Errc::crypto_failed, "crypto_failed", ErrorKind::crypto, Retry::no, "cryptography failed"},
    {Errc::unsupported_key_type, "unsupported_key_type", ErrorKind::crypto, Retry::no, "the key type is not supported"},
    {Errc::jose_failed, "jose_failed", ErrorKind::jose, Retry::no, "the JSON web key or signature is not well-formed"},
    {Errc::io_failed, "io_failed", ErrorKind::io, Retry::no, "the system reports an error"},
    {Errc::conflict, "conflict", ErrorKind::io, Retry::yes, "what is stored has changed meanwhile"},
    {Errc::fenced, "fenced", ErrorKind::io, Retry::no, "another process has taken over the lease"},
    {Errc::held, "held", ErrorKind::io, Retry::yes, "another process holds the lease"},
    {Errc::not_found, "not_found", ErrorKind::io, Retry::no, "there is none"},
    {Errc::solver_failed, "solver_failed", ErrorKind::io, Retry::no, "the solver failed"},
    {Errc::account_does_not_exist, "account_does_not_exist", ErrorKind::acme, Retry::no, "accountDoesNotExist"},
    {Errc::already_replaced, "already_replaced", ErrorKind::acme, Retry::no, "alreadyReplaced"},
    {Errc::already_revoked, "already_revoked", ErrorKind::acme, Retry::no, "alreadyRevoked"},
    {Errc::auto_renewal_canceled, "auto_renewal_canceled", ErrorKind::acme, Retry::no, "autoRenewalCanceled"},
    {Errc::auto_renewal_cancellation_invalid, "auto_renewal_cancellation_invalid", ErrorKind::acme, Retry::no,
     "autoRenewalCancellationInvalid"},
    {Errc::auto_renewal_expired, "auto_renewal_expired", ErrorKind::acme, Retry::no, "autoRenewalExpired"},
    {Errc::auto_renewal_revocation_not_supported, "auto_renewal_revocation_not_supported", ErrorKind::acme, Retry::no,
     "autoRenewalRevocationNotSupported"},
    {Errc::bad_attestation_statement, "bad_attestation_statement", ErrorKind::acme, Retry::no,
     "badAttestationStatement"},
    {Errc::bad_csr, "bad_csr", ErrorKind::acme, Retry::no, "badCSR"},
    {Errc::bad_nonce, "bad_nonce", ErrorKind::acme, Retry::yes, "badNonce"},
    {Errc::bad_public_key, "bad_public_key", ErrorKind::acme, Retry::no, "badPublicKey"},
    {Errc::bad_revocation_reason, "bad_revocation_reason", ErrorKind::acme, Retry::no, "badRevocationReason"},
    {Errc::bad_signature_algorithm, "bad_signature_algorithm", ErrorKind::acme, Retry::no, "badSignatureAlgorithm"},
    {Errc::caa, "caa", ErrorKind::acme, Retry::no, "caa"},
    {Errc::compound, "compound", ErrorKind::acme, Retry::by_problems, "compound"},
    // The CA did not get through to the name's server or name servers: networks recover.
    {Errc::connection, "connection", ErrorKind::acme, Retry::yes, "connection"},
    {Errc::dns, "dns", ErrorKind::acme, Retry::yes, "dns"},
    {Errc::external_account_required, "external_account_required", ErrorKind::acme, Retry::no,
     "externalAccountRequired"},
    {Errc::incorrect_response, "incorrect_response", ErrorKind::acme, Retry::no, "incorrectResponse"},
    {Errc::invalid_contact, "invalid_contact", ErrorKind::acme, Retry::no, "invalidContact"},
    {Errc::invalid_profile, "invalid_profile", ErrorKind::acme, Retry::no, "invalidProfile"},
    {Errc::malformed, "malformed", ErrorKind::acme, Retry::no, "malformed"},
    {Errc::onion_caa_required, "onion_caa_required", ErrorKind::acme, Retry::no, "onionCAARequired"},
    // The authorizations are done before the order knows it.
    {Errc::order_not_ready, "order_not_ready", ErrorKind::acme, Retry::yes, "orderNotReady"},
    {Errc::rate_limited, "rate_limited", ErrorKind::acme, Retry::yes, "rateLimited"},
    {Errc::rejected_identifier, "rejected_identifier", ErrorKind::acme, Retry::no, "rejectedIdentifier"},
    {Errc::server_internal, "server_internal", ErrorKind::acme, Retry::yes, "serverInternal"},
    {Errc::tls, "tls", ErrorKind::acme, Retry::no, "tls"},
    {Errc::unauthorized, "unauthorized", ErrorKind::acme, Retry::no, "unauthorized"},
    {Errc::unknown_delegation, "unknown_delegation", ErrorKind::acme, Retry::no, "unknownDelegation"},
    {Errc::unsupported_contact, "unsupported_contact", ErrorKind::acme, Retry::no, "unsupportedContact"},
    {Errc::unsupported_identifier, "unsupported_identifier", ErrorKind::acme, Retry::no, "unsupportedIdentifier"},
    {Errc::user_action_required, "user_action_required", ErrorKind::acme, Retry::no, "userActionRequired"},
    {Errc::unknown_acme_error, "unknown_acme_error", ErrorKind::acme, Retry::by_status, ""},
};

constexpr std::size_t index_of(Errc code) noexcept { return static_cast<std::size_t>(code) - 1; }
constexpr std::size_t first_acme_row = index_of(Errc::account_does_not_exist);

constexpr bool rows_follow_the_enum() {
  for (std::size_t i = 0; i < std::size(rows); ++i)
    if (index_of(rows[i].code) != i) return false;
  return std::size(rows) == index_of(Errc::unknown_acme_error) + 1;
}
static_assert(rows_follow_the_enum());

const Row& row_of(Errc code) noexcept { return rows[std::min(index_of(code), std::size(rows) - 1)]; }

/// "2 h 5 min": the two largest units.
std::string in_words(std::chrono::seconds wait) {
  struct Unit {
    std::int64_t size;
    const char* name;
  };
  constexpr std::array<Unit, 4> units = {{{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}}};
  std::int64_t rest = std::max<std::int64_t>(wait.count(), 0);
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (rest < units[i].size) continue;
    std::string out = std::to_string(rest / units[i].size) + units[i].name;
    rest %= units[i].size;
    if (i + 1 < units.size() && rest >= units[i + 1].size)
      out += " " + std::to_string(rest / units[i + 1].size) + units[i + 1].name;
    return out;
  }
  return "0 s";
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty() && !part.empty()) out += separator;
    out += part;
  }
  return out;
}

/// "blocked.example: rejectedIdentifier: we do not issue for it"
std::string said_by(const Problem& problem) {
  std::string out;
  if (problem.identifier) out += printable(problem.identifier->value, 255) + ": ";
  const bool has_type = problem.type != "about:blank" && !problem.type.empty();
  if (has_type) out += printable(problem.short_type(), 100);
  if (has_type && !problem.detail.empty()) out += ": ";
  if (!has_type && problem.detail.empty()) out += "no reason given";
  return out + printable(problem.detail);
}

/// What a problem says beyond its type and detail, in a few words each.
std::vector<std::string> extras_of(const Problem& problem) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < problem.subproblems.size() && i < most_problems_said; ++i)
    out.push_back(said_by(problem.subproblems[i]));
  if (problem.subproblems.size() > most_problems_said)
    out.push_back("and " + std::to_string(problem.subproblems.size() - most_problems_said) + " more");
  if (!problem.algorithms.empty()) out.push_back("the CA accepts " + printable(joined(problem.algorithms, ", ")));
  if (!problem.terms_of_service.empty()) out.push_back("terms of service: " + printable(problem.terms_of_service));
  if (!problem.instance.empty()) out.push_back("see " + printable(problem.instance));
  return out;
}

std::string in_parentheses(const std::vector<std::string>& parts) {
  return parts.empty() ? std::string() : " (" + joined(parts, "; ") + ")";
}

bool is_temporary_status(int status) noexcept {
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

bool may_pass_later(Errc code, int status, const std::vector<Problem>& problems) noexcept {
  switch (row_of(code).retry) {
    case Retry::no: return false;
    case Retry::yes: return true;
    case Retry::by_status: return is_temporary_status(status);
    case Retry::by_problems:
      return !problems.empty() && std::all_of(problems.begin(), problems.end(), [](const Problem& problem) {
        return may_pass_later(errc_from_type(problem.type), problem.status, problem.subproblems);
      });
  }
  return false;
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "culmen"; }
  std::string message(int value) const override {
    const Row& row = row_of(static_cast<Errc>(value));
    return std::string(row.text.empty() ? row.name : row.text);
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<Errc>(value)) {
      case Errc::cancelled: return std::make_error_condition(std::errc::operation_canceled);
      case Errc::deadline:
      case Errc::timeout: return std::make_error_condition(std::errc::timed_out);
      case Errc::invalid_argument: return std::make_error_condition(std::errc::invalid_argument);
      case Errc::not_offered: return std::make_error_condition(std::errc::not_supported);
      default: return std::error_condition(value, *this);
    }
  }
};

class ConditionCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "culmen-condition"; }
  std::string message(int value) const override {
    return value == static_cast<int>(ErrorCondition::temporary) ? "temporary" : "from the server";
  }
  bool equivalent(const std::error_code& code, int condition) const noexcept override {
    if (code.category() != acme_category() || !code) return false;
    const Row& row = row_of(static_cast<Errc>(code.value()));
    switch (static_cast<ErrorCondition>(condition)) {
      case ErrorCondition::temporary: return row.retry == Retry::yes;
      case ErrorCondition::from_server: return index_of(row.code) >= first_acme_row;
    }
    return false;
  }
};

}  // namespace

const std::error_category& acme_category() noexcept {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), acme_category()}; }

std::error_condition make_error_condition(ErrorCondition condition) noexcept {
  static const ConditionCategory category;
  return {static_cast<int>(condition), category};
}

bool operator==(Errc code, ErrorCondition condition) noexcept {
  return make_error_code(code) == make_error_condition(condition);
}

struct Error::Data {
  Errc code = Errc::invalid_argument;
  std::string doing;
  std::string detail;
  std::vector<Problem> problems;
  bool is_refusal = false;  ///< Made from one problem document, which is the answer to what we were doing.
  std::optional<std::chrono::seconds> retry_after;
  int http_status = 0;
  std::error_code system_code;
  std::string what;

  std::shared_ptr<const Data> finished() && {
    what = sentence();
    return std::make_shared<const Data>(std::move(*this));
  }

  std::string sentence() const {
    std::string out = printable(doing, longest_said);
    if (!out.empty()) out += ": ";
    std::vector<std::string> extras;
    if (http_status != 0) extras.push_back("HTTP " + std::to_string(http_status));
    if (is_refusal && !problems.empty()) {
      out += code == Errc::server_internal ? "the CA failed: " : "the CA refused: ";
      out += said_by(problems.front());
      for (std::string& extra : extras_of(problems.front())) extras.push_back(std::move(extra));
    } else {
      out += detail.empty() ? std::string(row_of(code).text) : printable(detail, longest_said);
      // An order and its authorizations: what the CA found wrong with each.
      for (std::size_t i = 0; i < problems.size() && i < most_problems_said; ++i)
        out += (i == 0 ? ": " : "; ") + said_by(problems[i]) + in_parentheses(extras_of(problems[i]));
      if (problems.size() > most_problems_said)
        out += "; and " + std::to_string(problems.size() - most_problems_said) + " more";
    }
    if (system_code && detail.find(system_code.message()) == detail.npos) extras.push_back(system_code.message());
    if (retry_after) extras.push_back("the CA asks to wait " + in_words(*retry_after));
    return out + in_parentheses(extras);
  }
};

Error::Error(Errc code, std::string_view doing, std::string_view detail) {
  Data data;
  data.code = code;
  data.doing = doing;
  data.detail = detail;
  data_ = std::move(data).finished();
}

Error::Error(Problem problem, std::string_view doing) {
  Data data;
  data.code = errc_from_type(problem.type);
  data.doing = doing;
  data.http_status = problem.status;
  data.is_refusal = true;
  data.problems.push_back(std::move(problem));
  data_ = std::move(data).finished();
}

Error::Error(std::shared_ptr<const Data> data) noexcept : data_(std::move(data)) {}

Errc Error::code() const noexcept { return data_->code; }
ErrorKind Error::kind() const noexcept { return row_of(data_->code).kind; }
const char* Error::what() const noexcept { return data_->what.c_str(); }
const std::string& Error::doing() const noexcept { return data_->doing; }
const std::string& Error::detail() const noexcept { return data_->detail; }
const Problem* Error::problem() const noexcept { return data_->problems.empty() ? nullptr : &data_->problems.front(); }
const std::vector<Problem>& Error::problems() const noexcept { return data_->problems; }
std::optional<std::chrono::seconds> Error::retry_after() const noexcept { return data_->retry_after; }
int Error::http_status() const noexcept { return data_->http_status; }
std::error_code Error::system_code() const noexcept { return data_->system_code; }

Error Error::with_retry_after(std::optional<std::chrono::seconds> wait) const {
  Data data = *data_;
  data.retry_after = wait;
  return Error(std::move(data).finished());
}

Error Error::with_http_status(int status) const {
  Data data = *data_;
  data.http_status = status;
  return Error(std::move(data).finished());
}

Error Error::with_system_code(std::error_code code) const {
  Data data = *data_;
  data.system_code = code;
  return Error(std::move(data).finished());
}

Error Error::with_problems(std::vector<Problem> problems) const {
  Data data = *data_;
  data.problems = std::move(problems);
  return Error(std::move(data).finished());
}

Error Error::while_doing(std::string_view outer) const {
  Data data = *data_;
  data.doing = data.doing.empty() ? std::string(outer) : std::string(outer) + ": " + data.doing;
  return Error(std::move(data).finished());
}

Error error_from_exception(const std::exception_ptr& thrown, std::string_view doing) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return doing.empty() ? error : error.while_doing(doing);
  } catch (const std::exception& error) {
    return Error(Errc::solver_failed, doing, error.what());
  } catch (...) {
    return Error(Errc::solver_failed, doing, "an exception that is not a std::exception");
  }
}

std::string_view to_string(Errc code) noexcept { return row_of(code).name; }

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::jose: return "jose";
    case ErrorKind::http: return "http";
    case ErrorKind::acme: return "acme";
    case ErrorKind::crypto: return "crypto";
    case ErrorKind::io: return "io";
  }
  return "unknown";
}

Errc errc_from_type(std::string_view type) noexcept {
  if (!type.starts_with(urn_prefix)) return Errc::unknown_acme_error;
  type.remove_prefix(urn_prefix.size());
  for (std::size_t i = first_acme_row; i < std::size(rows); ++i)
    if (!type.empty() && rows[i].text == type) return rows[i].code;
  return Errc::unknown_acme_error;
}

bool is_worth_retrying(const Error& error) noexcept {
  // RFC 8555 §6.7: "compound" is explained by its subproblems.
  const Problem* problem = error.problem();
  const bool is_compound = error.code() == Errc::compound && problem;
  return may_pass_later(error.code(), error.http_status(), is_compound ? problem->subproblems : error.problems());
}

std::string Problem::short_type() const {
  return type.starts_with(urn_prefix) && type.size() > urn_prefix.size() ? type.substr(urn_prefix.size()) : type;
}

}  // namespace culmen
