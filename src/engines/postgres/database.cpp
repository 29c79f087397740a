#include "engines/postgres/database.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <system_error>
#include <utility>

#include "culmen/storage_engine.hpp"

namespace culmen::postgres {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::chrono::seconds longest_step = 2s;
constexpr std::chrono::seconds longest_creation = 30s;
constexpr std::chrono::minutes sweep_interval = 10min;
constexpr std::int64_t schema_version = 1;
constexpr int most_attempts = 5;
// For that long a removed key stays as a row without a value, which changed() finds.
constexpr std::chrono::seconds removal_remembered = 24h;

constexpr std::string_view undefined_table = "42P01", undefined_schema = "3F000", invalid_text = "22P02";
constexpr std::string_view division_by_zero = "22012", deadlock = "40P01", serialization_failure = "40001";
// Somebody else creates the same at the same time.
constexpr std::string_view unique_violation = "23505", duplicate_table = "42P07", duplicate_schema = "42P06",
                           duplicate_object = "42710";

std::string quoted_identifier(std::string_view identifier) {
  std::string out = "\"";
  for (const char c : identifier) {
    if (c == '"') out.push_back(c);
    out.push_back(c);
  }
  return out + '"';
}

std::string valid_schema(const PostgresOptions& options) {
  const std::string& name = options.schema;
  if (name.empty() || name.size() > 63 || name.find('\0') != std::string::npos || name.starts_with("pg_")) {
    throw Error(Errc::invalid_argument, "using PostgreSQL",
                "the name of the schema must have 1 to 63 octets and not begin with pg_: \"" + printable(name) + "\"");
  }
  return name;
}

unsigned valid_connections(const PostgresOptions& options) {
  if (options.connections >= 1 && options.connections <= 64) return options.connections;
  throw Error(Errc::invalid_argument, "using PostgreSQL", "connections must be 1 to 64");
}

Revision revision_of(std::int64_t number) { return Revision(std::to_string(number)); }

/// 0: none. -1: no revision of this engine, which matches nothing.
std::int64_t number_of(const Revision& revision) {
  if (revision.none()) return 0;
  std::int64_t number = 0;
  const char* const end = revision.text.data() + revision.text.size();
  const auto [rest, failed] = std::from_chars(revision.text.data(), end, number);
  return failed == std::errc() && rest == end && number > 0 ? number : -1;
}

/// A key that stands at the same place among the keys: all of them are ASCII, so nothing comes after 0x7f, and the
/// server takes text in UTF-8 without NUL only.
std::string comparable(std::string_view after) {
  const auto odd =
      std::ranges::find_if(after, [](char c) { return c == '\0' || static_cast<unsigned char>(c) > 0x7f; });
  std::string out(after.begin(), odd);
  if (odd != after.end() && *odd != '\0') out.push_back('\x7f');
  return out;
}

/// What comes after all keys with that prefix, which ends in '/'.
std::string end_of(const std::string& prefix) {
  return prefix.empty() ? prefix : prefix.substr(0, prefix.size() - 1) + static_cast<char>('/' + 1);
}

/// "time;snapshot", of the server.
std::optional<std::pair<std::int64_t, std::string>> parsed_cursor(const std::string& cursor) {
  std::int64_t time = 0;
  const char* const end = cursor.data() + cursor.size();
  const auto [rest, failed] = std::from_chars(cursor.data(), end, time);
  if (failed != std::errc() || rest == end || *rest != ';') return std::nullopt;
  std::string snapshot(rest + 1, end);
  if (snapshot.find_first_not_of("0123456789:,") != std::string::npos) return std::nullopt;
  return std::pair(time, std::move(snapshot));
}

bool is_one_of(std::string_view sqlstate, std::initializer_list<std::string_view> states) {
  return std::ranges::find(states, sqlstate) != states.end();
}

}  // namespace

