// Tests of load(), list() and write().
#include <algorithm>
#include <cstddef>

#include "conformance/bench.hpp"
#include "culmen/error.hpp"

namespace culmen::conformance {

namespace {

std::string all_octets() {
  std::string octets;
  for (int octet = 0; octet < 256; ++octet) octets += static_cast<char>(octet);
  return octets;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

void expect_keys(const std::vector<std::string>& found, const std::vector<std::string>& wanted,
                 const std::string& expectation) {
  expect(found == wanted, expectation + " (" + joined(wanted) + ")", "found " + joined(found));
}

Flow<Result<void>> values_are_what_was_stored(Bench& bench) {
  std::vector<std::string> values;
  values.push_back("text");
  values.push_back(all_octets());
  values.push_back("");
  values.push_back(std::string(bench.longest_value(), '\0'));
  values.push_back("line\r\n\"quoted\" \\ \xc3\xa9 \xff");
  const std::string key = bench.key("value"), other = bench.key("other");
  for (const std::string& value : values) {
    Revision revision = co_await bench.put(key, value);
    Result<void> seen = co_await bench.sees(key, value, "a value is what was stored");
    std::optional<StoredValue> stored = co_await bench.get(key);
    expect(stored && stored->revision == revision, "load() returns the revision that write() returned");
    Revision created = co_await bench.put(other, value);
    expect(!created.none(), "a value that exists has a revision");
    seen = co_await bench.sees(other, value, "a new value is what was stored");
    Write removal(other);
    Revision none = co_await bench.write(std::move(removal));
    expect(none.none(), "the revision of a removed value is none");
  }
  Write longer(key, std::string(bench.longest_value() + 1, 'x'));
  Result<void> done = co_await bench.refused(std::move(longer), Errc::invalid_argument,
                                             "a value longer than capabilities().longest_value is refused");
  done = co_await bench.sees(key, values.back(), "a value that is too long changes nothing");
  co_return done;
}

Flow<Result<void>> values_are_replaced_and_removed(Bench& bench) {
  const std::string key = bench.key("value");
  Result<void> seen = co_await bench.sees(key, std::nullopt, "what was never stored does not exist");
  std::vector<std::string> revisions;
  for (int round = 0; round < 6; ++round) {
    const std::string value = "value " + std::to_string(round);
    Revision revision = co_await bench.put(key, value);
    expect(std::ranges::find(revisions, revision.text) == revisions.end(), "a different value has a new revision",
           "revision " + revision.text + " was returned twice");
    revisions.push_back(revision.text);
    seen = co_await bench.sees(key, value, "a value is replaced");
    if (round % 2 == 0) continue;
    Write removal(key);
    Revision none = co_await bench.write(std::move(removal));
    expect(none.none(), "the revision of a removed value is none");
    seen = co_await bench.sees(key, std::nullopt, "a removed value does not exist");
    Write again(key);
    none = co_await bench.write(std::move(again));
    expect(none.none(), "removing what does not exist is no error, and its revision is none");
  }
  co_return seen;
}

Flow<Result<void>> values_change_only_from_the_expected_revision(Bench& bench) {
  const std::string key = bench.key("value");
  Write create = expecting(key, "one", Revision());
  Revision first = co_await bench.write(create);
  Result<void> done = co_await bench.refused(create, Errc::conflict, "what exists is not created again");
  Write from_first = expecting(key, "two", first);
  Revision second = co_await bench.write(from_first);
  from_first.value = "three";
  done = co_await bench.refused(from_first, Errc::conflict, "a value is not replaced from an old revision");
  from_first.value.reset();
  done = co_await bench.refused(from_first, Errc::conflict, "a value is not removed from an old revision");
  done = co_await bench.sees(key, "two", "a conflict changes nothing");
  Write removal(key);
  removal.expected = second;
  Revision none = co_await bench.write(removal);
  expect(none.none(), "a value is removed from its revision");
  done = co_await bench.refused(removal, Errc::conflict, "what does not exist has no revision to remove it from");
  Write from_second = expecting(key, "four", second);
  done = co_await bench.refused(from_second, Errc::conflict, "what was removed is not replaced from its old revision");
  done = co_await bench.sees(key, std::nullopt, "a conflict changes nothing");
  Revision again = co_await bench.write(create);
  expect(again != second, "a value that was removed and created anew has a new revision");
  done =
      co_await bench.refused(from_second, Errc::conflict, "a value is not replaced from a revision before its removal");
  Write nothing(bench.key("nothing"));
  nothing.expected = Revision();
  none = co_await bench.write(std::move(nothing));
  expect(none.none(), "removing what is expected not to exist is no error");
  co_return done;
}

Flow<Result<void>> values_load_in_bulk(Bench& bench) {
  std::vector<std::string> keys;
  for (std::size_t number = 0; number < 40; ++number) keys.push_back(bench.key(std::to_string(number)));
  for (std::size_t number = 0; number < 40; number += 2) {
    Revision revision = co_await bench.put(keys[number], "value " + std::to_string(number));
    expect(!revision.none(), "a value that exists has a revision");
  }
  std::ranges::reverse(keys);
  keys.push_back(keys[1]);
  keys.push_back(keys[0]);
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await bench.second().load(keys);
  const std::vector<std::optional<StoredValue>> values = unwrapped(std::move(loaded), "loading 42 keys");
  expect(values.size() == keys.size(), "load() returns a value or nullopt for each key");
  for (std::size_t at = 0; at < keys.size(); ++at) {
    const std::string number = keys[at].substr(keys[at].rfind('/') + 1);
    const std::string expectation = "load() returns values in the order of the keys: number " + number;
    const bool exists = std::stoi(number) % 2 == 0;
    expect(values[at].has_value() == exists, expectation + (exists ? " exists" : " does not exist"));
    if (exists) expect(values[at]->value == "value " + number, expectation + " has its value", "it is another one");
  }
  std::vector<std::string> no_keys;
  loaded = co_await bench.first().load(std::move(no_keys));
  const std::vector<std::optional<StoredValue>> none = unwrapped(std::move(loaded), "loading no keys");
  expect(none.empty(), "load() of no keys returns no values");
  co_return Result<void>();
}

/// Adds 1 to the number under `key`, as often as told, by load and compare-and-set.
Flow<Result<void>> count_up(Bench* bench, std::size_t number, std::string key, int times) {
  for (int tries = 0; times > 0; ++tries) {
    expect(tries < 5000, "of several writers that compare and set, one succeeds each time");
    Result<std::optional<StoredValue>> loaded = co_await load_one(bench->handle(number), key);
    const std::optional<StoredValue> stored = unwrapped(std::move(loaded), "loading the counter");
    const std::string next = std::to_string(stored ? std::stoi(stored->value) + 1 : 1);
    Write change = expecting(key, next, stored ? stored->revision : Revision());
    Result<Revision> written = co_await write_one(bench->handle(number), std::move(change));
    if (written) {
      --times;
      continue;
    }
    if (written.error().code() != Errc::conflict) throw written.error();
    // Writers that conflict in step would conflict again.
    Result<void> waited =
        co_await wait(std::chrono::milliseconds(1 + (number * 7 + static_cast<std::size_t>(tries) * 3) % 20));
    if (!waited) co_return waited;
  }
  co_return Result<void>();
}

Flow<Result<void>> values_are_compared_and_set_in_one_step(Bench& bench) {
  constexpr std::size_t writers = 8;
  constexpr int each = 5;
  const std::string key = bench.key("counter");
  std::vector<Flow<Result<void>>> flows;
  for (std::size_t number = 0; number < writers; ++number) flows.push_back(count_up(&bench, number, key, each));
  const std::vector<Result<void>> counted = co_await all(std::move(flows));
  for (const Result<void>& result : counted) {
    if (!result) co_return result;
  }
  Result<void> seen = co_await bench.sees(key, std::to_string(writers * each), "every accepted compare-and-set counts");
  co_return seen;
}

// ---- Keys ----

std::vector<std::string> odd_keys(const Bench& bench) {
  std::vector<std::string> keys;
  for (const char* rest : {"%", "%2e", "%2e./x", "%41.b", "-", "_", "@", "0", "a", "a/b", "a/b/c", "a.json", "a.",
                           "con", "a%2fb", "%00%ff"}) {
    keys.push_back(bench.key(rest));
  }
  std::string longest = bench.key("k");
  while (longest.size() < 512) longest += longest.size() % 50 == 0 && longest.size() < 511 ? '/' : 'k';
  keys.push_back(std::move(longest));
  std::string long_part = bench.key("");
  long_part.resize(512, 'p');
  keys.push_back(std::move(long_part));
  return keys;
}

Flow<Result<void>> keys_may_have_all_parts(Bench& bench) {
  std::vector<std::string> keys = odd_keys(bench);
  for (const std::string& key : keys) {
    Revision revision = co_await bench.put(key, "value of " + key);
    expect(!revision.none(), "a value that exists has a revision");
  }
  for (const std::string& key : keys) {
    Result<void> seen = co_await bench.sees(key, "value of " + key, "every key has a value of its own");
  }
  std::ranges::sort(keys);
  const std::vector<std::string> found = co_await bench.keys_below(bench.prefix());
  expect_keys(found, keys, "list() returns all keys as they are");
  for (const std::string& key : keys) {
    if (key.size() > 480) continue;
    std::optional<Lease> lease = co_await bench.try_acquire(0, key, std::chrono::seconds(30));
    expect(lease.has_value(), "every key can be the name of a lease", printable(key) + " cannot");
    Result<void> released = co_await bench.release(1, std::move(*lease));
  }
  co_return Result<void>();
}

Flow<Result<void>> keys_that_are_not_valid_are_refused(Bench& bench) {
  std::vector<std::string> keys;
  for (const char* rest : {"", "A", "a//b", "a/", ".", "..", ".a", "a/../b", "a b", "a\nb", "%2", "%2E", "%61", "%zz",
                           "a%", "\xc3\xa9", "a/.b"}) {
    keys.push_back(bench.key(rest));
  }
  keys.push_back("");
  keys.push_back("/" + bench.key("a"));
  std::string longer = bench.key("");
  longer.resize(513, 'p');
  keys.push_back(longer);
  keys.push_back(bench.key(std::string_view("a\0b", 3)));
  for (const std::string& key : keys) {
    const std::string subject = "the key \"" + printable(key, 100) + "\" is refused: ";
    Write change(key, "value");
    Result<void> done = co_await bench.refused(change, Errc::invalid_argument, subject + "write()");
    change.value.reset();
    done = co_await bench.refused(std::move(change), Errc::invalid_argument, subject + "a removal");
    Result<std::optional<StoredValue>> loaded = co_await load_one(bench.first(), key);
    expect(!loaded && loaded.error().code() == Errc::invalid_argument, subject + "load()");
    Result<std::optional<Lease>> acquired =
        co_await bench.first().acquire(key, "conformance", std::chrono::seconds(30));
    expect(!acquired && acquired.error().code() == Errc::invalid_argument, subject + "acquire()");
    if (key.empty()) continue;  // everything begins with it
    Result<std::vector<StoredItem>> listed = co_await bench.first().list(key + "/", std::string(), 10, false);
    expect(!listed && listed.error().code() == Errc::invalid_argument, subject + "list() of what is below it");
  }
  Result<std::vector<StoredItem>> listed = co_await bench.first().list(bench.key("a"), std::string(), 10, false);
  expect(!listed && listed.error().code() == Errc::invalid_argument, "a prefix that does not end in \"/\" is refused");
  Result<std::string> cursor = co_await bench.first().changed(bench.key("a"), std::string(), std::chrono::seconds(1));
  expect(!cursor && cursor.error().code() == Errc::invalid_argument,
         "changed() refuses a prefix that does not end in \"/\"");
  Write twice(bench.key("twice"), "value");
  std::vector<Write> writes(2, twice);
  Result<void> done =
      co_await bench.all_refused(std::move(writes), Errc::invalid_argument, "one key occurs only once in write()");
  done = co_await bench.sees(bench.key("twice"), std::nullopt, "what is refused changes nothing");
  co_return done;
}

// ---- Lists ----

Flow<Result<void>> list_is_ordered_by_octets(Bench& bench) {
  // "/" is before digits and letters, and after "-" and ".".
  std::vector<std::string> keys;
  for (const char* rest : {"a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/c", "a0", "a@", "a_", "aa", "a%2f", "b/a"}) {
    keys.push_back(bench.key(rest));
  }
  for (const std::string& key : keys) {
    Revision revision = co_await bench.put(key, key);
    expect(!revision.none(), "a value that exists has a revision");
  }
  std::ranges::sort(keys);
  std::vector<std::string> found = co_await bench.keys_below(bench.prefix());
  expect_keys(found, keys, "list() returns keys in the order of their octets");
  std::vector<std::string> below_a;
  for (const char* rest : {"a/b", "a/b-c", "a/b/c", "a/c"}) below_a.push_back(bench.key(rest));
  found = co_await bench.keys_below(bench.key("a/"));
  expect_keys(found, below_a, "a prefix counts in whole parts");
  found = co_await bench.keys_below(bench.key("nothing/"));
  expect_keys(found, std::vector<std::string>(), "nothing is below a prefix without keys");

  const std::vector<StoredItem> values = co_await bench.list(bench.key("a/"), bench.key("a/b"), 100, true);
  expect(values.size() == 3, "list() begins after `after`",
         "it returned " + std::to_string(values.size()) + " of 3 keys");
  for (const StoredItem& item : values) {
    expect(item.stored.value == item.key, "list() with values returns them", "that of " + item.key + " differs");
    std::optional<StoredValue> stored = co_await bench.get(item.key);
    expect(stored && stored->revision == item.stored.revision, "list() and load() return the same revision");
  }
  const std::vector<StoredItem> bare = co_await bench.list(bench.key("a/"), std::string(), 2, false);
  expect(bare.size() == 2, "list() returns as many as the limit allows");
  for (const StoredItem& item : bare) expect(item.stored.value.empty(), "list() without values returns none");
  // `after` need not exist.
  const std::vector<StoredItem> after = co_await bench.list(bench.key("a/"), bench.key("a/b-") + "b", 100, false);
  expect(after.size() == 3, "`after` need not be a key that exists",
         "list() returned " + std::to_string(after.size()) + " of 3 keys");
  co_return Result<void>();
}

Flow<Result<void>> list_pages_while_others_write(Bench& bench) {
  std::vector<std::string> stay;
  for (int number = 100; number < 160; ++number) {
    stay.push_back(bench.key(std::to_string(number)));
    Revision revision = co_await bench.put(stay.back(), "value");
    expect(!revision.none(), "a value that exists has a revision");
  }
  std::vector<std::string> found;
  std::string after;
  for (int page_number = 0;; ++page_number) {
    expect(page_number < 100, "paging ends");
    const std::vector<StoredItem> page = co_await bench.list(bench.prefix(), after, 7, page_number % 2 == 0);
    for (const StoredItem& item : page) {
      found.push_back(item.key);
      if (page_number % 2 == 0) expect(item.stored.value == "value", "list() with values returns them");
    }
    if (page.size() < 7) break;
    after = found.back();
    // Before and after the place that the list has come to; what is replaced stays in its place.
    std::vector<std::string> written(1, after + "-x");
    written.push_back(bench.key("1" + std::to_string(page_number)));
    written.push_back(bench.key("15" + std::to_string(page_number)));
    for (const std::string& key : written) {
      const bool replaced = std::ranges::find(stay, key) != stay.end();
      Revision revision = co_await bench.put(key, "value");
      expect(!revision.none(), "a value that exists has a revision");
      if (replaced || page_number % 2 == 0) continue;
      Write removal(key);
      revision = co_await bench.write(std::move(removal));
    }
  }
  std::erase_if(found, [&stay](const std::string& key) { return std::ranges::find(stay, key) == stay.end(); });
  expect_keys(found, stay, "while others write, paging returns each key that stays exactly once");
  co_return Result<void>();
}

// ---- Many keys at once ----

Flow<Result<void>> many_change_as_a_whole(Bench& bench) {
  std::vector<Write> writes;
  for (const char* rest : {"a", "b", "c", "d"}) writes.push_back(expecting(bench.key(rest), "one", Revision()));
  if (!bench.can_many()) {
    Result<void> done = co_await bench.all_refused(std::move(writes), Errc::invalid_argument,
                                                   "without many_in_one, several keys at once are refused");
    done = co_await bench.sees(bench.key("a"), std::nullopt, "what is refused changes nothing");
    co_return done;
  }
  const std::vector<Revision> created = co_await bench.write_all(writes);
  for (std::size_t number = 0; number < writes.size(); ++number) {
    std::optional<StoredValue> stored = co_await bench.get(writes[number].key);
    expect(stored && stored->revision == created[number], "write() returns the revisions in the order of the writes");
  }
  for (std::size_t wrong = 0; wrong < writes.size(); ++wrong) {
    std::vector<Write> changes;
    for (std::size_t number = 0; number < writes.size(); ++number) {
      Write change = expecting(writes[number].key, "two", number == wrong ? Revision() : created[number]);
      if (number == 3) change.value.reset();
      changes.push_back(std::move(change));
    }
    Result<void> done =
        co_await bench.all_refused(std::move(changes), Errc::conflict, "one conflict refuses all writes");
    for (const Write& write : writes) {
      done = co_await bench.sees(write.key, "one", "of several writes, none is made if one conflicts");
    }
  }
  std::vector<Write> changes;
  for (std::size_t number = 0; number < writes.size(); ++number) {
    Write change = expecting(writes[number].key, "two", created[number]);
    if (number == 3) change.value.reset();
    changes.push_back(std::move(change));
  }
  changes.emplace_back(bench.key("e"), "new");
  const std::vector<Revision> changed = co_await bench.write_all(std::move(changes));
  Result<void> seen = co_await bench.sees(bench.key("a"), "two", "several writes are made together");
  seen = co_await bench.sees(bench.key("c"), "two", "several writes are made together");
  seen = co_await bench.sees(bench.key("d"), std::nullopt, "a removal is one of several writes");
  seen = co_await bench.sees(bench.key("e"), "new", "several writes are made together");
  expect(changed[3].none() && !changed[4].none(), "only a removed value has no revision");
  std::vector<Write> none;
  const std::vector<Revision> nothing = co_await bench.write_all(std::move(none));
  expect(nothing.empty(), "no writes have no revisions");
  co_return seen;
}

// ---- Values that expire ----

Flow<Result<void>> expiry_removes_values(Bench& bench) {
  const std::string soon = bench.key("soon"), late = bench.key("late"), kept = bench.key("kept");
  Write expiring(late, "value");
  expiring.expires_in = std::chrono::hours(1);
  Revision revision = co_await bench.write(expiring);
  expiring.key = kept;
  expiring.expires_in = std::chrono::seconds(1);
  revision = co_await bench.write(expiring);
  expiring.key = soon;
  revision = co_await bench.write(expiring);
  revision = co_await bench.put(kept, "kept");
  Result<void> waited = co_await wait(std::chrono::milliseconds(2100));
  if (!waited) co_return waited;
  Result<void> seen = co_await bench.sees(soon, std::nullopt, "after twice expires_in a value is gone");
  seen = co_await bench.sees(late, "value", "a value that expires later is there");
  seen = co_await bench.sees(kept, "kept", "a write without expires_in makes a value stay");
  std::vector<std::string> there;
  there.push_back(kept);
  there.push_back(late);
  const std::vector<std::string> found = co_await bench.keys_below(bench.prefix());
  expect_keys(found, there, "list() does not return what has expired");
  Write create = expecting(soon, "new", Revision());
  revision = co_await bench.write(std::move(create));
  seen = co_await bench.sees(soon, "new", "what has expired can be created again");
  expiring.expires_in = std::chrono::seconds(0);
  seen = co_await bench.refused(std::move(expiring), Errc::invalid_argument, "expires_in of 0 is refused");
  co_return seen;
}

}  // namespace

const std::vector<Definition> value_tests = {
    {"values: are what was stored", "stored", values_are_what_was_stored},
    {"values: are replaced and removed", "replaced", values_are_replaced_and_removed},
    {"values: change only from the expected revision", "expected", values_change_only_from_the_expected_revision},
    {"values: are compared and set in one step", "counter", values_are_compared_and_set_in_one_step},
    {"values: load in bulk, in order", "bulk", values_load_in_bulk},
    {"keys: may have all parts, up to 512 octets", "parts", keys_may_have_all_parts},
    {"keys: that are not valid are refused", "invalid", keys_that_are_not_valid_are_refused},
    {"list: is ordered by octets, below a prefix", "order", list_is_ordered_by_octets},
    {"list: pages while others write", "pages", list_pages_while_others_write},
    {"many: change as a whole or not at all", "many", many_change_as_a_whole},
    {"expiry: removes values in time", "expiry", expiry_removes_values},
};

}  // namespace culmen::conformance
