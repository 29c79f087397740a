#include "engines/postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <new>
#include <system_error>

#include <libpq-fe.h>

#include "base/text.hpp"

namespace culmen::postgres {

namespace {

using std::chrono::milliseconds;

constexpr int oldest_server = 130000;
// The server gives up that long before this side does: then the outcome is known.
constexpr milliseconds answer_margin{250};
constexpr milliseconds shortest_statement{100};

// Types of parameters, as in the server's catalogue pg_type.
constexpr unsigned text_type = 25, bigint_type = 20, bytea_type = 17;
constexpr unsigned text_array_type = 1009, bigint_array_type = 1016, bytea_array_type = 1001;

// Of a transaction, and which of them is the caller's.
constexpr std::size_t statements = 5, callers_statement = 3;

milliseconds left_until(Deadline deadline) {
  return std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
}

/// Waits until the socket is ready. What has arrived already counts, also after the deadline: this process may have
/// been stopped meanwhile.
bool wait_for_socket(int descriptor, short events, Deadline deadline) {
  for (;;) {
    pollfd waiting{descriptor, events, 0};
    const auto left = std::max(left_until(deadline), milliseconds(0));
    const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) {
      throw SqlFailure{Errc::io_failed, "poll: " + std::generic_category().message(errno), "", true};
    }
  }
}

void append_number(std::string& out, std::uint64_t number, int octets) {
  for (int shift = (octets - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift & 0xff));
}

std::string encoded(std::int64_t number) {
  std::string out;
  append_number(out, static_cast<std::uint64_t>(number), 8);
  return out;
}

/// An array of one dimension in the binary format; nullopt is NULL.
std::string encoded_array(unsigned element_type, const std::vector<std::optional<std::string_view>>& elements) {
  const bool has_null = std::ranges::any_of(elements, [](const auto& element) { return !element; });
  std::string out;
  append_number(out, elements.empty() ? 0 : 1, 4);
  append_number(out, has_null ? 1 : 0, 4);
  append_number(out, element_type, 4);
  if (elements.empty()) return out;
  append_number(out, elements.size(), 4);
  append_number(out, 1, 4);  // the first index
  for (const auto& element : elements) {
    append_number(out, element ? element->size() : 0xffffffff, 4);
    if (element) out.append(*element);
  }
  return out;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

/// Whether all of a value can be shown. What is put together wrongly, such as "disable;password=x", cannot.
bool is_plain_value(std::string_view value) {
  return std::ranges::none_of(
      value, [](char c) { return std::string_view(" \t\r\n@;=?#&\"'\\").find(c) != std::string_view::npos; });
}

bool is_port(const std::string& text) {
  return text.size() <= 5 && text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_host(const std::string& text) {
  if (text.empty()) return true;
  const bool is_socket = text.front() == '/' || text.front() == '@';
  const std::string_view rest = std::string_view(text).substr(text.front() == '@' ? 1 : 0);
  return is_plain_value(rest) && (is_socket || rest.find('/') == std::string_view::npos);
}

/// Whether the value of an option that is not secret can be meant like that: it could be a part of the password.
bool is_plausible(const std::string& keyword, const std::string& value) {
  const std::string lower = base::to_lower(value);
  if (lower.find("password=") != std::string::npos || lower.find("pwd=") != std::string::npos) return false;
  const std::vector<std::string> parts = split(value);
  if (keyword == "port") return std::ranges::all_of(parts, is_port);
  return (keyword != "host" && keyword != "hostaddr") || std::ranges::all_of(parts, is_host);
}

/// Whether an "@" stands where none can: libpq takes a part of such a password for a host, a port or a database.
bool is_ambiguous_uri(std::string_view text) {
  const std::size_t scheme =
      text.starts_with("postgresql://") || text.starts_with("postgres://") ? text.find("://") : text.npos;
  if (scheme == text.npos) return false;
  const std::string_view rest = text.substr(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const std::string_view path = rest.substr(authority.size(), rest.find('?') - authority.size());
  return std::ranges::count(authority, '@') > 1 || path.find('@') != path.npos;
}

/// Without any part of it.
Error unreadable_string() {
  return Error(Errc::invalid_argument, "reading the connection string for PostgreSQL",
               "it cannot be parsed; it must be \"keyword=value keyword=value\" or a postgresql:// URI, in which "
               "'@', '/', ':', '?' and '%' within a password are written as %40, %2F, %3A, %3F and %25");
}

std::string field(const PGresult* result, int which) {
  const char* const text = PQresultErrorField(result, which);
  return text ? text : "";
}

/// Whether trying again later can help.
Errc code_of(const std::string& sqlstate) {
  const std::string_view group = std::string_view(sqlstate).substr(0, 2);
  // 57014: statement_timeout. 55P03: lock_timeout. 40: deadlocks. 53: out of disk, memory or connections.
  if (sqlstate == "57014" || sqlstate == "55P03" || group == "40") return Errc::timeout;
  // 08: connection. 57P: shutting down or starting. 25, and 0A000 at BEGIN: read-only, most likely a standby.
  if (group == "08" || group == "53" || group == "25" || sqlstate.starts_with("57P") || sqlstate == "0A000") {
    return Errc::connection_failed;
  }
  return Errc::io_failed;
}

}  // namespace

// ---- ConnectionSettings ----

ConnectionSettings::ConnectionSettings(const std::string& connection) {
  // libpq's own words can quote the string.
  const auto free_options = [](PQconninfoOption* list) { PQconninfoFree(list); };
  const std::unique_ptr<PQconninfoOption, decltype(free_options)> parsed(PQconninfoParse(connection.c_str(), nullptr),
                                                                         free_options);
  if (!parsed || connection.find('\0') != std::string::npos || is_ambiguous_uri(connection)) throw unreadable_string();
  std::string host, port, database;
  for (const PQconninfoOption* option = parsed.get(); option->keyword; ++option) {
    if (!option->val) continue;
    const std::string keyword = option->keyword, value = option->val;
    const bool is_secret = std::strchr(option->dispchar, '*') != nullptr;
    if (!is_secret && !is_plausible(keyword, value)) throw unreadable_string();
    if (!value.empty() && (is_secret || !is_plain_value(value))) secrets_.push_back(value);
    if (keyword == "host" || (keyword == "hostaddr" && host.empty())) host = value;
    if (keyword == "port") port = value;
    if (keyword == "dbname") database = value;
    options_.emplace_back(keyword, value);
  }
  // The longest first: one can be a part of another.
  std::ranges::sort(secrets_, std::ranges::greater(), &std::string::size);
  place_ = "PostgreSQL at " + (host.empty() ? "its default host" : host);
  if (!port.empty()) place_ += ":" + port;
  if (!database.empty()) place_ += ", database " + (is_plain_value(database) ? database : "***");
}

std::string ConnectionSettings::printable_text(std::string_view text) const {
  std::string line(text);
  for (const std::string& secret : secrets_) {
    for (std::size_t at = 0; (at = line.find(secret, at)) != std::string::npos; at += 3)
      line.replace(at, secret.size(), "***");
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\t', ' ');
  return printable(line);
}

void ConnectionSettings::rotate_hosts() {
  for (auto& [keyword, value] : options_) {
    if (keyword != "host" && keyword != "hostaddr" && keyword != "port") continue;
    std::vector<std::string> parts = split(value);
    std::rotate(parts.begin(), parts.begin() + 1, parts.end());
    value.clear();
    for (const std::string& part : parts) value += (&part == &parts.front() ? "" : ",") + part;
  }
}

// ---- Parameters ----

Parameters& Parameters::append(unsigned type, std::string value) {
  types_.push_back(type);
  values_.push_back(std::move(value));
  return *this;
}

Parameters& Parameters::add(std::string_view text) { return append(text_type, std::string(text)); }

Parameters& Parameters::add(std::int64_t number) { return append(bigint_type, encoded(number)); }

Parameters& Parameters::add(const std::vector<std::string>& texts) {
  const std::vector<std::optional<std::string_view>> elements(texts.begin(), texts.end());
  return append(text_array_type, encoded_array(text_type, elements));
}

Parameters& Parameters::add(const std::vector<std::optional<std::int64_t>>& numbers) {
  std::vector<std::string> texts;
  texts.reserve(numbers.size());  // the elements point into it
  std::vector<std::optional<std::string_view>> elements;
  for (const auto& number : numbers) {
    if (number) texts.push_back(encoded(*number));
    elements.push_back(number ? std::optional<std::string_view>(texts.back()) : std::nullopt);
  }
  return append(bigint_array_type, encoded_array(bigint_type, elements));
}

Parameters& Parameters::add(const std::vector<const std::string*>& octets) {
  std::vector<std::optional<std::string_view>> elements;
  for (const std::string* value : octets)
    elements.push_back(value ? std::optional<std::string_view>(*value) : std::nullopt);
  return append(bytea_array_type, encoded_array(bytea_type, elements));
}

// ---- Rows ----

void Rows::Clear::operator()(pg_result* result) const noexcept { PQclear(result); }

Rows::Rows(pg_result* result) : result_(result) {}

std::size_t Rows::size() const { return result_ ? static_cast<std::size_t>(PQntuples(result_.get())) : 0; }

bool Rows::is_null(std::size_t row, int column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), column) == 1;
}

std::string Rows::octets(std::size_t row, int column) const {
  const int index = static_cast<int>(row);
  return {PQgetvalue(result_.get(), index, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), index, column))};
}