Database::Database(const PostgresOptions& options)
    : schema_name_(valid_schema(options)),
      schema_(quoted_identifier(schema_name_)),
      pool_(ConnectionSettings(options.connection), valid_connections(options),
            [this](Connection& connection, Deadline deadline) { check_version(connection, deadline); }),
      next_sweep_(steady_clock::now() + sweep_interval) {}

Error Database::error_of(const SqlFailure& failure, std::string_view doing, bool changes) const {
  std::string detail = pool_.place() + ": " + failure.text;
  if (!failure.sqlstate.empty()) detail += " (SQLSTATE " + failure.sqlstate + ")";
  if (is_one_of(failure.sqlstate, {undefined_table, undefined_schema})) {
    detail += "; culmen storage init, or create_postgres_schema(), creates what is missing";
  }
  if (changes && failure.unknown) detail += "; the change may have been made: load it before writing again";
  return Error(failure.code, doing, detail);
}

// ---- Values ----

Result<std::vector<std::optional<StoredValue>>> Database::load(const std::vector<std::string>& keys) {
  const std::string sql = "SELECT key, revision, value FROM " + qualified("culmen_object") +
                          " WHERE key = ANY($1) AND value IS NOT NULL AND (expires_at IS NULL OR expires_at > "
                          "clock_timestamp())";
  std::map<std::string, StoredValue> found;
  try {
    const Rows rows = pool_.run(sql, Parameters().add(keys), steady_clock::now() + longest_step);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      found.emplace(rows.octets(row, 0), StoredValue(rows.octets(row, 2), revision_of(rows.number(row, 1))));
    }
  } catch (const SqlFailure& failure) {
    return error_of(failure, "loading \"" + keys.front() + "\"" + (keys.size() > 1 ? " and others" : ""));
  }
  std::vector<std::optional<StoredValue>> values;
  values.reserve(keys.size());
  for (const std::string& key : keys) {
    const auto value = found.find(key);
    values.push_back(value == found.end() ? std::nullopt : std::optional(value->second));
  }
  return values;
}

Result<std::vector<StoredItem>> Database::list(const std::string& prefix, const std::string& after, std::size_t limit,
                                               bool with_values) {
  const std::string sql = "SELECT key, revision, CASE WHEN $5 = 1 THEN value ELSE ''::bytea END FROM " +
                          qualified("culmen_object") +
                          " WHERE ($1 = '' OR (key >= $1 AND key < $2)) AND key > $3 AND value IS NOT NULL AND "
                          "(expires_at IS NULL OR expires_at > clock_timestamp()) ORDER BY key LIMIT $4";
  Parameters parameters;
  parameters.add(prefix).add(end_of(prefix)).add(comparable(after));
  parameters.add(static_cast<std::int64_t>(limit)).add(std::int64_t{with_values});
  try {
    const Rows rows = pool_.run(sql, parameters, steady_clock::now() + longest_step);
    std::vector<StoredItem> items;
    items.reserve(rows.size());
    for (std::size_t row = 0; row < rows.size(); ++row) {
      items.emplace_back(rows.octets(row, 0), StoredValue(rows.octets(row, 2), revision_of(rows.number(row, 1))));
    }
    return items;
  } catch (const SqlFailure& failure) {
    return error_of(failure, "listing \"" + prefix + "\"");
  }
}

Result<std::vector<Revision>> Database::write(const std::vector<Write>& writes) {
  // Locks come in one order, leases before keys, each in the order of their names: writes do not deadlock. `fence`
  // waits for a take-over in progress, and looks again when that has ended; then it holds any other up until the
  // commit. Nothing is changed unless all is as expected. What no lock can hold is a key that somebody else creates
  // after the statement began: it makes the division fail, and with it the transaction.
  const std::string sql = R"(
WITH wanted AS MATERIALIZED (
  SELECT * FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY AS w (key, value, expected, lasts, lease, token, place)),
fence AS MATERIALIZED (
  SELECT l.name, l.token FROM )" +
                          qualified("culmen_lease") + R"( AS l
  WHERE l.name = ANY($5) AND EXISTS (SELECT FROM wanted AS w WHERE w.lease = l.name AND w.token = l.token)
  ORDER BY l.name FOR SHARE OF l),
