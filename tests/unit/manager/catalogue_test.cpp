#include "manager/catalogue.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace culmen;
using namespace culmen::manager;

namespace {

std::vector<std::shared_ptr<const Wanted>> wanted_with(const std::vector<std::string>& ids) {
  std::vector<std::shared_ptr<const Wanted>> all;
  for (const std::string& id : ids) {
    auto each = std::make_shared<Wanted>(CertificateSpec({id}));
    each->ids.push_back(id);
    all.push_back(std::move(each));
  }
  return all;
}

std::vector<std::string> ids_of(const std::vector<std::shared_ptr<Entry>>& entries) {
  std::vector<std::string> ids;
  for (const std::shared_ptr<Entry>& entry : entries) ids.push_back(entry->id);
  return ids;
}

/// All that are due, in their order.
std::vector<std::string> taken(Catalogue& catalogue, planner::Time now) {
  std::vector<std::string> ids;
  while (const std::shared_ptr<Entry> entry = catalogue.take_due(now)) ids.push_back(entry->id);
  return ids;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("catalogue: what is not loaded is read in parts, and again when it is marked") {
  Catalogue catalogue;
  catalogue.set(wanted_with({"e", "d", "c", "b", "a"}));
  CHECK(catalogue.number_not_loaded() == 5);
  CHECK(ids_of(catalogue.not_loaded(2)) == Ids{"b", "a"});  // the first by id; of these the oldest first
  CHECK(ids_of(catalogue.not_loaded(2)) == Ids{"b", "a"});  // until they are loaded
  for (const char* id : {"a", "b"}) (void)catalogue.adopt(*catalogue.find(id), std::nullopt, Revision());
  CHECK(ids_of(catalogue.not_loaded(2)) == Ids{"d", "c"});
  catalogue.mark_not_loaded(*catalogue.find("a"));
  catalogue.mark_not_loaded(*catalogue.find("a"));
  CHECK(catalogue.number_not_loaded() == 4);
  CHECK(ids_of(catalogue.not_loaded(9)) == Ids{"e", "d", "c", "a"});

  catalogue.set(wanted_with({"b", "c", "0"}));
  CHECK(catalogue.number_not_loaded() == 2);
  CHECK(ids_of(catalogue.not_loaded(9)) == Ids{"c", "0"});
  CHECK(catalogue.find("b")->is_loaded);
  for (const char* id : {"c", "0"}) catalogue.mark_unreadable(*catalogue.find(id));
  CHECK(catalogue.number_not_loaded() == 0);
  CHECK(catalogue.not_loaded(9).empty());
}

TEST_CASE("catalogue: wake-ups come by time, and in the order in which they were asked for") {
  using std::chrono::seconds;
  const planner::Time start{seconds(1'800'000'000)};
  Catalogue catalogue;
  catalogue.set(wanted_with({"a", "b", "c", "d"}));
  CHECK_FALSE(catalogue.next_wake_up());
  catalogue.wake(*catalogue.find("d"), start + seconds(2));
  catalogue.wake(*catalogue.find("c"), start + seconds(1));
  catalogue.wake(*catalogue.find("b"), start + seconds(1));
  catalogue.wake(*catalogue.find("a"), start);
  CHECK(catalogue.next_wake_up() == start);
  catalogue.wake(*catalogue.find("a"), start + seconds(1));  // in place of the time before
  CHECK(catalogue.next_wake_up() == start + seconds(1));
  CHECK(taken(catalogue, start).empty());
  CHECK(taken(catalogue, start + seconds(1)) == Ids{"c", "b", "a"});

  const std::shared_ptr<Entry> removed = catalogue.find("d");
  catalogue.set(wanted_with({"a"}));
  CHECK_FALSE(catalogue.next_wake_up());
  catalogue.wake(*removed, start);
  CHECK_FALSE(catalogue.next_wake_up());
  catalogue.wake(*catalogue.find("a"), start);
  catalogue.mark_not_loaded(*catalogue.find("a"));  // first it is read
  CHECK(taken(catalogue, start).empty());
}
