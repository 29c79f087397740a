#include "dns/caa.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace culmen::dns {

namespace {

constexpr std::uint8_t critical_bit = 0x80;

std::string_view before(std::string_view text, char separator) { return text.substr(0, text.find(separator)); }
std::string_view after(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
}

/// The value of "issue" (RFC 8659 §4.2).
struct Issuer {
  Issuer() = default;
  std::string domain;  ///< Empty: nobody.
  std::map<std::string, std::string> parameters;
};

Issuer parse_issuer(std::string_view value) {
  Issuer issuer;
  issuer.domain = base::to_lower(base::trimmed(before(value, ';')));
  if (issuer.domain.ends_with('.')) issuer.domain.pop_back();
  for (std::string_view rest = after(value, ';'); !rest.empty(); rest = after(rest, ';')) {
    const std::string_view parameter = base::trimmed(before(rest, ';'));
    if (parameter.empty()) continue;
    issuer.parameters[base::to_lower(base::trimmed(before(parameter, '=')))] =
        std::string(base::trimmed(after(parameter, '=')));
  }
  return issuer;
}

bool has_method(std::string_view methods, const std::string& challenge) {
  for (std::string_view rest = methods; !rest.empty(); rest = after(rest, ',')) {
    if (base::to_lower(base::trimmed(before(rest, ','))) == challenge) return true;
  }
  return false;
}

/// Why the parameters of a record for this CA forbid it (RFC 8657).
std::string obstacle_of(const Issuer& issuer, const CaaQuestion& question) {
  const auto account = issuer.parameters.find("accounturi");
  if (account != issuer.parameters.end()) {
    const std::string uri = printable(account->second, 200);
    if (question.account.empty()) return "it is bound to the account " + uri + ", and there is no account here";
    if (account->second != question.account)
      return "it is bound to the account " + uri + ", and the account here is " + printable(question.account, 200);
  }
  const auto methods = issuer.parameters.find("validationmethods");
  if (methods != issuer.parameters.end() && !has_method(methods->second, question.challenge))
    return "it allows only the challenges " + printable(methods->second, 200) + ", not " + question.challenge;
  return {};
}

}  // namespace

std::optional<CaaRecord> parse_caa(ByteView data) {
  if (data.size() < 2) return std::nullopt;
  const std::size_t length = data[1];
  if (length == 0 || data.size() < 2 + length) return std::nullopt;
  CaaRecord record;
  record.critical = (data[0] & critical_bit) != 0;
  record.tag = base::to_lower(as_text(data.subspan(2, length)));
  record.value = as_text(data.subspan(2 + length));
  return record;
}

Flow<Result<RelevantCaa>> find_caa(std::vector<Server> servers, std::string name) {
  if (name.starts_with("*.")) name = name.substr(2);
  for (std::string owner = name; !owner.empty(); owner = std::string(after(owner, '.'))) {
    const std::string doing = "asking the DNS for CAA records of " + printable(owner);
    Result<Answer> answer = co_await query(servers, owner, Type::caa);
    if (!answer) co_return answer.error();
    if (answer->rcode != Rcode::no_error && answer->rcode != Rcode::no_such_name) {
      co_return Error(Errc::bad_response, doing,
                      "the server answered with error " + std::to_string(static_cast<int>(answer->rcode)));
    }
    if (answer->records.empty()) continue;
    RelevantCaa found;
    found.owner = owner;
    for (const Record& record : answer->records) {
      std::optional<CaaRecord> caa = parse_caa(record.data);
      if (!caa) co_return Error(Errc::bad_response, doing, "a record is malformed");
      found.records.push_back(std::move(*caa));
    }
    co_return found;
  }
  co_return RelevantCaa();
}

std::string obstacle_of(const RelevantCaa& caa, const CaaQuestion& question) {
  const auto has = [&](std::string_view tag) {
    return std::ranges::any_of(caa.records, [&](const CaaRecord& record) { return record.tag == tag; });
  };
  constexpr std::string_view known[] = {"issue",        "issuewild",    "issuemail", "iodef",
                                        "contactemail", "contactphone", "issuevmc"};
  for (const CaaRecord& record : caa.records) {
    // RFC 8659 §4.1: an unknown property that is critical forbids to issue.
    if (record.critical && std::ranges::find(known, record.tag) == std::end(known))
      return "the property \"" + printable(record.tag, 60) + "\" is marked critical, and CAs do not know it";
  }
  // RFC 8659 §4.3: for wildcards "issuewild" goes before "issue".
  const std::string_view tag = question.wildcard && has("issuewild") ? "issuewild" : "issue";
  if (!has(tag)) return {};
  std::string others, by_parameters;
  for (const CaaRecord& record : caa.records) {
    if (record.tag != tag) continue;
    const Issuer issuer = parse_issuer(record.value);
    const bool is_ours = std::ranges::any_of(
        question.identities, [&](const std::string& identity) { return base::to_lower(identity) == issuer.domain; });
    if (!is_ours) {
      if (!issuer.domain.empty()) others += (others.empty() ? "" : ", ") + printable(issuer.domain, 80);
      continue;
    }
    by_parameters = obstacle_of(issuer, question);
    if (by_parameters.empty()) return {};
  }
  if (!by_parameters.empty()) return by_parameters;
  return others.empty() ? "they allow no CA" : "they allow only " + others;
}

}  // namespace culmen::dns