held AS MATERIALIZED (
  SELECT w.place, w.token = 0 OR EXISTS (SELECT FROM fence AS f WHERE f.name = w.lease AND f.token = w.token) AS ok
  FROM wanted AS w),
there AS MATERIALIZED (
  SELECT o.key, CASE WHEN o.value IS NULL OR o.expires_at <= clock_timestamp() THEN 0 ELSE o.revision END AS revision
  FROM )" + qualified("culmen_object") +
                          R"( AS o
  WHERE o.key = ANY($1) AND (SELECT bool_and(ok) FROM held) ORDER BY o.key FOR UPDATE OF o),
judged AS MATERIALIZED (
  SELECT w.*, h.ok AS held, t.key IS NOT NULL AS has_row, coalesce(t.revision, 0) AS revision,
    w.expected IS NULL OR w.expected = coalesce(t.revision, 0) AS good
  FROM wanted AS w JOIN held AS h USING (place) LEFT JOIN there AS t ON t.key = w.key),
verdict AS MATERIALIZED (SELECT bool_and(held AND good) AS ok FROM judged),
changed AS (
  UPDATE )" + qualified("culmen_object") +
                          R"( AS o SET value = j.value, revision = DEFAULT,
    changed_in = pg_current_xact_id(), expires_at = clock_timestamp() + make_interval(secs =>
      CASE WHEN j.value IS NULL THEN $7 ELSE j.lasts END)
  FROM judged AS j WHERE (SELECT ok FROM verdict) AND j.has_row AND (j.value IS NOT NULL OR j.revision <> 0)
    AND o.key = j.key AND o.key = ANY($1)
  RETURNING o.key, o.revision),
made AS (
  INSERT INTO )" + qualified("culmen_object") +
                          R"( AS o (key, value, changed_in, expires_at)
  SELECT j.key, j.value, pg_current_xact_id(), clock_timestamp() + make_interval(secs => j.lasts)
  FROM judged AS j WHERE (SELECT ok FROM verdict) AND NOT j.has_row AND j.value IS NOT NULL ORDER BY j.key
  ON CONFLICT (key) DO NOTHING RETURNING o.key, o.revision),
done AS (SELECT * FROM changed UNION ALL SELECT * FROM made)
SELECT j.held, j.good, j.revision <> 0, d.revision,
  1 / CASE WHEN (SELECT ok FROM verdict) AND j.value IS NOT NULL AND d.revision IS NULL THEN 0 ELSE 1 END
FROM judged AS j LEFT JOIN done AS d USING (key) ORDER BY j.place)";

  std::vector<std::string> keys, leases;
  std::vector<const std::string*> values;
  std::vector<std::optional<std::int64_t>> expected, lasts, tokens;
  for (const Write& write : writes) {
    keys.push_back(write.key);
    values.push_back(write.value ? &*write.value : nullptr);
    expected.push_back(write.expected ? std::optional(number_of(*write.expected)) : std::nullopt);
    lasts.push_back(write.expires_in ? std::optional<std::int64_t>(storage::clamped(*write.expires_in).count())
                                     : std::nullopt);
    leases.push_back(write.fence ? write.fence->name : "");
    tokens.emplace_back(write.fence ? static_cast<std::int64_t>(write.fence->token) : 0);
  }
  Parameters parameters;
  parameters.add(keys).add(values).add(expected).add(lasts).add(leases).add(tokens);
  parameters.add(std::int64_t{removal_remembered.count()});

  const Deadline deadline = steady_clock::now() + longest_step;
  const std::string doing = "storing \"" + keys.front() + "\"" + (keys.size() > 1 ? " and others" : "");
  for (int attempt = 1;; ++attempt) {
    try {
      const Rows rows = pool_.run(sql, parameters, deadline);
      std::vector<Revision> revisions;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        if (!rows.truth(row, 0)) return storage::fenced_error(writes[row]);
      }
      for (std::size_t row = 0; row < rows.size(); ++row) {
        if (!rows.truth(row, 1)) {
          return storage::conflict_error(keys[row], *writes[row].expected, rows.truth(row, 2));
        }
        const bool removed = !writes[row].value;
        revisions.push_back(removed ? Revision() : revision_of(rows.number(row, 3)));
      }
      return revisions;
    } catch (const SqlFailure& failure) {
      // Nothing was changed; the next attempt sees what the other transaction did.
      if (attempt < most_attempts && is_one_of(failure.sqlstate, {division_by_zero, deadlock, serialization_failure}))
        continue;
      return error_of(failure, doing, true);
    }
  }
}

