// What CAs allow, and that it is never crossed.
#include "culmen/rate_ledger.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>

#include <doctest/doctest.h>

#include "culmen/directory.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using days = std::chrono::days;
using Time = RateLedger::Time;
using Limits = std::vector<RateLimit>;

namespace {

constexpr Time start{1'800'000'000s};

RateLimit limit(std::string name, RateLimit::Scope scope, RateLimit::Counts counts, double capacity,
                std::chrono::seconds window) {
  RateLimit made;
  made.name = std::move(name);
  made.scope = scope;
  made.counts = counts;
  made.capacity = capacity;
  made.window = window;
  return made;
}

CountedOrder order_for(std::vector<std::string> names, bool renewal = false, bool ari_renewal = false) {
  CountedOrder order;
  order.names = std::move(names);
  order.renewal = renewal;
  order.ari_renewal = ari_renewal;
  return order;
}

std::string fault_of(std::string_view json) {
  const auto limits = rate_limits_from_json(json);
  if (limits) return "";
  CHECK(limits.error().code() == Errc::invalid_argument);
  return limits.error().detail();
}

RateLedger reread(const RateLedger& ledger) {
  const Result<RateLedger> read = RateLedger::from_json(ledger.to_json());
  REQUIRE(read.has_value());
  return *read;
}

constexpr const char* small_list =
    "// a comment\n"
    "com\n"
    "uk\r\n"
    "co.uk   trailing text\n"
    "*.ck\n"
    "!www.ck\n"
    "公司.cn\n"
    "\n"
    "github.io\n"
    "*.platform.test";

}  // namespace

TEST_CASE("limits: Let's Encrypt's, by name and URL, none for others") {
  const Limits limits = known_rate_limits("letsencrypt");
  CHECK(limits.size() == 4);
  CHECK(limits == known_rate_limits("https://acme-v02.api.letsencrypt.org/directory"));
  CHECK(known_rate_limits("letsencrypt-staging").size() == 3);  // certificates for each domain have none to speak of
  CHECK(known_rate_limits("letsencrypt-staging") != limits);
  CHECK(known_rate_limits("https://ca.test/dir").empty());
  CHECK(known_rate_limits("").empty());

  RateLedger ledger;
  const CountedOrder fresh = order_for({"a.test"});
  for (int i = 0; i < 239; ++i) ledger.count_order(limits, fresh, start);
  CHECK(ledger.allowed_at(limits, fresh, start) == start);
  ledger.count_order(limits, fresh, start);
  CHECK(ledger.allowed_at(limits, fresh, start) == start + 37s);  // a fifth is kept for renewals, and 36 s refill one
  CHECK(ledger.allowed_at(limits, fresh, start, 0) == start);
  CHECK(ledger.allowed_at(limits, order_for({"a.test"}, true), start) == start);
  CHECK(ledger.allowed_at(limits, fresh, start + 37s) == start + 37s);
}

TEST_CASE("limits: a file replaces them, and what is wrong in it is named") {
  const auto limits = rate_limits_from_json(
      R"({"https://ca.test/dir":[{"name":"orders","scope":"account","counts":"orders","capacity":10,"window":60}],)"
      R"("letsencrypt":[],"zerossl":[{"name":"set","scope":"identifier_set","counts":"certificates","capacity":2.5,)"
      R"("window":3600,"renewals_exempt":true,"ari_renewals_exempt":true}]})");
  REQUIRE(limits.has_value());
  CHECK(limits->size() == 3);
  CHECK(limits->at("https://ca.test/dir") ==
        Limits{limit("orders", RateLimit::Scope::account, RateLimit::Counts::orders, 10, 60s)});
  CHECK(limits->at(resolve_directory_url("letsencrypt")).empty());
  CHECK(limits->at(resolve_directory_url("zerossl")).front().renewals_exempt);

  struct Row {
    const char *json, *fault;
  };
  const std::string good = R"("name":"n","scope":"account","counts":"orders","capacity":1,"window":1)";
  for (const Row& row :
       {Row{"[]", "the file is not a JSON object"},
        Row{R"({"letsencrypt":{}})", "letsencrypt: it is not a list of limits"},
        Row{R"({"letsencript":[]})", "letsencript: it is neither a directory URL nor the short name"},
        Row{R"({"zerossl":[1]})", "zerossl: limit 1: it is not an object"},
        Row{R"({"zerossl":[{}]})", "zerossl: limit 1: name: it is missing"},
        Row{R"({"zerossl":[{"name":"n","scope":"acount"}]})",
            R"(zerossl: limit 1 (n): scope: "acount" is not known; did you mean "account"?)"},
        Row{R"({"zerossl":[{"name":"n","scope":"account"}]})", "zerossl: limit 1 (n): counts: \"\""}}) {
    CAPTURE(row.json);
    CHECK(fault_of(row.json).starts_with(row.fault));
  }
  CHECK(fault_of(R"({"zerossl":[{)" + good + "}]}").empty());
  CHECK(fault_of(R"({"zerossl":[{)" + good + "},{" + good + "}]}").find("the name is there twice") !=
        std::string::npos);
  CHECK(fault_of(R"({"zerossl":[{)" + good + R"(,"widnow":3}]})").find(R"(did you mean "window"?)") !=
        std::string::npos);
  for (const char* value : {"0", "-1", "1e300", "\"10\"", "0.5"}) {
    CAPTURE(value);
    const std::string json = R"({"zerossl":[{"name":"n","scope":"account","counts":"orders","window":1,"capacity":)" +
                             std::string(value) + "}]}";
    CHECK(fault_of(json).find("capacity: it ") != std::string::npos);
  }
  for (const char* value : {"0", "-1", "99999999", "1.5"}) {
    CAPTURE(value);
    const std::string json = R"({"zerossl":[{"name":"n","scope":"account","counts":"orders","capacity":1,"window":)" +
                             std::string(value) + "}]}";
    CHECK(fault_of(json).find("window: it ") != std::string::npos);
  }
}

TEST_CASE("ledger: to whom a limit applies") {
  using Scope = RateLimit::Scope;
  using Counts = RateLimit::Counts;
  struct Row {
    Scope scope;
    CountedOrder other;
    bool same;
  };
  const CountedOrder used = order_for({"www.a.test", "b.test"});
  for (const Row& row :
       {Row{Scope::account, order_for({"x.test"}), true},
        Row{Scope::registered_domain, order_for({"mail.a.test"}), true},
        Row{Scope::registered_domain, order_for({"*.B.test"}), true},
        Row{Scope::registered_domain, order_for({"c.test"}), false},
        Row{Scope::identifier_set, order_for({"B.test", "www.a.test", "b.test"}), true},
        Row{Scope::identifier_set, order_for({"b.test"}), false}, Row{Scope::identifier, order_for({"b.test"}), true},
        Row{Scope::identifier, order_for({"a.test"}), false}}) {
    const Limits limits = {limit("only", row.scope, Counts::certificates, 1, 1h)};
    RateLedger ledger;
    ledger.count_certificate(limits, used, start);
    CHECK((ledger.allowed_at(limits, row.other, start) > start) == row.same);
  }
  // What is counted is what the limit counts.
  for (const Counts counts : {Counts::orders, Counts::certificates, Counts::failed_validations}) {
    const Limits limits = {limit("only", Scope::identifier, counts, 1, 1h)};
    RateLedger orders, certificates, failures;
    orders.count_order(limits, used, start);
    certificates.count_certificate(limits, used, start);
    failures.count_failed_validation(limits, "b.test", start);
    CHECK((orders.allowed_at(limits, used, start) > start) == (counts == Counts::orders));
    CHECK((certificates.allowed_at(limits, used, start) > start) == (counts == Counts::certificates));
    CHECK((failures.allowed_at(limits, used, start) > start) == (counts == Counts::failed_validations));
  }
  // Sets with long names are told apart.
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back("host" + std::to_string(i) + ".example.test");
  std::vector<std::string> others = many;
  others.back() += "x";
  const Limits limits = {limit("set", Scope::identifier_set, Counts::orders, 1, 1h)};
  RateLedger ledger;
  ledger.count_order(limits, order_for(many), start);
  CHECK(ledger.allowed_at(limits, order_for(many), start) > start);
  CHECK(ledger.allowed_at(limits, order_for(others), start) == start);
  CHECK(ledger.to_json().size() < 250);
}

TEST_CASE("ledger: renewals are exempt where the limit says so, and have their reserve elsewhere") {
  RateLimit exempt = limit("exempt", RateLimit::Scope::account, RateLimit::Counts::orders, 1, 1h);
  exempt.renewals_exempt = exempt.ari_renewals_exempt = true;
  RateLimit by_ari = exempt;
  by_ari.renewals_exempt = false;
  const CountedOrder fresh = order_for({"a.test"}), renewal = order_for({"a.test"}, true),
                     ari = order_for({"a.test"}, true, true);
  RateLedger ledger;
  ledger.count_order({exempt}, renewal, start);
  CHECK(ledger.allowed_at({exempt}, fresh, start) == start);  // nor counted
  ledger.count_order({exempt}, fresh, start);
  CHECK(ledger.allowed_at({exempt}, fresh, start) > start);
  CHECK(ledger.allowed_at({exempt}, renewal, start) == start);
  CHECK(ledger.allowed_at({by_ari}, renewal, start) > start);
  CHECK(ledger.allowed_at({by_ari}, ari, start) == start);

  // Five a week: four for a new name.
  const Limits five = {limit("five", RateLimit::Scope::account, RateLimit::Counts::orders, 5, days(7))};
  RateLedger week;
  for (int i = 0; i < 4; ++i) week.count_order(five, fresh, start);
  CHECK(week.allowed_at(five, fresh, start) > start);
  CHECK(week.allowed_at(five, renewal, start) == start);
  week.count_order(five, renewal, start);
  CHECK(week.allowed_at(five, renewal, start) > start);
  CHECK(week.allowed_at(five, renewal, start) <= start + std::chrono::seconds(days(7)) / 5 + 1s);
  // Whatever the reserve, one order is possible.
  for (const double reserve : {1.0, 5.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK(RateLedger().allowed_at(five, fresh, start, reserve) == start);
}

TEST_CASE("ledger: what the CA said wins, for a week at most") {
  const Limits none;
  const CountedOrder a = order_for({"a.test"}), b = order_for({"b.test"});
  RateLedger ledger;
  ledger.refuse_names_until({"A.test"}, start + 2h, start);
  CHECK(ledger.allowed_at(none, a, start) == start + 2h);
  CHECK(ledger.allowed_at(none, b, start) == start);
  ledger.refuse_until(start + 1h, start);
  CHECK(ledger.allowed_at(none, a, start) == start + 2h);
  CHECK(ledger.allowed_at(none, b, start) == start + 1h);
  ledger.refuse_until(start + 30min, start);  // the later word of two stays
  CHECK(ledger.allowed_at(none, b, start) == start + 1h);
  CHECK(ledger.allowed_at(none, b, start + 1h) == start + 1h);
  ledger.refuse_until(Time::max(), start);
  CHECK(ledger.allowed_at(none, b, start) == start + days(7));
  CHECK(ledger.allowed_at(none, b, start - days(1)) == start - days(1));  // the clock was set back
}

TEST_CASE("ledger: pruned without effect, and the same after storage") {
  const Limits limits = known_rate_limits("letsencrypt");
  const CountedOrder a = order_for({"a.test"}), b = order_for({"www.b.test", "b.test"});
  RateLedger ledger;
  for (int i = 0; i < 5; ++i) ledger.count_certificate(limits, a, start);
  ledger.count_failed_validation(limits, "b.test", start);
  ledger.refuse_names_until(b.names, start + 10min, start);
  for (const CountedOrder& order : {a, b}) {
    const Time allowed = ledger.allowed_at(limits, order, start);
    CHECK(allowed > start);
    CHECK(reread(ledger).allowed_at(limits, order, start) == allowed);
    RateLedger pruned = ledger;
    pruned.prune(limits, start);
    CHECK(pruned.allowed_at(limits, order, start) == allowed);
  }
  RateLedger later = ledger;
  later.prune(limits, start + days(8));
  CHECK(later == RateLedger());
  RateLedger without_limits = ledger;
  without_limits.prune({}, start);
  CHECK(without_limits.allowed_at(limits, a, start) == start);
  // Two processes that have counted the same are told apart, and read the same.
  CHECK(ledger.to_json("one") != ledger.to_json("other"));
  CHECK(RateLedger::from_json(ledger.to_json("one"))->to_json() == ledger.to_json());
}

TEST_CASE("ledger: a limit of many orders a second is not lost by storing each") {
  const Limits limits = {limit("orders", RateLimit::Scope::account, RateLimit::Counts::orders, 100, 10s)};
  RateLedger ledger;
  for (int i = 0; i < 100; ++i) {
    ledger.count_order(limits, order_for({"a.test"}, true), start);
    ledger = reread(ledger);
  }
  CHECK(ledger.allowed_at(limits, order_for({"a.test"}, true), start) == start + 1s);
}

TEST_CASE("ledger: one of very many names stays small, and forgets what matters least") {
  const Limits limits = known_rate_limits("letsencrypt");
  RateLedger ledger;
  for (int i = 0; i < 20'000; ++i) {
    const std::string name = "h" + std::to_string(i) + ".example" + std::to_string(i) + ".test";
    ledger.count_certificate(limits, order_for({name}), start);
    ledger.refuse_names_until({name}, start + std::chrono::seconds(10 + i), start);
  }
  for (int i = 0; i < 5; ++i) ledger.count_certificate(limits, order_for({"busy.test"}), start);
  ledger.prune(limits, start + 1s);
  CHECK(ledger.allowed_at(limits, order_for({"busy.test"}, true), start + 1s) > start + days(1));
  CHECK(ledger.to_json().size() < 256 * 1024);
  CHECK(ledger.to_json().size() > 100 * 1024);
  const CountedOrder last = order_for({"h19999.example19999.test"}, true);
  CHECK(ledger.allowed_at(limits, last, start + 1s) == start + 20'009s);
  CHECK(ledger.allowed_at(limits, order_for({"h0.example0.test"}, true), start + 1s) == start + 1s);
}

TEST_CASE("ledger: stored ones are read leniently where they are newer, and strictly where they are damaged") {
  CHECK(RateLedger::from_json("{}").has_value());
  CHECK(RateLedger::from_json(R"({"format":9,"later":1,"empty_at":{"unknown|x":5}})").has_value());
  for (const char* text :
       {"", "[]", R"({"empty_at":[]})", R"({"empty_at":{"a|":"5"}})", R"({"refused_until":{"":1.5}})"}) {
    CAPTURE(text);
    const Result<RateLedger> read = RateLedger::from_json(text);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code() == Errc::io_failed);
  }
  // A clock that was years ahead has no say.
  const Limits limits = {limit("orders", RateLimit::Scope::account, RateLimit::Counts::orders, 1, 1h)};
  const Result<RateLedger> wrong =
      RateLedger::from_json(R"({"empty_at":{"orders|":7000000000000},"refused_until":{"":7000000000000}})");
  REQUIRE(wrong.has_value());
  CHECK(wrong->allowed_at(limits, order_for({"a.test"}), start) == start);
  RateLedger counted = *wrong;
  counted.count_order(limits, order_for({"a.test"}), start);
  CHECK(counted.allowed_at(limits, order_for({"a.test"}), start) == start + 3'601s);
}

TEST_CASE("ledger: odd limits and times do not overflow") {
  for (const double capacity : {0.0, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN(), 0.5}) {
    for (const auto window : {std::chrono::seconds::min(), 0s, 1s, std::chrono::seconds::max()}) {
      const Limits limits = {limit("odd", RateLimit::Scope::account, RateLimit::Counts::orders, capacity, window)};
      for (const Time now : {Time::min(), Time(), start, Time::max()}) {
        RateLedger ledger;
        for (int i = 0; i < 3; ++i) ledger.count_order(limits, order_for({}), now);
        (void)ledger.allowed_at(limits, order_for({}), now);
        ledger.refuse_until(Time::min(), now);
        ledger.prune(limits, now);
      }
    }
  }
}

TEST_CASE("ledger: no limit is crossed in a random sequence, counted independently") {
  // The bucket as its definition has it: tokens that are refilled evenly.
  struct Tokens {
    double left = 0;
    Time at = start;
  };
  std::size_t waited = 0, orders = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 engine(seed);
    const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine); };
    Limits limits = {
        limit("orders", RateLimit::Scope::account, RateLimit::Counts::orders, 1 + below(40), 10min),
        limit("domain", RateLimit::Scope::registered_domain, RateLimit::Counts::certificates, 1 + below(9), 3h),
        limit("set", RateLimit::Scope::identifier_set, RateLimit::Counts::certificates, 1 + below(4), 1h),
        limit("failed", RateLimit::Scope::identifier, RateLimit::Counts::failed_validations, 1 + below(4), 1h)};
    limits[0].renewals_exempt = below(2) == 0;
    RateLedger ledger;
    std::map<std::string, Tokens> tokens;
    std::map<std::string, std::vector<Time>> times;
    Time now = start;
    const auto spend = [&](const RateLimit& spent, const std::string& whom) {
      const std::string key = spent.name + "|" + whom;
      Tokens& bucket = tokens.try_emplace(key, Tokens{spent.capacity, now}).first->second;
      const double rate = spent.capacity / static_cast<double>(spent.window.count());
      bucket.left =
          std::min(spent.capacity, bucket.left + rate * std::chrono::duration<double>(now - bucket.at).count());
      bucket.at = now;
      CHECK(bucket.left > 1 - 1e-6);
      bucket.left -= 1;
      std::vector<Time>& when = times[key];
      when.push_back(now);
      const auto in_window = std::count_if(when.begin(), when.end(), [&](Time t) { return t > now - spent.window; });
      CHECK(in_window <= 2 * spent.capacity + 1);
    };
    for (int step = 0; step < 400; ++step) {
      if (below(3) == 0) now += std::chrono::milliseconds(below(100'000));
      const std::string domain = "d" + std::to_string(below(3)) + ".test";
      const std::string name = (below(2) == 0 ? "www." : "") + domain;
      const CountedOrder order = order_for({name}, below(3) == 0);
      const Time allowed = ledger.allowed_at(limits, order, now);
      REQUIRE(allowed >= now);
      CHECK(allowed - now <= 6h);
      if (allowed > now) {
        ++waited;
        if (below(2) == 0) continue;
        now = allowed;
        REQUIRE(ledger.allowed_at(limits, order, now) == now);  // nobody waits twice
      }
      ++orders;
      ledger.count_order(limits, order, now);
      if (!(limits[0].renewals_exempt && order.renewal)) spend(limits[0], "");
      if (below(3) == 0) {
        ledger.count_failed_validation(limits, name, now);
        spend(limits[3], name);
      } else {
        ledger.count_certificate(limits, order, now);
        spend(limits[1], domain);
        spend(limits[2], name);
      }
      if (below(10) == 0) ledger = reread(ledger);
      if (below(10) == 0) ledger.prune(limits, now);
    }
  }
  CHECK(waited > 1'000);
  CHECK(orders > 1'000);
}

TEST_CASE("registered domains: by the list, and without one the last two labels") {
  struct Row {
    const char *name, *with_list, *without;
  };
  const PublicSuffixes list(small_list), none;
  for (const Row& row :
       {Row{"example.com", "example.com", "example.com"}, Row{"a.b.example.com", "example.com", "example.com"},
        Row{"www.example.co.uk", "example.co.uk", "co.uk"}, Row{"co.uk", "co.uk", "co.uk"}, Row{"com", "com", "com"},
        Row{"a.b.ck", "a.b.ck", "b.ck"}, Row{"x.a.b.ck", "a.b.ck", "b.ck"}, Row{"b.ck", "b.ck", "b.ck"},
        Row{"a.www.ck", "www.ck", "www.ck"}, Row{"a.me.github.io", "me.github.io", "github.io"},
        Row{"a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn", "xn--55qx5d.cn"},
        Row{"a.unlisted.example", "unlisted.example", "unlisted.example"},
        Row{"*.www.example.co.uk", "example.co.uk", "co.uk"},
        Row{"a.b.c.platform.test", "b.c.platform.test", "platform.test"}, Row{"localhost", "localhost", "localhost"},
        Row{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, Row{"2001:db8::1", "2001:db8::1", "2001:db8::1"}, Row{"", "", ""},
        Row{"..", "", ""}}) {
    CAPTURE(row.name);
    if (std::string_view(row.name) != "..") CHECK(list.registered_domain(row.name) == row.with_list);
    if (std::string_view(row.name) != "..") CHECK(none.registered_domain(row.name) == row.without);
    (void)list.registered_domain(row.name);
    (void)none.registered_domain(row.name);
  }
  CHECK(PublicSuffixes("").registered_domain("www.example.co.uk") == "co.uk");
  CHECK(PublicSuffixes("// nothing\n\n").registered_domain("www.example.co.uk") == "co.uk");

  const Limits limits = {limit("domain", RateLimit::Scope::registered_domain, RateLimit::Counts::certificates, 1, 1h)};
  RateLedger ledger(list);
  ledger.count_certificate(limits, order_for({"www.one.co.uk"}), start);
  CHECK(ledger.allowed_at(limits, order_for({"two.co.uk"}), start) == start);
  CHECK(ledger.allowed_at(limits, order_for({"mail.one.co.uk"}), start) > start);
}

TEST_CASE("registered domains: by the list that the system has, if it has one") {
  std::ifstream file("/usr/share/publicsuffix/public_suffix_list.dat");
  if (!file) {
    MESSAGE("no /usr/share/publicsuffix/public_suffix_list.dat (package publicsuffix): not tested");
    return;
  }
  std::ostringstream text;
  text << file.rdbuf();
  const PublicSuffixes list(text.str());
  CHECK(list.registered_domain("www.example.co.uk") == "example.co.uk");
  CHECK(list.registered_domain("a.b.c.kobe.jp") == "b.c.kobe.jp");
  CHECK(list.registered_domain("www.city.kobe.jp") == "city.kobe.jp");
  CHECK(list.registered_domain("a.b.github.io") == "b.github.io");
  CHECK(list.registered_domain("www.example.com") == "example.com");
}
