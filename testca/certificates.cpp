// Finalizing, downloading and revoking (RFC 8555 §7.4, §7.4.2, §7.6).
#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <set>
#include <tuple>

#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "culmen/private_key.hpp"
#include "jose/jwk.hpp"
#include "testca/acme_server.hpp"
#include "testca/delegation.hpp"
#include "testca/json_reader.hpp"
#include "testca/object_identifiers.hpp"
#include "testca/onion.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

constexpr std::string_view tls_feature = "1.3.6.1.5.5.7.1.24";  // RFC 7633, "must staple"
constexpr std::string_view basic_constraints = "2.5.29.19";
constexpr std::string_view tn_auth_list = "1.3.6.1.5.5.7.1.26";                                          // RFC 8226 §9
constexpr std::string_view jwt_claim_constraints = "1.3.6.1.5.5.7.1.27";                                 // RFC 8226 §8
constexpr std::array<std::string_view, 3> ignored_extensions = {"2.5.29.14", "2.5.29.15", "2.5.29.37"};  // SKI, KU, EKU

Refusal bad_csr(std::string detail) { return Refusal(400, "badCSR", std::move(detail)); }

crypto::Csr read_csr(ByteView der) {
  try {
    return crypto::parse_csr(der);
  } catch (const Error& error) {
    throw bad_csr(std::string("the CSR cannot be read: ") + error.what());
  }
}

std::string join(const std::set<Identifier>& identifiers) {
  std::string text;
  for (const Identifier& identifier : identifiers) text += (text.empty() ? "" : ", ") + identifier.value;
  return text;
}

/// RFC 8555 §7.4: "The CSR MUST indicate the exact same set of requested identifiers as the initial newOrder request."
void check_names(const crypto::Csr& csr, const Order& order) {
  if (csr.other_names) throw bad_csr("the CSR's subjectAltName has names that are neither DNS names nor IP addresses");
  std::set<Identifier> wanted(order.identifiers.begin(), order.identifiers.end());
  std::set<Identifier> asked(csr.san.begin(), csr.san.end());
  if (!csr.common_name.empty()) {
    const std::string name = base::to_lower(csr.common_name);
    // RFC 8738 §3: IP addresses stand in subjectAltName only; a CN that repeats one adds nothing.
    if (!asked.contains(Identifier("ip", name))) asked.insert(Identifier("dns", name));
  }
  // RFC 9448 §3: telephone numbers stand in an extension of their own.
  for (const crypto::OidValue& extension : csr.extensions)
    if (extension.oid == tn_auth_list) asked.insert(Identifier("TNAuthList", base::base64url_encode(extension.value)));
  if (asked != wanted) throw bad_csr("the CSR is for \"" + join(asked) + "\", the order for \"" + join(wanted) + "\"");
}

/// The same where a template says what else is in the CSR: names are those of the DNS, and the subject's are no names.
void check_delegated_names(const crypto::Csr& csr, const Order& order) {
  const std::set<Identifier> wanted(order.identifiers.begin(), order.identifiers.end());
  const std::set<Identifier> asked(csr.san.begin(), csr.san.end());
  if (asked != wanted) throw bad_csr("the CSR is for \"" + join(asked) + "\", the order for \"" + join(wanted) + "\"");
}

/// The extensions that go into the certificate; what we would have to leave out silently is refused.
std::vector<crypto::OidValue> granted_extensions(const crypto::Csr& csr, bool ignore_must_staple) {
  std::vector<crypto::OidValue> granted;
  std::set<std::string> seen;
  const bool has_numbers =
      std::ranges::find(csr.extensions, tn_auth_list, &crypto::OidValue::oid) != csr.extensions.end();
  for (const crypto::OidValue& extension : csr.extensions) {
    if (!seen.insert(extension.oid).second) throw bad_csr("the CSR asks for the extension " + extension.oid + " twice");
    const bool of_numbers = extension.oid == tn_auth_list || (extension.oid == jwt_claim_constraints && has_numbers);
    if (extension.oid == tls_feature || of_numbers) {
      if (extension.oid != tls_feature || !ignore_must_staple) granted.push_back(extension);
    } else if (extension.oid == basic_constraints) {
      if (extension.value != Bytes{0x30, 0x00}) throw bad_csr("the CSR asks for a CA certificate");
    } else if (extension.oid != subject_alt_name &&
               std::ranges::find(ignored_extensions, extension.oid) == ignored_extensions.end()) {
      throw bad_csr("the CSR asks for the extension " + extension.oid +
                    ", which this CA does not put into certificates");
    }
  }
  return granted;
}

}  // namespace

