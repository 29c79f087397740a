// The protocol as flows: for custom drivers, and the base of both clients.
//
// Each function takes a Session and plain values, and returns a Flow. Nothing here performs I/O; see flow.hpp. The
// functions may be called on any thread.
//
// Besides the errors named below, every flow may fail with a transport error (connection_failed, tls_failed, timeout,
// response_too_large), with bad_response or http_status, with the code of a problem document from the CA, and with
// cancelled. Sections without an RFC number are those of RFC 8555.
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

/// newAccount (§7.3). Returns the account of the key if it exists; see Account::created. external_account_required or
/// user_action_required if the directory demands an EAB or agreement to the terms, and `options` has none.
Flow<Result<Account>> new_account(Session session, AccountKey key, AccountOptions options);
/// newAccount with onlyReturnExisting (§7.3.1); account_does_not_exist if the CA does not know the key.
Flow<Result<Account>> find_account(Session session, AccountKey key);
/// Fetches the account by POST-as-GET.
Flow<Result<Account>> get_account(Session session, Account account);
/// Replaces the contacts; an empty list clears them (§7.3.2).
Flow<Result<Account>> update_account(Session session, Account account, std::vector<std::string> contacts);
/// Account key rollover (§7.3.5). Store `new_key` before the call. If the response is lost or the call is cancelled,
/// culmen asks the CA which of the two keys is valid; if that fails too, the error says so, and either key may be the
/// valid one. A cancelled call whose change was applied succeeds.
Flow<Result<Account>> key_change(Session session, Account account, AccountKey new_key);
/// Deactivates the account permanently (§7.3.6).
Flow<Result<Account>> deactivate_account(Session session, Account account);
/// URLs of the account's orders, from all pages (§7.1.2.1); not_offered if the server has no list.
Flow<Result<std::vector<std::string>>> list_orders(Session session, Account account);

/// URLs of the delegations that the server offers this account, from all pages (RFC 9115 §2.3.1); not_offered if the
/// server has no list.
Flow<Result<std::vector<std::string>>> list_delegations(Session session, Account account);
/// Fetches a delegation (RFC 9115 §2.3.1.3).
Flow<Result<Delegation>> get_delegation(Session session, Account account, std::string delegation_url);

/// newOrder (§7.4). not_offered if the request uses a profile, an ancestor domain, a delegation or download without an
/// account, and the directory does not offer it. invalid_argument if the request is malformed.
Flow<Result<Order>> new_order(Session session, Account account, OrderRequest request);
/// Fetches the order (§7.1.3).
Flow<Result<Order>> get_order(Session session, Account account, std::string order_url);
/// Polls until the order is ready or valid. order_invalid, with the problems of the order and of the failed
/// authorizations, if it becomes invalid or canceled. Obeys Retry-After. `deadline` is the time limit, by default
/// SessionOptions::poll_deadline. deadline when it passes, or at once, with retry_after(), if Retry-After exceeds it;
/// the error names each authorization that is not valid, and has its problems.
Flow<Result<Order>> poll_order(Session session, Account account, std::string order_url,
                               std::optional<std::chrono::seconds> deadline = {});
/// Finalizes the order (§7.4) and returns it as processing or valid; does not wait for the certificate. On
/// orderNotReady it polls the order and tries once more. If the response is lost, the order shows whether the CSR
/// arrived. order_invalid if the order becomes invalid.
Flow<Result<Order>> finalize(Session session, Account account, Order order, Bytes csr_der);
/// The same, with the CAA records of onion services for CAs that do not fetch them over Tor (RFC 9799 §6.4).
Flow<Result<Order>> finalize(Session session, Account account, Order order, Bytes csr_der,
                             std::vector<OnionCaa> onion_caa);
/// Polls a finalized order until it is valid. Errors as for poll_order().
Flow<Result<Order>> poll_certificate(Session session, Account account, std::string order_url,
                                     std::optional<std::chrono::seconds> deadline = {});
/// Downloads the chain (§7.4.2), normalized, with the URLs of the alternates. invalid_argument if the URL is empty: the
/// order is not valid yet.
Flow<Result<CertificateChain>> download_chain(Session session, Account account, std::string certificate_url);
/// The chain whose last certificate has an issuer with that CN: the default chain or one of the first 10 alternates.
/// Returns the default chain if none matches or the name is empty. Alternates that cannot be downloaded are skipped.
Flow<Result<CertificateChain>> download_preferred_chain(Session session, Account account, std::string certificate_url,
                                                        std::string issuer_common_name);

/// Downloads the chain by plain GET, if the order allows it (RFC 9115 §2.3.5). Needs no account. invalid_argument if
/// the URL is empty.
Flow<Result<CertificateChain>> get_certificate(std::string certificate_url);