// ---- Leases ----

// Rows of leases are never deleted: tokens go on for ever. clock_timestamp() and not now(), which is the start of the
// transaction: after a wait for a lock it is in the past.

Result<std::optional<std::uint64_t>> Database::acquire(const std::string& name, const std::string& owner,
                                                       std::chrono::seconds ttl) {
  // The first look takes no lock: whoever finds the lease held does not hold up its owner's writes.
  const std::string lease = qualified("culmen_lease");
  const std::string sql = "INSERT INTO " + lease +
                          " AS l (name, owner, token, expires_at) SELECT $1, $2, 1, clock_timestamp() + "
                          "make_interval(secs => $3) WHERE NOT EXISTS (SELECT FROM " +
                          lease +
                          " AS h WHERE h.name = $1 AND h.expires_at > clock_timestamp()) ON CONFLICT (name) DO UPDATE "
                          "SET owner = excluded.owner, token = l.token + 1, expires_at = clock_timestamp() + "
                          "make_interval(secs => $3) WHERE l.expires_at <= clock_timestamp() RETURNING token";
  Parameters parameters;
  parameters.add(name).add(printable(owner, 200)).add(std::int64_t{storage::clamped(ttl).count()});
  try {
    const Rows rows = pool_.run(sql, parameters, steady_clock::now() + longest_step);
    std::optional<std::uint64_t> token;
    if (rows.size() == 1) token = static_cast<std::uint64_t>(rows.number(0, 0));
    return token;
  } catch (const SqlFailure& failure) {
    return error_of(failure, "acquiring the lease \"" + name + "\"", true);
  }
}

Result<std::vector<bool>> Database::renew(const std::vector<Lease>& leases, std::chrono::seconds ttl) {
  const std::string sql = R"(
WITH asked AS MATERIALIZED (SELECT * FROM unnest($1, $2) WITH ORDINALITY AS a (name, token, place)),
held AS MATERIALIZED (
  SELECT l.name, l.token FROM )" +
                          qualified("culmen_lease") + R"( AS l
  WHERE l.name = ANY($1) AND l.expires_at > clock_timestamp()
    AND EXISTS (SELECT FROM asked AS a WHERE a.name = l.name AND a.token = l.token)
  ORDER BY l.name FOR NO KEY UPDATE OF l),
renewed AS (
  UPDATE )" + qualified("culmen_lease") +
                          R"( AS l SET expires_at = clock_timestamp() + make_interval(secs => $3)
  FROM held AS h WHERE l.name = h.name AND l.token = h.token AND l.name = ANY($1) RETURNING l.name, l.token)
SELECT a.place FROM asked AS a JOIN renewed AS r ON r.name = a.name AND r.token = a.token)";
  std::vector<std::string> names;
  std::vector<std::optional<std::int64_t>> tokens;
  for (const Lease& lease : leases) {
    names.push_back(lease.name);
    tokens.emplace_back(static_cast<std::int64_t>(lease.token));
  }
  Parameters parameters;
  parameters.add(names).add(tokens).add(std::int64_t{storage::clamped(ttl).count()});
  try {
    const Rows rows = pool_.run(sql, parameters, steady_clock::now() + longest_step);
    std::vector<bool> held(leases.size(), false);
    for (std::size_t row = 0; row < rows.size(); ++row)
      held.at(static_cast<std::size_t>(rows.number(row, 0)) - 1) = true;
    return held;
  } catch (const SqlFailure& failure) {
    return error_of(failure, "renewing the lease \"" + names.front() + "\"" + (names.size() > 1 ? " and others" : ""));
  }
}