std::int64_t Rows::number(std::size_t row, int column) const {
  std::uint64_t number = 0;
  for (const char octet : octets(row, column)) number = number << 8 | static_cast<unsigned char>(octet);
  return static_cast<std::int64_t>(number);
}

bool Rows::truth(std::size_t row, int column) const { return number(row, column) != 0; }

// ---- Connection ----

Connection::Connection(const ConnectionSettings& settings, Deadline deadline) : settings_(settings) {
  // The later one wins: what the connection string says is between the defaults and what has to be.
  std::vector<std::pair<std::string, std::string>> options = {
      {"fallback_application_name", "culmen"}, {"tcp_user_timeout", "2000"}, {"keepalives_idle", "30"}};
  options.insert(options.end(), settings.options().begin(), settings.options().end());
  options.emplace_back("client_encoding", "UTF8");
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : options) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);

  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  PGconn* const connection = connection_.get();
  if (!connection) throw std::bad_alloc();
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);  // the default writes to standard error
  for (auto next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK; next = PQconnectPoll(connection)) {
    if (PQstatus(connection) == CONNECTION_BAD || next == PGRES_POLLING_FAILED) {
      fail(Errc::connection_failed, PQerrorMessage(connection), false);
    }
    const short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for_socket(PQsocket(connection), events, deadline)) {
      fail(Errc::timeout, "no connection within the time limit", false);
    }
  }
  if (PQserverVersion(connection) < oldest_server) {
    fail(Errc::io_failed, "the server is older than PostgreSQL 13, which culmen needs", false);
  }
  if (PQsetnonblocking(connection, 1) != 0) fail(Errc::io_failed, PQerrorMessage(connection), false);
}

