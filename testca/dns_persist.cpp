// What a dns-persist-01 record says (draft-ietf-acme-dns-persist; the syntax is that of RFC 8659 §4.2).
#include <algorithm>
#include <charconv>
#include <set>

#include "base/base64.hpp"
#include "base/text.hpp"
#include "crypto/random.hpp"
#include "culmen/error.hpp"
#include "testca/dns_validation.hpp"

namespace culmen::testca {

namespace {

struct Record {
  Record() = default;
  std::string issuer;
  std::string account_uri;
  bool wildcard = false;
  std::optional<std::int64_t> persist_until;
  std::string fault;  ///< Why its syntax is bad; empty when it is good.
};

/// `issuer-domain-name *(";" tag "=" value)`.
Record read_record(std::string_view text) {
  Record record;
  std::size_t end = std::min(text.find(';'), text.size());
  record.issuer = base::to_lower(base::trimmed(text.substr(0, end)));
  if (record.issuer.ends_with('.')) record.issuer.pop_back();
  std::set<std::string> seen;
  while (end < text.size() && record.fault.empty()) {
    const std::size_t start = end + 1;
    end = std::min(text.find(';', start), text.size());
    const std::string_view parameter = base::trimmed(text.substr(start, end - start));
    const std::size_t equals = parameter.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      record.fault = "a parameter is not of the form tag=value";
      break;
    }
    const std::string tag = base::to_lower(base::trimmed(parameter.substr(0, equals)));
    const std::string_view value = base::trimmed(parameter.substr(equals + 1));
    const bool clean = std::ranges::all_of(value, [](unsigned char c) { return c > 0x20 && c < 0x7f && c != ';'; });
    if (!clean) record.fault = "the value of " + tag + " has characters it cannot have";
    const bool known = tag == "accounturi" || tag == "policy" || tag == "persistuntil";
    if (known && !seen.insert(tag).second) record.fault = tag + " is there twice";
    if (tag == "accounturi") record.account_uri = value;
    if (tag == "policy") record.wildcard = base::to_lower(value) == "wildcard";
    if (tag == "persistuntil") {
      std::int64_t seconds = 0;
      const char* last = value.data() + value.size();
      if (value.empty() || std::from_chars(value.data(), last, seconds).ptr != last)
        record.fault = "persistUntil is not a number of seconds";
      record.persist_until = seconds;
    }
  }
  if (record.fault.empty() && record.account_uri.empty()) record.fault = "accounturi is missing";
  return record;
}

/// Draft -02 §5: the hash binds the account's URL and one of its keys to the name, or to "*" for any name.
bool is_hash_of(const ValidationJob& job, const std::string& account_uri) {
  std::vector<std::string> thumbprints = job.former_thumbprints;
  thumbprints.push_back(job.thumbprint);
  for (const std::string& thumbprint : thumbprints) {
    for (const std::string& domain : {job.identifier.value, std::string("*")}) {
      const std::string input = static_cast<char>(domain.size()) + domain + thumbprint + job.account_url;
      if (account_uri == job.account_hash_prefix + "sha-256/" + base::base64url_encode(crypto::sha256(as_bytes(input))))
        return true;
    }
  }
  return false;
}

}  // namespace

std::optional<Problem> judge_persist_records(const ValidationJob& job, const std::vector<std::string>& values,
                                             std::int64_t now) {
  const std::string name = "_validation-persist." + job.identifier.value;
  std::string why = "there is no TXT record at " + name + " that names " + job.issuer_domain;
  bool only_bad_syntax = true, any = false;
  for (const std::string& value : values) {
    const Record record = read_record(value);
    if (record.issuer != job.issuer_domain) continue;  // another CA's
    any = true;
    const std::string shown = "the TXT record \"" + printable(value, 200) + "\" at " + name;
    if (!record.fault.empty()) {
      if (only_bad_syntax) why = shown + " is malformed: " + record.fault;
      continue;
    }
    only_bad_syntax = false;
    const bool same_account =
        job.account_hash_prefix.empty() ? record.account_uri == job.account_url : is_hash_of(job, record.account_uri);
    if (!same_account) {
      why = shown + " is for another account";
    } else if (record.persist_until && *record.persist_until <= now) {
      why = shown + " was good until a time that is past (persistUntil)";
    } else if (job.wildcard && !record.wildcard) {
      why = shown + " has no policy=wildcard, which a wildcard needs";
    } else {
      return std::nullopt;
    }
  }
  if (any && only_bad_syntax) return make_problem(400, "malformed", why);
  return make_problem(403, "unauthorized", why);
}

}  // namespace culmen::testca
