#include "engine/check_certificate.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/time.hpp"
#include "crypto/ca.hpp"
#include "crypto/key.hpp"

namespace culmen::engine {

namespace {
constexpr std::string_view tls_feature = "1.3.6.1.5.5.7.1.24";  // RFC 7633, "must staple"
/// How far the clocks of the CA and of this machine may differ.
constexpr std::chrono::hours clock_tolerance(1);
constexpr std::chrono::minutes time_tolerance(1);  // between asked and issued times

Identifier canonical_identifier(const Identifier& identifier) {
  const Result<Identifier> read = result_of([&] {
    return identifier.type == "dns"  ? Identifier::dns(identifier.value)
           : identifier.type == "ip" ? Identifier::ip(identifier.value)
                                     : identifier;
  });
  return read ? *read : identifier;
}

std::set<Identifier> canonical_set(const std::vector<Identifier>& identifiers) {
  std::set<Identifier> out;
  for (const Identifier& identifier : identifiers) out.insert(canonical_identifier(identifier));
  return out;
}

/// Of the first that is not among the others; empty if there is none.
std::string one_missing(const std::set<Identifier>& from, const std::set<Identifier>& others) {
  for (const Identifier& identifier : from) {
    if (!others.contains(identifier)) return printable(identifier.value, 260);
  }
  return {};
}

bool is_same_key(const Bytes& one, const Bytes& other) {
  if (one == other) return true;
  // A CA may have written the same key in another way.
  const Result<bool> same = result_of(
      [&] { return crypto::PublicKey::from_der(one).to_der() == crypto::PublicKey::from_der(other).to_der(); });
  return same && *same;
}

Result<bool> is_for_key(const Certificate& leaf, const IssueRequest& request) {
  return result_of([&] {
    if (!request.csr.empty()) return is_same_key(leaf.public_key_der, crypto::parse_csr(request.csr).public_key_der);
    return !request.key || leaf.matches(*request.key);
  });
}

bool is_at_or_below(std::string_view name, std::string_view domain) {
  return name == domain ||
         (name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

bool has_tls_feature(const std::vector<crypto::OidValue>& extensions) {
  return std::ranges::find(extensions, tls_feature, &crypto::OidValue::oid) != extensions.end();
}

bool is_far_from(TimePoint asked, TimePoint got) {
  return asked > got ? asked - got > time_tolerance : got - asked > time_tolerance;
}
}  // namespace

Result<void> check_number_of_authorizations(const IssueRequest& request, const Order& order) {
  if (order.authorizations.size() <= request.identifiers.size()) return {};
  return Error(Errc::bad_response, "checking the order",
               "it has " + std::to_string(order.authorizations.size()) + " authorizations for " +
                   std::to_string(request.identifiers.size()) + " names");
}

Result<void> check_authorization(const IssueRequest& request, const Authorization& authorization) {
  Identifier shown = canonical_identifier(authorization.identifier);
  bool wildcard = authorization.wildcard;
  if (shown.value.starts_with("*.")) {
    shown.value.erase(0, 2);
    wildcard = true;
  }
  for (const Identifier& asked : canonical_set(request.identifiers)) {
    const std::string_view name = asked.is_wildcard() ? std::string_view(asked.value).substr(2) : asked.value;
    if (asked.type != shown.type) continue;
    // RFC 8555 §7.1.4 wants a flag for wildcards, which some CAs omit.
    if (name == shown.value && (!wildcard || asked.is_wildcard())) return {};
    const auto ancestor = request.ancestor_domains.find(asked.value);
    if (asked.type == "dns" && ancestor != request.ancestor_domains.end() && is_at_or_below(name, shown.value) &&
        is_at_or_below(shown.value, ancestor->second)) {
      return {};
    }
  }
  return Error(Errc::bad_response, "checking the order",
               "the CA asks for an authorization of " + printable(shown.value, 260) + ", which was not ordered");
}

Result<void> check_certificate(const IssueRequest& request, const CertificateChain& chain, TimePoint now) {
  constexpr std::string_view doing = "checking the new certificate";
  const Certificate& leaf = chain.leaf;
  const auto refused = [&](const std::string& why) {
    return Error(Errc::bad_response, doing, why + "; it was downloaded from " + printable(chain.url, 200));
  };
  const Result<bool> for_key = is_for_key(leaf, request);
  if (!for_key) return for_key.error().while_doing(doing);
  if (!*for_key) return refused(request.csr.empty() ? "it is not for our key" : "it is not for the key of the CSR");

  const std::set<Identifier> asked = canonical_set(request.identifiers);
  const std::set<Identifier> named = canonical_set(leaf.identifiers);
  if (const std::string name = one_missing(asked, named); !name.empty()) return refused("it does not name " + name);
  if (const std::string name = one_missing(named, asked); !name.empty())
    return refused("it names " + name + ", which was not asked for");

  const std::string not_before = base::format_rfc3339(leaf.not_before);
  const std::string not_after = base::format_rfc3339(leaf.not_after);
  const std::string clock = "; here it is " + base::format_rfc3339(now) + ": is the clock of this machine right?";
  if (leaf.not_after <= leaf.not_before)
    return refused("it is never valid: its notBefore is " + not_before + ", its notAfter " + not_after);
  if (leaf.not_after <= now) return refused("it expired at " + not_after + clock);
  if (leaf.not_before - clock_tolerance > std::max(now, request.not_before.value_or(now)))
    return refused("it is not valid before " + not_before + clock);
  return {};
}

std::vector<std::string> ignored_wishes(const IssueRequest& request, const Order& order,
                                        const CertificateChain& chain) {
  std::vector<std::string> warnings;
  const std::string top = topmost_issuer(chain.pem);
  if (!request.preferred_chain.empty() && top != request.preferred_chain) {
    warnings.push_back("the CA offers no chain up to \"" + printable(request.preferred_chain, 80) +
                       "\"; took its default, up to \"" + printable(top, 80) + "\"");
  }
  const Result<bool> staple_ignored = result_of([&] {
    const bool asked = request.csr.empty() ? request.csr_options.must_staple
                                           : has_tls_feature(crypto::parse_csr(request.csr).extensions);
    return asked && !has_tls_feature(crypto::certificate_extensions(chain.leaf.der));
  });
  if (staple_ignored && *staple_ignored)
    warnings.emplace_back("must-staple was asked for, but the certificate does not have it");
  if (order.profile != request.profile && !request.profile.empty()) {
    warnings.push_back("the profile \"" + printable(request.profile, 60) + "\" was asked for, but the CA used " +
                       (order.profile.empty() ? "its default" : "\"" + printable(order.profile, 60) + "\""));
  }
  if (request.not_before && is_far_from(*request.not_before, chain.leaf.not_before)) {
    warnings.push_back("the certificate was to be valid from " + base::format_rfc3339(*request.not_before) +
                       ", but is from " + base::format_rfc3339(chain.leaf.not_before));
  }
  if (request.not_after && is_far_from(*request.not_after, chain.leaf.not_after)) {
    warnings.push_back("the certificate was to be valid until " + base::format_rfc3339(*request.not_after) +
                       ", but is until " + base::format_rfc3339(chain.leaf.not_after));
  }
  return warnings;
}

}  // namespace culmen::engine