void Connection::Finish::operator()(pg_conn* connection) const noexcept { PQfinish(connection); }

bool Connection::is_usable() const {
  PGconn* const connection = connection_.get();
  if (broken_ || PQstatus(connection) != CONNECTION_OK || PQtransactionStatus(connection) != PQTRANS_IDLE) {
    return false;
  }
  // Whatever arrives unasked means that the server closes the connection.
  pollfd waiting{PQsocket(connection), POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 0;
}

void Connection::fail(Errc code, std::string_view text, bool unknown) {
  broken_ = true;
  throw SqlFailure{code, settings_.printable_text(text), "", unknown};
}

/// nullptr at the end of the results of a statement.
std::unique_ptr<pg_result, void (*)(pg_result*)> Connection::next_result(Deadline deadline) {
  PGconn* const connection = connection_.get();
  const auto lost = [this, connection] { fail(Errc::connection_failed, PQerrorMessage(connection), true); };
  while (PQisBusy(connection) == 1) {
    const int unsent = PQflush(connection);
    if (unsent < 0) lost();
    const short events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
    if (!wait_for_socket(PQsocket(connection), events, deadline)) {
      fail(Errc::timeout, "no answer within the time limit", true);
    }
    if (PQconsumeInput(connection) != 1) lost();
  }
  return {PQgetResult(connection), PQclear};
}

Rows Connection::run(const std::string& sql, const Parameters& parameters, Deadline deadline) {
  PGconn* const connection = connection_.get();
  const milliseconds limit = left_until(deadline) - answer_margin;
  if (limit < shortest_statement) {
    throw SqlFailure{Errc::timeout, "no time was left for the statement; nothing was sent", "", false};
  }
  const std::string time = "'" + std::to_string(limit.count()) + "'";
  // The level is set: with another default, a statement that waited for a lock would fail instead of looking again.
  const std::string begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
  const std::string search_path = "SET LOCAL search_path = pg_catalog, pg_temp";
  // A commit that is answered is on disk, also where the server's default is not to wait for that. statement_timeout
  // does not count for the commit, so a wait for a synchronous standby is never cut short, which would count as
  // success.
  const std::string limits =
      "SELECT set_config('statement_timeout', " + time + ", true), set_config('lock_timeout', " + time +
      ", true), set_config('idle_in_transaction_session_timeout', '2000', true), set_config('synchronous_commit', "
      "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, "
      "true)";
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& value : parameters.values()) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  const std::vector<int> binary(values.size(), 1);
  const auto send = [connection](const std::string& text) {
    return PQsendQueryParams(connection, text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) == 1;
  };
  const bool sent =
      PQenterPipelineMode(connection) == 1 && send(begin) && send(search_path) && send(limits) &&
      PQsendQueryParams(connection, sql.c_str(), static_cast<int>(values.size()), parameters.types().data(),
                        values.data(), lengths.data(), binary.data(), 1) == 1 &&
      send("COMMIT") && PQpipelineSync(connection) == 1;
  if (!sent) fail(Errc::connection_failed, PQerrorMessage(connection), true);

  Rows rows;
  std::optional<SqlFailure> failure;
  for (std::size_t statement = 0;;) {
    auto result = next_result(deadline);
    if (!result) {
      if (++statement > statements || PQstatus(connection) != CONNECTION_OK) {
        fail(Errc::connection_failed, PQerrorMessage(connection), true);
      }
      continue;
    }
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) break;
    if (status == PGRES_FATAL_ERROR && !failure) {
      // The first line alone: the details of an error can contain values.
      const std::string severity = field(result.get(), PG_DIAG_SEVERITY_NONLOCALIZED);
      const std::string sqlstate = field(result.get(), PG_DIAG_SQLSTATE);
      const std::string text = field(result.get(), PG_DIAG_MESSAGE_PRIMARY);
      if (sqlstate.empty()) fail(Errc::connection_failed, PQerrorMessage(connection), true);
      failure = SqlFailure{code_of(sqlstate), settings_.printable_text(text), sqlstate, severity != "ERROR"};
      if (failure->unknown) {
        broken_ = true;
        throw *failure;
      }
    }
    if (statement == callers_statement && status == PGRES_TUPLES_OK) rows = Rows(result.release());
  }
  if (PQexitPipelineMode(connection) != 1) broken_ = true;
  if (!failure) return rows;
  roll_back(deadline);
  throw *failure;
}

void Connection::roll_back(Deadline deadline) noexcept {
  try {
    if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) run_script("ROLLBACK", deadline);
  } catch (...) {
    broken_ = true;
  }
}

void Connection::run_script(const std::string& sql, Deadline deadline) {
  PGconn* const connection = connection_.get();
  if (PQsendQuery(connection, sql.c_str()) != 1) fail(Errc::connection_failed, PQerrorMessage(connection), true);
  std::optional<SqlFailure> failure;
  while (auto result = next_result(deadline)) {
    if (PQresultStatus(result.get()) != PGRES_FATAL_ERROR || failure) continue;
    const std::string sqlstate = field(result.get(), PG_DIAG_SQLSTATE);
    if (sqlstate.empty()) fail(Errc::connection_failed, PQerrorMessage(connection), true);
    failure = SqlFailure{code_of(sqlstate), settings_.printable_text(field(result.get(), PG_DIAG_MESSAGE_PRIMARY)),
                         sqlstate, false};
  }
  if (failure) {
    if (sql != "ROLLBACK") roll_back(deadline);
    throw *failure;
  }
}

}  // namespace culmen::postgres
