// Tests of leases and fences.
#include <cstddef>

#include "conformance/bench.hpp"
#include "culmen/error.hpp"

namespace culmen::conformance {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Flow<Result<void>> pause_for(milliseconds duration) {
  Result<void> waited = co_await wait(duration);
  if (!waited) throw waited.error();
  co_return waited;
}

/// Renews one lease.
Flow<std::optional<Lease>> renewed(Bench& bench, std::size_t handle, Lease lease, seconds ttl) {
  std::vector<Lease> leases(1, std::move(lease));
  Result<std::vector<std::optional<Lease>>> result = co_await bench.handle(handle).renew(std::move(leases), ttl);
  std::vector<std::optional<Lease>> all = unwrapped(std::move(result), "a renew() that must succeed");
  expect(all.size() == 1, "renew() returns a lease or nullopt for each lease");
  co_return std::move(all.front());
}

Flow<Result<void>> leases_have_one_owner(Bench& bench) {
  const std::string name = bench.key("lease");
  Lease first = co_await bench.acquire(0, name, seconds(60));
  for (std::size_t handle = 0; handle < 2; ++handle) {
    std::optional<Lease> held = co_await bench.try_acquire(handle, name, seconds(60));
    expect(!held, "a lease that is held is not given out");
  }
  // Other names, also those above and below, are other leases.
  Lease below = co_await bench.acquire(1, name + "/below", seconds(60));
  Lease above = co_await bench.acquire(1, bench.key("lease2"), seconds(60));
  Result<void> done = co_await bench.release(0, std::move(below));
  done = co_await bench.release(0, std::move(above));

  Lease stranger = first;
  ++stranger.token;
  done = co_await bench.release(1, stranger);
  std::optional<Lease> held = co_await bench.try_acquire(1, name, seconds(60));
  expect(!held, "release() with a token that was not given out changes nothing");
  done = co_await bench.release(1, first);
  Lease second = co_await bench.acquire(1, name, seconds(60));
  expect(second.token > first.token, "tokens grow with each acquisition",
         std::to_string(second.token) + " follows " + std::to_string(first.token));
  done = co_await bench.release(0, first);
  held = co_await bench.try_acquire(0, name, seconds(60));
  expect(!held, "release() of a lease that was taken over changes nothing");
  done = co_await bench.release(0, second);
  done = co_await bench.release(0, second);
  Result<std::optional<Lease>> refused = co_await bench.first().acquire(name, "conformance", seconds(0));
  expect(!refused && refused.error().code() == Errc::invalid_argument, "a time to live of 0 is refused");
  co_return done;
}

Flow<Result<void>> leases_expire(Bench& bench) {
  const std::string name = bench.key("lease");
  Lease first = co_await bench.acquire(0, name, seconds(1));
  Lease second = co_await bench.acquire_in_time(1, name, seconds(1));
  expect(second.token > first.token, "a lease that expired is given out with a larger token",
         std::to_string(second.token) + " follows " + std::to_string(first.token));
  std::optional<Lease> lost = co_await renewed(bench, 0, first, seconds(60));
  expect(!lost, "a lease that was taken over is not renewed");
  Lease third = co_await bench.acquire_in_time(0, name, seconds(60));
  expect(third.token > second.token, "tokens grow each time");
  Result<void> done = co_await bench.release(0, std::move(third));
  co_return done;
}

Flow<Result<void>> leases_are_renewed(Bench& bench) {
  const std::string name = bench.key("lease");
  Lease lease = co_await bench.acquire(0, name, seconds(3));
  std::optional<Lease> longer = co_await renewed(bench, 0, lease, seconds(60));
  expect(longer.has_value(), "a lease that is held is renewed");
  expect(longer->token == lease.token && longer->name == name, "a renewed lease keeps its name and its token");
  expect(longer->good_until > lease.good_until, "renew() extends good_until");
  Result<void> done = co_await pause_for(milliseconds(3500));
  std::optional<Lease> held = co_await bench.try_acquire(1, name, seconds(60));
  expect(!held, "a lease that was renewed is held until its new end");
  Write guarded = fenced(name + "/value", "renewed", *longer);
  Revision revision = co_await bench.write(std::move(guarded));
  expect(!revision.none(), "a lease that was renewed guards writes");
  done = co_await bench.release(0, std::move(*longer));
  std::optional<Lease> lost = co_await renewed(bench, 0, lease, seconds(60));
  expect(!lost, "a lease that was released is not renewed");
  co_return done;
}

Flow<Result<void>> leases_are_renewed_in_bulk(Bench& bench) {
  std::vector<Lease> leases;
  for (std::size_t number = 0; number < 30; ++number) {
    Lease lease = co_await bench.acquire(0, bench.key("lease" + std::to_string(number)), seconds(60));
    leases.push_back(std::move(lease));
  }
  // Each third is lost, to nobody or to another owner.
  std::vector<Lease> others;
  for (std::size_t number = 0; number < leases.size(); number += 3) {
    Result<void> released = co_await bench.release(1, leases[number]);
    if (number % 2 != 0) continue;
    Lease taken = co_await bench.acquire(1, leases[number].name, seconds(60));
    others.push_back(std::move(taken));
  }
  Result<std::vector<std::optional<Lease>>> result = co_await bench.first().renew(leases, seconds(120));
  const std::vector<std::optional<Lease>> all =
      unwrapped(std::move(result), "a renew() of 30 leases that must succeed");
  expect(all.size() == leases.size(), "renew() returns a lease or nullopt for each lease");
  for (std::size_t number = 0; number < leases.size(); ++number) {
    const std::string subject =
        "renew() of 30 leases, of which each third was released: the lease " + leases[number].name;
    const bool lost = number % 3 == 0;
    expect(all[number].has_value() != lost, subject + (lost ? " is lost" : " is held"),
           lost ? "it is renewed" : "it is lost");
    if (lost) continue;
    expect(all[number]->name == leases[number].name && all[number]->token == leases[number].token,
           subject + " keeps its place, name and token");
    Result<void> released = co_await bench.release(0, *all[number]);
  }
  for (const Lease& lease : others) {
    std::optional<Lease> still = co_await renewed(bench, 1, lease, seconds(60));
    expect(still.has_value(), "renewing lost leases leaves those of their new owners");
    Result<void> released = co_await bench.release(1, lease);
  }
  std::vector<Lease> none;
  result = co_await bench.first().renew(std::move(none), seconds(60));
  const std::vector<std::optional<Lease>> nothing =
      unwrapped(std::move(result), "a renew() of no leases that must succeed");
  expect(nothing.empty(), "renew() of no leases returns none");
  co_return Result<void>();
}

Flow<Result<void>> leases_that_ended_are_lost(Bench& bench) {
  const std::string name = bench.key("lease");
  Lease lease = co_await bench.acquire(0, name, seconds(1));
  Result<void> done = co_await pause_for(milliseconds(1500));
  std::optional<Lease> late = co_await renewed(bench, 0, lease, seconds(60));
  expect(!late, "a lease that has ended is not renewed, even if nobody has acquired it since", "it is renewed");
  Lease next = co_await bench.acquire_in_time(1, name, seconds(60));
  expect(next.token > lease.token, "tokens grow with each acquisition");
  done = co_await bench.release(1, std::move(next));
  co_return done;
}

/// What the contenders for one lease share.
struct Contest {
  std::size_t inside = 0;
  std::uint64_t last_token = 0;
};

Flow<Result<void>> contend(Bench* bench, Contest* contest, std::size_t number) {
  const std::string name = bench->key("lease"), counter = bench->key("lease/counter");
  std::optional<Lease> lease;
  for (std::size_t tries = 0; !lease; ++tries) {
    expect(tries < 2000, "of a hundred contenders for a lease, each gets it in time");
    lease = co_await bench->try_acquire(number, name, seconds(120));
    if (lease) break;
    Result<void> waited = co_await wait(milliseconds(50 + (number * 37 + tries * 11) % 150));
    if (!waited) co_return waited;
  }
  expect(contest->inside == 0, "a lease has one owner at a time", "two have it");
  expect(lease->token > contest->last_token, "tokens grow with each acquisition",
         std::to_string(lease->token) + " follows " + std::to_string(contest->last_token));
  contest->last_token = lease->token;
  ++contest->inside;
  std::optional<StoredValue> stored = co_await bench->get(counter);
  const std::string next = std::to_string(stored ? std::stoi(stored->value) + 1 : 1);
  Write change = fenced(counter, next, *lease);
  Revision revision = co_await bench->write(std::move(change));
  expect(!revision.none(), "the owner of a lease writes what it guards");
  --contest->inside;
  Result<void> released = co_await bench->release(number, std::move(*lease));
  co_return released;
}

Flow<Result<void>> leases_have_one_owner_among_many(Bench& bench) {
  constexpr std::size_t contenders = 100;
  Contest contest;
  std::vector<Flow<Result<void>>> flows;
  for (std::size_t number = 0; number < contenders; ++number) flows.push_back(contend(&bench, &contest, number));
  const std::vector<Result<void>> ended = co_await all(std::move(flows));
  for (const Result<void>& result : ended) {
    if (!result) co_return result;
  }
  Result<void> seen =
      co_await bench.sees(bench.key("lease/counter"), std::to_string(contenders), "every write of an owner counts");
  co_return seen;
}

// ---- Fences ----

/// All that a lease which was taken over must not do. `kept` exists below its name.
Flow<Result<void>> writes_are_fenced(Bench& bench, Lease lost, std::string kept, std::string value) {
  std::optional<StoredValue> stored = co_await bench.get(kept);
  expect(stored.has_value(), "the value is there");
  const std::string absent = lost.name + "/absent";
  Write change = fenced(kept, "late", lost);
  Result<void> done = co_await bench.refused(change, Errc::fenced, "a late write is refused");
  change.expected = stored->revision;
  done = co_await bench.refused(change, Errc::fenced, "a late write is refused, whatever it expects");
  change.value.reset();
  done = co_await bench.refused(change, Errc::fenced, "a late removal is refused");
  change = fenced(absent, "late", lost);
  done = co_await bench.refused(change, Errc::fenced, "a late write of a new key is refused");
  change.expected = Revision();
  done = co_await bench.refused(change, Errc::fenced, "a late creation is refused");
  if (bench.can_many()) {
    std::vector<Write> writes;
    writes.emplace_back(lost.name + "/beside", "beside");
    writes.push_back(change);
    done = co_await bench.all_refused(std::move(writes), Errc::fenced, "one fenced write refuses all writes");
    done = co_await bench.sees(lost.name + "/beside", std::nullopt, "of several writes, none is made if one is fenced");
  }
  done = co_await bench.sees(absent, std::nullopt, "a fenced write changes nothing");
  done = co_await bench.sees(kept, value, "a fenced write changes nothing");
  co_return done;
}

Flow<Result<void>> fences_refuse_late_writes(Bench& bench) {
  const std::string name = bench.key("lease"), key = bench.key("lease/value"), deep = bench.key("lease/a/b");
  Lease first = co_await bench.acquire(0, name, seconds(60));
  Write change = fenced(key, "first", first);
  change.expected = Revision();
  Revision revision = co_await bench.write(change);
  change = fenced(deep, "first", first);
  Revision deep_revision = co_await bench.write(change);
  expect(!deep_revision.none(), "a lease guards all keys below its name");
  change = fenced(key, "second", first);
  change.expected = Revision("not-a-revision");
  Result<void> done =
      co_await bench.refused(change, Errc::conflict, "a guarded write with a wrong revision is refused");
  change.expected = revision;
  revision = co_await bench.write(change);
  done = co_await bench.sees(key, "second", "the owner of a lease replaces what it guards");

  // Released, and not taken over: accepted or fenced, but nothing in between.
  done = co_await bench.release(0, first);
  change = fenced(key, "third", first);
  Result<Revision> written = co_await write_one(bench.first(), change);
  if (!written && written.error().code() != Errc::fenced) throw written.error();
  const std::string value = written ? "third" : "second";
  done = co_await bench.sees(key, value, "a write is accepted or refused");

  Lease second = co_await bench.acquire(1, name, seconds(60));
  done = co_await writes_are_fenced(bench, first, key, value);
  change = fenced(key, "fourth", second);
  revision = co_await bench.write(change);
  change = fenced(deep, "second", second);
  revision = co_await bench.write(change);
  change = fenced(bench.key("lease/absent"), "second", second);
  change.expected = Revision();
  revision = co_await bench.write(change);
  change.expected = revision;
  change.value.reset();
  revision = co_await bench.write(change);
  done = co_await bench.sees(key, "fourth", "the new owner writes");
  done = co_await bench.release(1, std::move(second));
  co_return done;
}

Flow<Result<void>> fences_hold_after_expiry(Bench& bench) {
  const std::string name = bench.key("lease"), key = bench.key("lease/value");
  Lease first = co_await bench.acquire(0, name, seconds(1));
  Write change = fenced(key, "first", first);
  Revision revision = co_await bench.write(std::move(change));
  expect(!revision.none(), "a write before the lease expires is accepted");
  Lease second = co_await bench.acquire_in_time(1, name, seconds(60));
  Result<void> done = co_await writes_are_fenced(bench, first, key, "first");
  done = co_await bench.release(1, std::move(second));
  co_return done;
}

Flow<Result<void>> fences_guard_what_is_below_their_name(Bench& bench) {
  Lease lease = co_await bench.acquire(0, bench.key("lease"), seconds(60));
  std::vector<std::string> keys;
  for (const char* const rest : {"lease", "lease2/value", "leas", "other/value"}) keys.push_back(bench.key(rest));
  Result<void> done;
  for (const std::string& key : keys) {
    Write change = fenced(key, "value", lease);
    done = co_await bench.refused(std::move(change), Errc::invalid_argument,
                                  "a lease guards only keys below its name, in whole parts");
    done = co_await bench.sees(key, std::nullopt, "what is refused changes nothing");
  }
  Lease never;
  never.name = lease.name;
  Write change = fenced(bench.key("lease/value"), "value", std::move(never));
  done =
      co_await bench.refused(std::move(change), Errc::invalid_argument, "a lease that was never acquired is refused");
  done = co_await bench.release(0, std::move(lease));
  co_return done;
}

/// Writes with a lease, as fast as it can, until it is refused.
Flow<Result<void>> write_until_fenced(Bench* bench, Lease lease, std::string key) {
  for (int number = 0;; ++number) {
    expect(number < 5000, "writes with a lease that was taken over are refused");
    Write change = fenced(key, "late " + std::to_string(number), lease);
    Result<Revision> written = co_await write_one(bench->first(), std::move(change));
    if (!written) {
      if (written.error().code() == Errc::fenced) co_return Result<void>();
      co_return written.error();
    }
    Result<void> waited = co_await wait(milliseconds(1));
    if (!waited) co_return waited;
  }
}

Flow<Result<void>> take_over_and_write(Bench* bench, Lease lease, std::string key, milliseconds after) {
  Result<void> done = co_await pause_for(after);
  done = co_await bench->release(1, lease);
  Lease mine = co_await bench->acquire(1, lease.name, seconds(60));
  Write change = fenced(key, "mine", mine);
  Result<Revision> written = co_await write_one(bench->second(), std::move(change));
  if (!written) co_return written.error();
  // A write of the other that was let through late would be here by then.
  done = co_await pause_for(milliseconds(300));
  Result<std::optional<StoredValue>> loaded = co_await load_one(bench->second(), key);
  const std::optional<StoredValue> stored = unwrapped(std::move(loaded), "loading");
  expect(stored && stored->value == "mine", "once a lease was given out, no write with an older token is made",
         "\"" + (stored ? stored->value : std::string("nothing")) + "\" replaced what the new owner wrote");
  Result<void> released = co_await bench->release(1, std::move(mine));
  co_return released;
}

Flow<Result<void>> fences_hold_while_the_lease_is_taken_over(Bench& bench) {
  for (int round = 0; round < 12; ++round) {
    const std::string name = bench.key("lease" + std::to_string(round));
    const std::string key = name + "/value";
    Lease lease = co_await bench.acquire(0, name, seconds(60));
    std::vector<Flow<Result<void>>> both;
    both.push_back(write_until_fenced(&bench, lease, key));
    both.push_back(take_over_and_write(&bench, lease, key, milliseconds(round)));
    const std::vector<Result<void>> ended = co_await all(std::move(both));
    for (const Result<void>& result : ended) {
      if (!result) co_return result;
    }
  }
  co_return Result<void>();
}

}  // namespace

const std::vector<Definition> lease_tests = {
    {"leases: have one owner", "owner", leases_have_one_owner},
    {"leases: expire", "expire", leases_expire},
    {"leases: that ended are lost", "ended", leases_that_ended_are_lost},
    {"leases: are renewed", "renew", leases_are_renewed},
    {"leases: are renewed in bulk, some lost", "renew-many", leases_are_renewed_in_bulk},
    {"leases: have one owner among a hundred contenders", "contest", leases_have_one_owner_among_many},
    {"fences: refuse late writes", "fence", fences_refuse_late_writes},
    {"fences: hold after expiry", "fence-expiry", fences_hold_after_expiry},
    {"fences: guard what is below their name", "fence-name", fences_guard_what_is_below_their_name},
    {"fences: hold while the lease is taken over", "fence-race", fences_hold_while_the_lease_is_taken_over},
};

}  // namespace culmen::conformance
