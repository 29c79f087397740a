// Accounts (RFC 8555 §7.3): creation, update, key change, list of orders.
#include <algorithm>
#include <charconv>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/name.hpp"
#include "base/text.hpp"
#include "crypto/random.hpp"
#include "testca/acme_server.hpp"
#include "testca/json_reader.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

/// RFC 8555 §7.3: unsupportedContact for another scheme than mailto; invalidContact for a mailto with "hfields" or more
/// than one address.
void check_contact(const std::string& contact) {
  std::size_t colon = contact.find(':');
  if (colon == std::string::npos || colon == 0)
    throw Refusal(400, "invalidContact", "the contact \"" + contact + "\" is not a URL");
  const std::string scheme = base::to_lower(contact.substr(0, colon));
  if (scheme != "mailto") throw Refusal(400, "unsupportedContact", "only mailto contacts are supported, not " + scheme);
  std::string address = contact.substr(colon + 1);
  std::size_t at = address.find('@');
  bool plain = std::ranges::all_of(address, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  bool good = plain && at != std::string::npos && at > 0 && address.find_first_of("?,", 0) == std::string::npos &&
              address.find('@', at + 1) == std::string::npos && base::canonical_dns_name(address.substr(at + 1));
  if (!good)
    throw Refusal(400, "invalidContact", "\"" + contact + "\" is not a mailto URL with one address and nothing more");
}

std::vector<std::string> read_contacts(const json::object& request) {
  std::vector<std::string> contacts = string_list_member(request, "contact").value_or(std::vector<std::string>());
  std::ranges::for_each(contacts, check_contact);
  return contacts;
}

}  // namespace

Reply AcmeServer::new_account(Call& call) {
  json::object request = read_object(call.payload, "the payload");
  bool only_existing = bool_member(request, "onlyReturnExisting").value_or(false);
  if (Account* existing = state_.account_of_key(call.jwk->thumbprint)) {
    if (existing->state != AccountState::valid) throw unauthorized("the account of this key is deactivated");
    // RFC 8555 §7.3.1: 200 and the account's URL; the request's fields are ignored.
    return account_reply(200, *existing);
  }
  if (only_existing) throw Refusal(400, "accountDoesNotExist", "there is no account with this key");

  std::vector<std::string> contacts = read_contacts(request);
  bool agreed = bool_member(request, "termsOfServiceAgreed").value_or(false);
  if (!options_.terms_of_service.empty() && !agreed) {
    Refusal refusal(403, "userActionRequired", "the terms of service must be agreed to");
    refusal.problem.instance = options_.terms_of_service;
    throw std::move(refusal).with_header("Link", "<" + options_.terms_of_service + ">;rel=\"terms-of-service\"");
  }
  std::string binding;
  if (const json::object* asked = object_member(request, "externalAccountBinding"))
    binding = verified_binding(*asked, call);
  else if (options_.external_account_required)
    throw Refusal(403, "externalAccountRequired", "this CA only makes accounts that are bound to an external one");

  auto made = std::make_unique<Account>(state_.random_id(), std::move(call.jwk->key), std::move(call.jwk->thumbprint));
  if (!faults_.ignore_contacts) made->contacts = std::move(contacts);
  made->terms_agreed = agreed;
  made->external_account_binding = std::move(binding);
  Account& account = *made;
  state_.account_by_thumbprint[account.thumbprint] = &account;
  state_.accounts[account.id] = std::move(made);
  return account_reply(201, account);
}

Reply AcmeServer::account(Call& call) {
  if (call.path[0] != call.account->id) throw unauthorized("this is another account");
  Account& account = *call.account;
  if (call.is_post_as_get()) return account_reply(200, account);

  json::object request = read_object(call.payload, "the payload");
  std::optional<std::string> status = string_member(request, "status");
  if (request.contains("contact") && !faults_.ignore_contacts) account.contacts = read_contacts(request);
  if (status == "deactivated") {
    account.state = AccountState::deactivated;
    // RFC 8555 §7.3.6: "If a server receives a POST or POST-as-GET from a deactivated account, it MUST return an error"
    // and it "SHOULD cancel any pending operations authorized by the account's key".
    for (Order* pending : account.orders) {
      if (pending->state != OrderState::pending && pending->state != OrderState::ready) continue;
      pending->state = OrderState::invalid;
      pending->error = make_problem(403, "unauthorized", "the account was deactivated");
    }
  }
  return account_reply(200, account);
}

std::size_t first_of_page(const std::string& query) {
  std::size_t first = 0;
  if (query.empty()) return first;
  constexpr std::string_view prefix = "cursor=";
  const char* end = query.data() + query.size();
  const bool good = query.starts_with(prefix) && std::from_chars(query.data() + prefix.size(), end, first).ptr == end;
  if (!good) throw Refusal(404, "malformed", "there is no such page");
  return first;
}