Result<void> Database::release(const Lease& lease) {
  const std::string sql =
      "UPDATE " + qualified("culmen_lease") + " SET expires_at = '-infinity' WHERE name = $1 AND token = $2";
  Parameters parameters;
  parameters.add(lease.name).add(static_cast<std::int64_t>(lease.token));
  try {
    pool_.run(sql, parameters, steady_clock::now() + longest_step);
    return {};
  } catch (const SqlFailure& failure) {
    return error_of(failure, "releasing the lease \"" + lease.name + "\"");
  }
}

// ---- Changes ----

Result<Database::Look> Database::look(const std::string& prefix, const std::string& cursor) {
  // A cursor is a snapshot: the transactions that were visible. A row that was written by any other has changed since,
  // in whatever order they were committed, and however large their revisions are. Numbers of transactions begin anew in
  // a database that was restored from a dump: a cursor from the future is of another one.
  const std::string now_text =
      "SELECT extract(epoch FROM clock_timestamp())::bigint::text || ';' || pg_current_snapshot()::text";
  const std::string sql = now_text +
                          ", pg_snapshot_xmax($1::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) OR "
                          "extract(epoch FROM clock_timestamp())::bigint - $4 >= $5 OR EXISTS (SELECT FROM " +
                          qualified("culmen_object") +
                          " WHERE changed_in >= pg_snapshot_xmin($1::pg_snapshot) AND changed_in < "
                          "pg_snapshot_xmax(pg_current_snapshot()) AND NOT pg_visible_in_snapshot(changed_in, "
                          "$1::pg_snapshot) AND ($2 = '' OR (key >= $2 AND key < $3)))";
  const Deadline deadline = steady_clock::now() + longest_step;
  const auto known = parsed_cursor(cursor);
  try {
    if (known) {
      Parameters parameters;
      parameters.add(known->second).add(prefix).add(end_of(prefix));
      parameters.add(known->first).add(std::int64_t{removal_remembered.count()});
      try {
        const Rows rows = pool_.run(sql, parameters, deadline);
        return Look{rows.octets(0, 0), rows.truth(0, 1)};
      } catch (const SqlFailure& failure) {
        if (failure.sqlstate != invalid_text) throw;  // not a snapshot
      }
    }
    const Rows rows = pool_.run(now_text, Parameters(), deadline);
    return Look{rows.octets(0, 0), true};
  } catch (const SqlFailure& failure) {
    return error_of(failure, "looking for changes below \"" + prefix + "\"");
  }
}

bool Database::sweep_is_due() {
  const std::lock_guard lock(sweep_mutex_);
  const auto time = steady_clock::now();
  if (time < next_sweep_) return false;
  next_sweep_ = time + sweep_interval;
  return true;
}

void Database::sweep() {
  const std::string object = qualified("culmen_object");
  const std::string sql = "DELETE FROM " + object + " WHERE key IN (SELECT key FROM " + object +
                          " WHERE expires_at <= clock_timestamp() - interval '1 minute' ORDER BY expires_at LIMIT 500 "
                          "FOR UPDATE SKIP LOCKED)";
  try {
    pool_.run(sql, Parameters(), steady_clock::now() + longest_step);
  } catch (const SqlFailure&) {
    // The next one removes them: until then they are only rows that nobody sees.
  }
}

// ---- The schema ----

std::optional<std::int64_t> Database::stored_version(Connection& connection, Deadline deadline) const {
  try {
    const Rows rows = connection.run("SELECT version FROM " + qualified("culmen_schema"), Parameters(), deadline);
    if (rows.size() == 1) return rows.number(0, 0);
  } catch (const SqlFailure& failure) {
    if (!is_one_of(failure.sqlstate, {undefined_table, undefined_schema})) throw;
  }
  return std::nullopt;
}