/// Fetches the authorization (§7.5).
Flow<Result<Authorization>> get_authorization(Session session, Account account, std::string authorization_url);
/// newAuthz (§7.4.1); not_offered if the CA has no pre-authorization. With `subdomains` the authorization also covers
/// subdomains (RFC 9444 §4.1); not_offered if the directory does not allow that. invalid_argument for a wildcard.
Flow<Result<Authorization>> new_authorization(Session session, Account account, Identifier identifier,
                                              bool subdomains = false);
/// Deactivates the authorization (§7.5.2). Some CAs count deactivating a pending authorization as a failed validation.
Flow<Result<Authorization>> deactivate_authorization(Session session, Account account, std::string authorization_url);
/// Polls until the authorization is valid. authorization_invalid, with its problems, if it reaches another final state.
/// `deadline` as for poll_order().
Flow<Result<Authorization>> poll_authorization(Session session, Account account, std::string authorization_url,
                                               std::optional<std::chrono::seconds> deadline = {});
/// Completes an authorization: presents the challenge, waits for ChallengeSolver::ready(), triggers it, polls until the
/// authorization is valid, and cleans up after success, failure and cancellation. Returns at once if it is valid
/// already. A challenge that the CA leaves pending with an error is posted again after 1, 2 and 4 seconds (§8.2). The
/// first solver that can solve it is used; not_offered if there is none, invalid_argument if the list is empty or has a
/// null pointer, authorization_invalid, with the problems, if validation fails. A failed clean-up is not an error.
/// `deadline` limits the polling, as for poll_order(). The solvers must outlive the flow.
Flow<Result<Authorization>> authorize(Session session, Account account, std::string authorization_url,
                                      std::vector<ChallengeSolver*> solvers,
                                      std::optional<std::chrono::seconds> deadline = {});
/// Tells the server to validate the challenge (§7.5.1). `response` is JSON, `{}` for most types. If the response is
/// lost, the challenge shows whether the request arrived. Any 2xx is success: the status is `unknown` if the body
/// cannot be read.
Flow<Result<Challenge>> trigger_challenge(Session session, Account account, Challenge challenge,
                                          std::string response = "{}");

/// The same for onion-csr-01 (RFC 9799 §3.2): posts `{"csr": …}`; see build_onion_csr_rfc9799().
Flow<Result<Challenge>> trigger_challenge_onion(Session session, Account account, std::string challenge_url,
                                                Bytes csr_der);

/// Revokes with the account key (§7.6). If the response is lost, the request is repeated; then already_revoked is
/// success. `reason` is 0 to 6 or 8 to 10 (RFC 5280 §5.3.1); nullopt: unspecified.
/// invalid_argument for other reasons.
Flow<Result<void>> revoke_certificate(Session session, Account account, Bytes certificate_der,
                                      std::optional<int> reason = {});
/// The same, signed with the certificate's key.
Flow<Result<void>> revoke_certificate_with_cert_key(Session session, PrivateKey certificate_key, Bytes certificate_der,
                                                    std::optional<int> reason = {});

/// Renewal information for the first certificate in a PEM text (RFC 9773 §4.1), by unsigned GET, which may take 10 s.
/// not_offered if the CA does not offer it, or the certificate has no authority key identifier; crypto_failed if it
/// cannot be parsed.
Flow<Result<RenewalInfo>> get_renewal_info(Session session, std::string certificate_pem);

/// Creates a STAR order (RFC 8739 §3.1). The CA's limits (auto-renewal in its directory) are checked before anything is
/// sent: not_offered, invalid_argument. Authorizations and finalize() work as for any order; a finalized order has
/// `star_certificate`.
Flow<Result<StarOrder>> new_star_order(Session session, Account account, StarOrderParams params);
/// Fetches a STAR order.
Flow<Result<StarOrder>> get_star_order(Session session, Account account, std::string order_url);
/// Stops the renewal permanently (RFC 8739 §3.1.2). The current certificate remains valid until it expires.
Flow<Result<StarOrder>> cancel_star_order(Session session, Account account, std::string order_url);
/// Downloads the current certificate by POST-as-GET; auto_renewal_canceled or auto_renewal_expired if renewal has
/// ended.
Flow<Result<StarCertificate>> download_star_certificate(Session session, Account account, std::string star_url);
/// The same by plain GET, if the order allows it (RFC 8739 §3.4). Needs no account.
Flow<Result<StarCertificate>> get_star_certificate(std::string star_url);

/// Issues a certificate: order, concurrent validation of all authorizations, finalization, download. For each
/// authorization the first solver that can solve it is used; not_offered if there is none, invalid_argument if the list
/// is empty or has a null pointer. All challenges are
/// presented, then all are triggered. Every challenge presented is cleaned up after success, failure and cancellation,
/// also if user code throws. A challenge that the CA leaves pending with an error is posted again, as by authorize().
///
/// bad_response if the CA asks for authorizations of other names, or if the certificate is not for the key and exactly
/// the names asked for, or is not valid now. The solvers must outlive the flow.
Flow<Result<IssuedCertificate>> issue(Session session, Account account, IssueRequest request,
                                      std::vector<ChallengeSolver*> solvers);

}  // namespace culmen::engine