Reply AcmeServer::orders(Call& call) {
  if (call.path[0] != call.account->id) throw unauthorized("this is another account");
  if (!call.is_post_as_get()) throw malformed("the list of orders can only be read: the payload must be empty");
  const std::size_t first = first_of_page(call.query);
  const std::vector<Order*>& all = call.account->orders;
  json::array page;
  std::size_t next = first;
  for (; next < all.size() && page.size() < static_cast<std::size_t>(std::max(1, options_.orders_per_page)); ++next) {
    update(*all[next]);
    // RFC 8555 §7.1.2.1: the list "SHOULD NOT include orders that are invalid".
    if (all[next]->state != OrderState::invalid) page.push_back(json::value(order_url(*all[next])));
  }
  Reply reply = json_reply(200, json::object{{"orders", std::move(page)}});
  if (next < all.size()) add_link(reply, account_url(*call.account) + "/orders?cursor=" + std::to_string(next), "next");
  return reply;
}

Reply AcmeServer::key_change(Call& call) {
  // RFC 8555 §7.3.5: the payload is a JWS by the new key.
  Jws inner = read_signed_jws(read_object(call.payload, "the payload"), "the inner JWS");
  if (inner.header.contains("nonce")) throw malformed("the inner JWS must not have a nonce");
  if (inner.header.contains("kid")) throw malformed("the inner JWS must have \"jwk\", not \"kid\"");
  const json::object* jwk = object_member(inner.header, "jwk");
  if (!jwk) throw malformed("the inner JWS has no \"jwk\"");
  JwkKey new_key = read_jwk(*jwk);
  verify_jws(inner, new_key.key, "the inner JWS");
  if (required_string(inner.header, "url") != call.url)
    throw malformed("the inner JWS has another \"url\" than the outer one");

  json::object request = read_object(inner.payload, "the inner payload");
  if (required_string(request, "account") != account_url(*call.account))
    throw malformed("\"account\" is not the URL of the account that signed");
  const json::object* old_jwk = object_member(request, "oldKey");
  if (!old_jwk) throw malformed("\"oldKey\" is missing");
  if (read_jwk(*old_jwk).thumbprint != call.account->thumbprint)
    throw malformed("\"oldKey\" is not the account's present key");
  if (new_key.thumbprint == call.account->thumbprint) throw malformed("the new key is the account's present key");
  if (Account* other = state_.account_of_key(new_key.thumbprint))
    throw Refusal(409, "malformed", "the new key belongs to an account already")
        .with_header("Location", account_url(*other));

  call.account->former_thumbprints.push_back(call.account->thumbprint);
  state_.account_by_thumbprint.erase(call.account->thumbprint);
  call.account->key = std::move(new_key.key);
  call.account->thumbprint = std::move(new_key.thumbprint);
  state_.account_by_thumbprint[call.account->thumbprint] = call.account;
  return account_reply(200, *call.account);
}

std::string AcmeServer::verified_binding(const json::object& binding, const Call& call) const {
  constexpr std::string_view what = "externalAccountBinding";
  Jws jws = read_jws(binding, what);
  bool is_mac = jws.alg == "HS256" || jws.alg == "HS384" || jws.alg == "HS512";
  if (!is_mac)
    throw malformed("externalAccountBinding: the algorithm must be HS256, HS384 or HS512, not \"" + jws.alg + "\"");
  for (const char* name : {"nonce", "jwk"})
    if (jws.header.contains(name))
      throw malformed(std::string("externalAccountBinding must not have \"") + name + "\"");
  if (required_string(jws.header, "url") != call.url)
    throw malformed("externalAccountBinding has another \"url\" than the request");
  auto key = options_.eab_keys.find(required_string(jws.header, "kid"));
  if (key == options_.eab_keys.end()) throw unauthorized("externalAccountBinding: the key identifier is unknown");
  Bytes expected = crypto::hmac(jws.alg, key->second, as_bytes(jws.signing_input));
  if (!crypto::equal_secrets(expected, jws.signature)) throw unauthorized("externalAccountBinding: the MAC is wrong");
  JwkKey bound = read_jwk(read_object(jws.payload, "externalAccountBinding's payload"));
  if (bound.thumbprint != call.jwk->thumbprint)
    throw Refusal(400, "badPublicKey",
                  "externalAccountBinding is for another key than the one that signed the request");
  return json::serialize(binding);
}

json::object AcmeServer::account_json(const Account& account) const {
  json::object out{{"status", to_string(account.state)}};
  if (!account.contacts.empty()) out["contact"] = json::array(account.contacts.begin(), account.contacts.end());
  if (account.terms_agreed) out["termsOfServiceAgreed"] = true;
  if (!account.external_account_binding.empty())
    out["externalAccountBinding"] = json::parse(account.external_account_binding);
  if (!faults_.no_orders_list) out["orders"] = account_url(account) + "/orders";
  if (!options_.delegations.empty()) out["delegations"] = account_url(account) + "/delegations";
  return out;
}

Reply AcmeServer::account_reply(int status, const Account& account) const {
  Reply reply = json_reply(status, account_json(account));
  reply.add("Location", account_url(account));
  return reply;
}

}  // namespace culmen::testca