void Database::check_version(Connection& connection, Deadline deadline) const {
  const std::optional<std::int64_t> version = stored_version(connection, deadline);
  if (version == schema_version) return;
  const std::string schema = "the schema " + printable(schema_name_);
  const std::string known = std::to_string(schema_version);
  if (!version) {
    throw SqlFailure{
        Errc::io_failed,
        schema + " has no tables of culmen; culmen storage init, or create_postgres_schema(), creates them", "", false};
  }
  const std::string has = schema + " has version " + std::to_string(*version);
  if (*version < schema_version) {
    throw SqlFailure{Errc::io_failed,
                     has + "; this culmen needs version " + known +
                         "; culmen storage init, or create_postgres_schema(), brings it up to date",
                     "", false};
  }
  throw SqlFailure{Errc::io_failed,
                   has + ", made by a newer culmen; this one knows version " + known + ": use the newer one", "",
                   false};
}

bool Database::is_complete(Connection& connection, Deadline deadline) const {
  const std::vector<std::string> names = {"culmen_schema", "culmen_lease", "culmen_object", "culmen_object_changed_in",
                                          "culmen_object_expires_at"};
  const Rows rows = connection.run(
      "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND "
      "c.relname = ANY($2)",
      Parameters().add(schema_name_).add(names), deadline);
  return rows.number(0, 0) == static_cast<std::int64_t>(names.size());
}

Result<void> Database::create_schema() {
  const std::string tables = R"(
CREATE TABLE IF NOT EXISTS )" +
                             qualified("culmen_schema") + R"( (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL);
CREATE TABLE IF NOT EXISTS )" +
                             qualified("culmen_lease") + R"( (
  name text COLLATE "C" PRIMARY KEY,
  owner text NOT NULL,
  token bigint NOT NULL,
  expires_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS )" +
                             qualified("culmen_object") + R"( (
  key text COLLATE "C" PRIMARY KEY,
  value bytea,
  revision bigint GENERATED ALWAYS AS IDENTITY,
  changed_in xid8 NOT NULL,
  expires_at timestamptz);
CREATE INDEX IF NOT EXISTS culmen_object_changed_in ON )" +
                             qualified("culmen_object") + R"( (changed_in);
CREATE INDEX IF NOT EXISTS culmen_object_expires_at ON )" +
                             qualified("culmen_object") + R"( (expires_at)
  WHERE expires_at IS NOT NULL;
INSERT INTO )" + qualified("culmen_schema") +
                             " (version) VALUES (" + std::to_string(schema_version) +
                             ") ON CONFLICT (only_row) DO UPDATE SET version = excluded.version;\nCOMMIT";
  const std::string begin =
      "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\nSET LOCAL search_path = pg_catalog, pg_temp;\n"
      "SET LOCAL lock_timeout = '10s';\nSET LOCAL client_min_messages = warning;\n";
  const Deadline deadline = steady_clock::now() + longest_creation;
  for (int attempt = 1;; ++attempt) {
    try {
      const std::unique_ptr<Connection> connection = pool_.connect_unprepared(deadline);
      const std::optional<std::int64_t> version = stored_version(*connection, deadline);
      if (version == schema_version && is_complete(*connection, deadline)) return {};
      if (version && *version > schema_version) check_version(*connection, deadline);
      // IF NOT EXISTS asks for the right to create a schema also where it exists.
      const Rows schemas = connection->run("SELECT 1::bigint FROM pg_namespace WHERE nspname = $1",
                                           Parameters().add(schema_name_), deadline);
      const std::string create = schemas.size() == 0 ? "CREATE SCHEMA " + schema_ + ";\n" : "";
      connection->run_script(begin + create + tables, deadline);
      return {};
    } catch (const SqlFailure& failure) {
      const bool is_race =
          is_one_of(failure.sqlstate, {unique_violation, duplicate_table, duplicate_schema, duplicate_object});
      if (is_race && attempt < most_attempts) continue;
      return error_of(failure, "creating the tables of culmen in the schema " + printable(schema_name_));
    }
  }
}

}  // namespace culmen::postgres
