// The protocol as flows: for a driver of your own, and for both faces that come with culmen.
//
// Every verb of RFC 8555 is a function from a Session and plain values to a Flow. Nothing here does I/O; see flow.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/authorization.hpp"
#include "culmen/bytes.hpp"
#include "culmen/delegation.hpp"
#include "culmen/directory.hpp"
#include "culmen/flow.hpp"
#include "culmen/issue.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/options.hpp"
#include "culmen/order.hpp"
#include "culmen/private_key.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/session.hpp"
#include "culmen/solver.hpp"
#include "culmen/star.hpp"

namespace culmen::engine {

/// Fetches the directory (RFC 8555 §7.1.1). Short names such as "letsencrypt" are also accepted.
Flow<Result<Session>> connect(std::string directory_url, SessionOptions options = {});

/// newAccount (§7.3). 201 and 200 are both fine: see Account::created.
Flow<Result<Account>> new_account(Session session, AccountKey key, AccountOptions options);
/// newAccount with onlyReturnExisting (§7.3.1); an unknown key is account_does_not_exist.
Flow<Result<Account>> find_account(Session session, AccountKey key);
/// POST-as-GET on the account URL.
Flow<Result<Account>> get_account(Session session, Account account);
/// Replaces the contacts; an empty list clears them (§7.3.2).
Flow<Result<Account>> update_account(Session session, Account account, std::vector<std::string> contacts);
/// Account key rollover (§7.3.5). Store `new_key` before the call: when the answer is lost, culmen asks the CA which of
/// the two keys counts; when that fails as well the error says so and either may.
Flow<Result<Account>> key_change(Session session, Account account, AccountKey new_key);
/// Deactivates the account, for good (§7.3.6).
Flow<Result<Account>> deactivate_account(Session session, Account account);
/// URLs of the account's orders, all pages (§7.1.2.1); not_offered when the server keeps no list.
Flow<Result<std::vector<std::string>>> list_orders(Session session, Account account);

/// URLs of the delegations that the server offers this account, all pages (RFC 9115 §2.3.1); not_offered when it has
/// none to offer.
Flow<Result<std::vector<std::string>>> list_delegations(Session session, Account account);
Flow<Result<Delegation>> get_delegation(Session session, Account account, std::string delegation_url);

/// newOrder (§7.4). A delegation and download without an account are asked for only where the directory has them:
/// not_offered otherwise.
Flow<Result<Order>> new_order(Session session, Account account, OrderRequest request);
Flow<Result<Order>> get_order(Session session, Account account, std::string order_url);
/// Polls until the order is ready or valid (ends well) or invalid (order_invalid, with the order's and the failed
/// authorizations' problems). Obeys Retry-After; `deadline` is SessionOptions::poll_deadline unless given. A
/// Retry-After past the deadline is reported at once (deadline, with retry_after()).
Flow<Result<Order>> poll_order(Session session, Account account, std::string order_url,
                               std::optional<std::chrono::seconds> deadline = {});
/// finalize (§7.4). The order comes back as processing or valid; on orderNotReady polls and tries once more.
Flow<Result<Order>> finalize(Session session, Account account, Order order, Bytes csr_der);
/// The same with the CAA records of onion services, for a CA that does not read them from Tor (RFC 9799 §6.4).
Flow<Result<Order>> finalize(Session session, Account account, Order order, Bytes csr_der,
                             std::vector<OnionCaa> onion_caa);
/// Polls a finalized order until it is valid: processing is waited for as well.
Flow<Result<Order>> poll_certificate(Session session, Account account, std::string order_url,
                                     std::optional<std::chrono::seconds> deadline = {});
/// Downloads the chain (§7.4.2), normalised; with the URLs of the alternates.
Flow<Result<CertificateChain>> download_chain(Session session, Account account, std::string certificate_url);
/// The chain whose topmost issuer has that CN, of the default and all alternates; the default when none has.
Flow<Result<CertificateChain>> download_preferred_chain(Session session, Account account, std::string certificate_url,
                                                        std::string issuer_common_name);

/// The chain by a plain GET, where the order allows it (RFC 9115 §2.3.5): needs no account and no session.
Flow<Result<CertificateChain>> get_certificate(std::string certificate_url);

Flow<Result<Authorization>> get_authorization(Session session, Account account, std::string authorization_url);
/// newAuthz (§7.4.1); not_offered when the CA has none. With `subdomains` it is to be good for names below as well
/// (RFC 9444 §4.1); not_offered when the CA's directory does not say that it does that.
Flow<Result<Authorization>> new_authorization(Session session, Account account, Identifier identifier,
                                              bool subdomains = false);
/// Deactivates the authorization (§7.5.2). Some CAs count doing this to a pending one as a failed validation.
Flow<Result<Authorization>> deactivate_authorization(Session session, Account account, std::string authorization_url);
/// Polls until valid (ends well) or in another final state (authorization_invalid, with the problem).
Flow<Result<Authorization>> poll_authorization(Session session, Account account, std::string authorization_url,
                                               std::optional<std::chrono::seconds> deadline = {});
/// Tells the server to validate (§7.5.1): posts `response`, `{}` for most types.
Flow<Result<Challenge>> trigger_challenge(Session session, Account account, Challenge challenge,
                                          std::string response = "{}");

/// The same for onion-csr-01 (RFC 9799 §3.2): posts `{"csr": …}`; see build_onion_csr_rfc9799().
Flow<Result<Challenge>> trigger_challenge_onion(Session session, Account account, std::string challenge_url,
                                                Bytes csr_der);

/// Revokes with the account key (§7.6). Reasons 0 to 10 without 7 (RFC 5280 §5.3.1); none: unspecified.
Flow<Result<void>> revoke_certificate(Session session, Account account, Bytes certificate_der,
                                      std::optional<int> reason = {});
/// Revokes with the certificate's own key.
Flow<Result<void>> revoke_certificate_with_cert_key(Session session, PrivateKey certificate_key, Bytes certificate_der,
                                                    std::optional<int> reason = {});

/// Renewal information of the first certificate in a PEM text (RFC 9773 §4.1): an unsigned GET. not_offered when the CA
/// has none, or the certificate has no authority key identifier.
Flow<Result<RenewalInfo>> get_renewal_info(Session session, std::string certificate_pem);

/// A STAR order (RFC 8739 §3.1). The CA's limits (meta auto-renewal) are checked before anything is sent.
/// Authorizations and finalize() are as for any order; then the order has `star_certificate`.
Flow<Result<StarOrder>> new_star_order(Session session, Account account, StarOrderParams params);
Flow<Result<StarOrder>> get_star_order(Session session, Account account, std::string order_url);
/// Stops the renewal for good (RFC 8739 §3.1.2). The current certificate stays good until it expires.
Flow<Result<StarOrder>> cancel_star_order(Session session, Account account, std::string order_url);
/// The current certificate, by POST-as-GET; auto_renewal_canceled or auto_renewal_expired when there is none any more.
Flow<Result<StarCertificate>> download_star_certificate(Session session, Account account, std::string star_url);
/// The same by a plain GET, where the order allows it (§3.4): needs no account.
Flow<Result<StarCertificate>> get_star_certificate(std::string star_url);

/// From names to a certificate: order, authorizations side by side, validation, finalization, download. Every challenge
/// that was presented is cleaned up, on every path. Solvers are tried in the order given; they must outlive the flow.
Flow<Result<IssuedCertificate>> issue(Session session, Account account, IssueRequest request,
                                      std::vector<ChallengeSolver*> solvers);

}  // namespace culmen::engine
