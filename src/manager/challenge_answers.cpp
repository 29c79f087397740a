#include "manager/challenge_answers.hpp"

#include <utility>

#include "culmen/records.hpp"

namespace culmen::manager {

namespace {
using std::chrono::seconds;

constexpr std::string_view well_known = "/.well-known/acme-challenge/";
constexpr std::string_view http_01 = "http-01";
constexpr seconds kept_for = std::chrono::hours(1);
/// Until other processes have seen a change: what `prompt_changes` promises, and a second to read it.
constexpr seconds until_seen(3);
constexpr std::chrono::milliseconds cleanup_limit(500);
constexpr seconds watch_patience = std::chrono::minutes(10);

std::string shared_prefix() { return "challenges/" + storage_part(http_01) + "/"; }
}  // namespace

void ChallengeAnswers::add(const std::string& token, std::string answer) {
  const std::lock_guard lock(mutex_);
  own_.insert_or_assign(token, std::move(answer));
}

void ChallengeAnswers::remove(const std::string& token) {
  const std::lock_guard lock(mutex_);
  own_.erase(token);
}

void ChallengeAnswers::set_shared(std::map<std::string, std::string, std::less<>> shared) {
  const std::lock_guard lock(mutex_);
  shared_.swap(shared);
}

std::optional<std::string> ChallengeAnswers::find(std::string_view target) const {
  target = target.substr(0, target.find('?'));
  if (!target.starts_with(well_known)) return std::nullopt;
  const std::string_view token = target.substr(well_known.size());
  const std::lock_guard lock(mutex_);
  for (const auto* answers : {&own_, &shared_}) {
    const auto found = answers->find(token);
    if (found != answers->end()) return found->second;
  }
  return std::nullopt;
}

bool AnswerSolver::can_solve(const Identifier&, bool wildcard) const { return !wildcard; }

Flow<Result<void>> AnswerSolver::present(ChallengeContext context) {
  answers_.add(context.token, context.key_authorization);
  if (!share_) co_return Result<void>();
  Write write(challenge_key(http_01, context.token), context.key_authorization);
  write.expires_in = kept_for;
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Revision>> written = co_await store_.write(std::move(writes), nullptr);
  if (!written) co_return written.error();
  co_return Result<void>();
}

Flow<Result<void>> AnswerSolver::ready(std::vector<ChallengeContext>) {
  if (!share_) co_return Result<void>();
  Result<void> waited = co_await wait(until_seen);
  co_return waited;
}

Flow<Result<void>> AnswerSolver::cleanup(ChallengeContext context) {
  answers_.remove(context.token);
  if (!share_) co_return Result<void>();
  // It expires by itself, so stopping need not wait for a storage that does not answer, let alone once for each name.
  if (store_.is_down()) co_return Result<void>();
  Flow<Result<Revision>> removal = write_one(store_.storage(), Write(challenge_key(http_01, context.token)));
  Result<Revision> removed = co_await with_deadline(std::move(removal), cleanup_limit, "removing a challenge");
  Result<void> noted = co_await store_.note(removed, Access::write);
  if (!removed) co_return removed.error();
  co_return Result<void>();
}

Flow<Result<void>> watch_challenges(ChallengeAnswers& answers, Store& store) {
  std::string cursor;
  for (;;) {
    const seconds time = store.is_down() ? seconds(1) : watch_patience;
    Result<std::string> next = co_await store.storage().changed(shared_prefix(), cursor, time);
    Result<void> noted = co_await store.note(next, Access::read);
    if (!next && next.error().code() == Errc::cancelled) co_return next.error();
    if (next && (*next != cursor || cursor.empty())) {
      std::map<std::string, std::string, std::less<>> shared;
      Result<std::vector<StoredItem>> page = co_await store.list(shared_prefix(), "", true);
      while (page) {
        for (StoredItem& item : *page) {
          const std::optional<std::string> token = storage_part_text(item.key.substr(shared_prefix().size()));
          if (token) shared[*token] = std::move(item.stored.value);
        }
        if (page->size() < 1000) break;
        std::string after = page->back().key;
        page = co_await store.list(shared_prefix(), std::move(after), true);
      }
      if (page) {
        answers.set_shared(std::move(shared));
        cursor = std::move(*next);
        continue;
      }
      if (page.error().code() == Errc::cancelled) co_return page.error();
    }
    if (next && *next == cursor) continue;
    const Instant instant = co_await now();
    Result<void> waited = co_await wait(std::chrono::ceil<std::chrono::milliseconds>(store.until_retry(instant)));
    if (!waited) co_return waited;
  }
}

}  // namespace culmen::manager