Reply AcmeServer::finalize(Call& call) {
  Order& order = own_order(call);
  const json::object request = read_object(call.payload, "the payload");
  Bytes csr = required_base64url(request, "csr");
  update(order);
  bool ready = order.state == OrderState::ready;
  if (ready && faults_.ready_race && !order.raced) {
    order.raced = true;
    ready = false;
  }
  // RFC 8555 §7.4: 403 and orderNotReady "if the order is not in the "ready" state".
  if (!ready) throw Refusal(403, "orderNotReady", "the order is " + std::string(to_string(visible_state(order))));
  check_onion_caa(object_member(request, "onionCAA"), order.identifiers, options_.issuer_domain,
                  options_.onion_caa_required, now());
  // Meanwhile, a second finalize finds an order that is not ready.
  order.state = OrderState::processing;
  try {
    issue(order, csr, call);
  } catch (...) {
    if (!call.lock.owns_lock()) call.lock.lock();
    // RFC 8555 §7.4: after badCSR "the status of the order" stays "ready".
    order.state = OrderState::ready;
    throw;
  }
  Reply reply = order_reply(200, order);
  if (!faults_.no_location_on_finalize) reply.add("Location", order_url(order));
  return reply;
}

/// Checks the CSR and signs; what is slow happens without the lock.
void AcmeServer::issue(Order& order, ByteView csr_der, Call& call) {
  const TestCaFaults faults = faults_;
  call.lock.unlock();
  crypto::Csr csr = read_csr(csr_der);
  if (!is_acceptable_key(csr.key_type)) throw bad_csr("this CA does not certify keys of type " + csr.key_type);
  if (!csr.signature_ok) throw bad_csr("the CSR's signature is wrong");
  crypto::CertificateTemplate what;
  // The order's identifiers and its delegation never change.
  if (order.delegation) {
    judge_delegated_csr(read_object(options_.delegations[*order.delegation].csr_template, "csr-template"), csr);
    check_delegated_names(csr, order);
    for (const crypto::OidValue& extension : csr.extensions)
      if (extension.oid == subject_alt_name)
        what.extensions.emplace_back(extension.oid, extension.value, csr.common_name.empty());
  } else {
    check_names(csr, order);
    what.extensions = granted_extensions(csr, faults.ignore_must_staple);
    // What stands in subjectAltName; numbers are among the extensions.
    std::ranges::copy_if(order.identifiers, std::back_inserter(what.identifiers),
                         [](const Identifier& identifier) { return identifier.type != "TNAuthList"; });
  }
  std::string thumbprint = jose::thumbprint(csr.public_key->parts());

  call.lock.lock();
  // RFC 8555 §11.1: "the server MUST reject" a CSR whose key is an account's.
  if (state_.account_of_key(thumbprint)) throw bad_csr("the CSR's key is the key of an account");
  what.serial = state_.random_octets(16);
  std::string id = state_.random_id();
  auto seconds = std::chrono::floor<std::chrono::seconds>(now());
  what.not_before = base::parse_rfc3339(order.not_before).value_or(seconds);
  const std::chrono::seconds lifetime = options_.certificate_lifetime_of
                                            ? options_.certificate_lifetime_of(order.identifiers, order.profile)
                                            : options_.certificate_lifetime;
  what.not_after =
      base::parse_rfc3339(order.not_after).value_or(std::min(what.not_before + lifetime, authority_.not_after()));
  // RFC 9448: the certificate is not to outlive the token.
  for (const Authz* authz : order.authzs)
    if (authz->token_expires) what.not_after = std::min(what.not_after, *authz->token_expires);
  if (order.star) {
    order.star->first = order.star->start.value_or(seconds);
    order.star->issued = 0;
    std::tie(what.not_before, what.not_after) = star_validity(*order.star, 0);
  }
  call.lock.unlock();

  what.common_name = csr.common_name;
  // RFC 5280 §4.1.2.6: without a subjectAltName, there must be a subject.
  const bool nameless = what.identifiers.empty() && !order.delegation && what.common_name.empty();
  if (nameless) what.common_name = "subscriber " + order.account->id;
  what.public_key = csr.public_key;
  distort(what, order, faults);
  auto made = signed_certificate(order, std::move(id), std::move(thumbprint), what);

  call.lock.lock();
  if (order.star) order.star->what = std::move(what);
  keep(order, std::move(made));
  order.state = OrderState::valid;
  order.issued = now() + options_.issuance_delay;
  order.looks_processing = faults_.processing_polls;
}

void AcmeServer::distort(crypto::CertificateTemplate& what, const Order& order, const TestCaFaults& faults) const {
  if (faults.missing_name) {
    const Identifier& missing = order.identifiers.back();
    std::erase(what.identifiers, missing);
    if (what.common_name == missing.value) what.common_name = "subscriber " + order.account->id;
  }
  for (const std::string& name : faults.extra_names) what.identifiers.push_back(Identifier::parse(name));
  if (faults.other_public_key) {
    what.public_key.reset();
    what.public_key_der = PrivateKey::generate("ec:P-256").public_key_der();
  }
  const auto lifetime = what.not_after - what.not_before;
  switch (faults.validity) {
    case TestCaFaults::Validity::regular: break;
    case TestCaFaults::Validity::expired:
      what.not_after = what.not_before - std::chrono::hours(1);
      what.not_before = what.not_after - lifetime;
      break;
    case TestCaFaults::Validity::not_yet_valid:
      what.not_before = what.not_after;
      what.not_after += lifetime;
      break;
    case TestCaFaults::Validity::empty: what.not_after = what.not_before; break;
  }
}

std::unique_ptr<IssuedCertificate> AcmeServer::signed_certificate(const Order& order, std::string id,
                                                                  std::string thumbprint,
                                                                  const crypto::CertificateTemplate& what) const {
  auto made = std::make_unique<IssuedCertificate>(std::move(id), *order.account);
  made->der = authority_.sign_leaf(what);
  made->pem = der_to_pem(made->der);
  made->identifiers = order.identifiers;
  made->key_thumbprint = std::move(thumbprint);
  made->not_before = what.not_before;
  made->not_after = what.not_after;
  return made;
}

void AcmeServer::keep(Order& order, std::unique_ptr<IssuedCertificate> made) {
  made->allow_get = order.allow_get;
  made->is_star = order.star.has_value();
  order.certificate = made.get();
  state_.certificate_by_der[made->der] = made.get();
  state_.certificate_by_id[certificate_id(made->der)] = made.get();
  state_.issued_in_order.push_back(made.get());
  std::string id = made->id;
  state_.certificates[std::move(id)] = std::move(made);
}

Reply AcmeServer::certificate(Call& call) {
  auto found = state_.certificates.find(call.path[0]);
  std::size_t chain = 0;
  bool known = found != state_.certificates.end();
  if (known && call.path.size() > 1) {
    const std::string& number = call.path[1];
    known = std::from_chars(number.data(), number.data() + number.size(), chain).ptr == number.data() + number.size() &&
            chain > 0 && chain < authority_.chains().size();
  }
  // RFC 9115 §2.3.5: without an account only when that was asked for and granted.
  if (!call.account && !(known && found->second->allow_get))
    throw Refusal(405, "malformed", "this certificate is fetched with POST-as-GET").with_header("Allow", "POST");
  if (!known) throw Refusal(404, "malformed", "there is no such certificate");
  const IssuedCertificate& certificate = *found->second;
  if (call.account && certificate.account != call.account)
    throw unauthorized("the certificate belongs to another account");

  Reply reply(200);
  reply.add("Content-Type", "application/pem-certificate-chain");
  reply.body = certificate.pem + authority_.chains()[chain];
  for (std::size_t other = 0; other < authority_.chains().size(); ++other) {
    if (other == chain) continue;
    std::string suffix = other == 0 ? "" : "/" + std::to_string(other);
    add_link(reply, certificate_url(certificate) + suffix, "alternate");
  }
  if (faults_.crlf_chain) {
    std::string odd;
    for (char c : reply.body) odd += c == '\n' ? std::string("\r\n") : std::string(1, c);
    std::size_t between = odd.find("-----BEGIN", 1);
    if (between != std::string::npos) odd.insert(between, "\r\n\r\n");
    odd.erase(odd.size() - 2);
    reply.body = std::move(odd);
  }
  return reply;
}

Reply AcmeServer::revoke_cert(Call& call) {
  json::object request = read_object(call.payload, "the payload");
  Bytes der = required_base64url(request, "certificate");
  auto found = state_.certificate_by_der.find(der);
  if (found == state_.certificate_by_der.end())
    throw Refusal(404, "malformed", "the certificate is not one that this CA issued");
  IssuedCertificate& certificate = *found->second;
  if (!may_revoke(certificate, call))
    throw unauthorized(
        "neither the certificate's key, nor its account, nor an account authorized for all its names signed");
  // RFC 8739 §2.3: STAR certificates are canceled, not revoked.
  if (certificate.is_star)
    throw Refusal(403, "autoRenewalRevocationNotSupported", "a STAR certificate is not revoked: cancel its order");
  std::optional<int> reason;
  if (const json::value* asked = request.if_contains("reason")) {
    if (!asked->is_int64()) throw malformed("\"reason\" must be an integer");
    std::int64_t code = asked->get_int64();
    // RFC 5280 §5.3.1: the codes are 0 to 10; 7 is not used.
    if (code < 0 || code > 10 || code == 7)
      throw Refusal(400, "badRevocationReason", std::to_string(code) + " is not a reason for revocation");
    reason = static_cast<int>(code);
  }
  if (certificate.revoked) throw Refusal(400, "alreadyRevoked", "the certificate is revoked already");
  certificate.revoked = true;
  certificate.revocation_reason = reason;
  return Reply(200);
}

bool AcmeServer::may_revoke(const IssuedCertificate& certificate, const Call& call) {
  if (call.jwk) return call.jwk->thumbprint == certificate.key_thumbprint;
  if (call.account == certificate.account) return true;
  // RFC 8555 §7.6: "an account that holds authorizations for all of the identifiers in the certificate".
  return std::ranges::all_of(certificate.identifiers, [&](const Identifier& identifier) {
    bool wildcard = identifier.value.starts_with("*.");
    Identifier bare(identifier.type, wildcard ? identifier.value.substr(2) : identifier.value);
    return std::ranges::any_of(state_.authzs, [&](const auto& entry) {
      Authz& authz = *entry.second;
      if (authz.account != call.account || authz.wildcard != wildcard || authz.identifier != bare) return false;
      update(authz);
      return authz.state == AuthzState::valid;
    });
  });
}

}  // namespace culmen::testca
