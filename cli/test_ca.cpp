// culmen test-ca: an ACME CA for tests, until it is told to stop.
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <memory>

#include "command.hpp"
#include "command_line.hpp"
#include "culmen/account.hpp"
#include "culmen/test_ca.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

struct TestCaFlags {
  TestCaFlags() = default;
  TestCaOptions options;
  std::string root_file;
  std::vector<std::string> resolve;
  std::vector<std::string> eab;
  std::vector<std::string> profiles;
  std::vector<std::string> faults;
  std::string retry_after;
  long long lifetime = 90 * 24 * 3600;
  long long order_lifetime = 24 * 3600;
  int validation_timeout = 5;
  int dns_persist = 0;  ///< A TestCaOptions::DnsPersist.
  int onion = 0;        ///< A TestCaOptions::Onion.
  bool no_loopback = false;
  bool no_pre_authorization = false;
  bool no_renewal_info = false;
};

std::pair<std::string, std::string> split_pair(const std::string& flag, const std::string& text);
TestCaFault parse_fault(const std::string& text);

int run_test_ca(const TestCaFlags& flags) {
  TestCaOptions options = flags.options;
  options.root_file = flags.root_file;
  options.certificate_lifetime = std::chrono::seconds(flags.lifetime);
  options.order_lifetime = std::chrono::seconds(flags.order_lifetime);
  options.validation_timeout = std::chrono::seconds(flags.validation_timeout);
  options.dns_persist = static_cast<TestCaOptions::DnsPersist>(flags.dns_persist);
  options.onion = static_cast<TestCaOptions::Onion>(flags.onion);
  options.allow_loopback = !flags.no_loopback;
  options.pre_authorization = !flags.no_pre_authorization;
  options.renewal_info = !flags.no_renewal_info;
  for (const std::string& text : flags.resolve) options.resolve.insert(split_pair("--resolve", text));
  for (const std::string& text : flags.profiles) options.profiles.insert(split_pair("--profile", text));
  for (const std::string& text : flags.eab) {
    auto [kid, key] = split_pair("--eab", text);
    options.eab_keys[kid] = EabOptions::from_text(kid, key).hmac_key;
    options.external_account_required = true;
  }
  if (!flags.retry_after.empty()) options.faults.retry_after = flags.retry_after;
  std::vector<TestCaFault> faults;
  for (const std::string& text : flags.faults) faults.push_back(parse_fault(text));

  // Before the CA starts its threads, so that they leave these signals to sigwait().
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  TestCa ca(options);
  for (TestCaFault& fault : faults) ca.plan(std::move(fault));
  ca.start();
  if (std::printf("%s\n", ca.directory_url().c_str()) < 0 || std::fflush(stdout) != 0)
    throw Failure(exit_failed, "io_failed", "the URL of the CA could not be written to standard output");
  int received = 0;
  sigwait(&stop_signals, &received);
  ca.stop();
  return exit_ok;
}

std::pair<std::string, std::string> split_pair(const std::string& flag, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
    throw Failure(exit_usage, "invalid_argument", flag + ": \"" + text + "\" is not of the form NAME=VALUE");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// RESOURCE:KIND[:skip=N][:times=N][:status=N][:type=NAME][:retry-after=TEXT]
TestCaFault parse_fault(const std::string& text) {
  const auto refuse = [&text](const std::string& why) {
    return Failure(exit_usage, "invalid_argument", "--fault: \"" + text + "\": " + why,
                   "culmen test-ca --help shows the form.");
  };
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(':', start), text.size());
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  if (parts.size() < 2) throw refuse("a resource and a kind are needed");
  constexpr std::pair<std::string_view, TestCaFault::Kind> kinds[] = {
      {"status", TestCaFault::Kind::status},         {"drop-before", TestCaFault::Kind::drop_before},
      {"drop-after", TestCaFault::Kind::drop_after}, {"oversized", TestCaFault::Kind::oversized},
      {"garbage", TestCaFault::Kind::garbage},
  };
  std::optional<TestCaFault> fault;
  for (const auto& [name, kind] : kinds) {
    if (name == parts[1]) fault.emplace(parts[0], kind);
  }
  if (!fault) throw refuse("kinds are status, drop-before, drop-after, oversized, garbage");
  for (std::size_t i = 2; i < parts.size(); ++i) {
    const auto [name, value] = split_pair("--fault", parts[i]);
    if (name == "type") {
      fault->problem_type = value;
      continue;
    }
    if (name == "retry-after") {
      fault->retry_after = value;
      continue;
    }
    int* number = name == "skip"     ? &fault->skip
                  : name == "times"  ? &fault->times
                  : name == "status" ? &fault->status
                                     : nullptr;
    if (!number) throw refuse("there is no \"" + name + "\"");
    const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), *number);
    if (failed != std::errc() || end != value.data() + value.size()) throw refuse("\"" + value + "\" is not a number");
  }
  return *fault;
}

void define_faults(Command command, TestCaFlags& flags) {
  TestCaFaults& faults = flags.options.faults;
  command.number("--nonce-reject PERCENT", faults.reject_nonces_percent, "Share of valid nonces to refuse, in percent")
      .between(0, 100)
      .hide_default();
  command.number("--processing-polls N", faults.processing_polls, "Polls for which an order stays processing")
      .between(0, 1000000)
      .hide_default();
  command.number("--pending-polls N", faults.pending_polls, "Polls for which an authorization stays pending")
      .between(0, 1000000)
      .hide_default();
  command.text("--retry-after VALUE", flags.retry_after,
               "Retry-After while in progress: \"2\", \"date:2\", or any text");
  command.flag("--reorder", faults.reorder_identifiers, "Orders list their names in another order");
  command.flag("--no-location-on-finalize", faults.no_location_on_finalize, "Leave Location out there");
  command.flag("--strange-directory", faults.strange_directory, "Nulls and unknown members in the directory");
  command.flag("--odd-links", faults.odd_links, "Link headers in unusual forms");
  command.flag("--reuse-authorizations", faults.reuse_authorizations, "Authorizations are valid already");
  command.flag("--empty-authorizations", faults.empty_authorization_list, "Orders without authorizations");
  command.flag("--no-orders-list", faults.no_orders_list, "Accounts have no list of orders");
  command.flag("--crlf-chain", faults.crlf_chain, "CRLF and blank lines in chains");
  command.flag("--ready-race", faults.ready_race, "Answer the first finalize with orderNotReady");
  command.list(
      "--fault FAULT", flags.faults,
      "RESOURCE:KIND[:skip=N][:times=N][:status=N][:type=NAME][:retry-after=TEXT], repeatable. RESOURCE: "
      "directory, new-nonce, new-account, account, new-order, order, authz, challenge, finalize, certificate, "
      "revoke-cert, key-change, new-authz, orders, renewal-info, star-certificate, or *. KIND: status, drop-before, "
      "drop-after, oversized, "
      "garbage");
}

}  // namespace

void define_test_ca(Command& command) {
  auto flags = std::make_shared<TestCaFlags>();
  TestCaOptions& options = flags->options;
  command.describe("An ACME CA for tests. Prints its directory URL, then serves until SIGINT or SIGTERM.");
  command.text("--address ADDRESS", options.address, "Address to serve on");
  command.number("--port PORT", options.port, "Port to serve on; 0: any free one");
  command.text("--root-file FILE", flags->root_file, "Write the root certificate here, PEM");
  command.number("--http-port PORT", options.http_port, "Port where http-01 is validated");
  command.number("--tls-port PORT", options.tls_port, "Port where tls-alpn-01 is validated");
  command.list("--resolve NAME=ADDRESS", flags->resolve, "NAME=ADDRESS for validation; NAME may be '*'; repeatable");
  command.text("--dns-server ADDRESS:PORT", options.dns_server,
               "DNS server for DNS challenges, such as 127.0.0.1:8053");
  command.flag("--dns-account", options.dns_account, "Offer dns-account-01");
  command.choice("--dns-persist FORM", flags->dns_persist,
                 {{"account-url", static_cast<int>(TestCaOptions::DnsPersist::account_url)},
                  {"account-hash", static_cast<int>(TestCaOptions::DnsPersist::account_hash)}},
                 "Offer dns-persist-01: account-url or account-hash");
  command.text("--issuer-domain DOMAIN", options.issuer_domain, "What CAA and dns-persist-01 records call this CA");
  command.choice("--onion FORM", flags->onion,
                 {{"rfc9799", static_cast<int>(TestCaOptions::Onion::rfc9799)},
                  {"token", static_cast<int>(TestCaOptions::Onion::token)}},
                 "Issue for .onion names by onion-csr-01: rfc9799 or token");
  command.flag("--onion-type", options.onion_type, "Names of onion services have the identifier type onion, not dns");
  command.flag("--onion-caa-required", options.onion_caa_required, "Require CAA of onion services at finalize");
  command.flag("--subdomain-auth", options.subdomain_auth, "Authorizations also hold for names below (RFC 9444)");
  command.flag("--skip-validation", options.skip_validation, "Accept every challenge without validation");
  command.flag("--no-loopback", flags->no_loopback, "Do not validate against loopback addresses");
  command.number("--validation-timeout SECONDS", flags->validation_timeout, "Time limit for one validation, in seconds")
      .between(1, 3600);
  command.number("--seed NUMBER", options.seed, "Seed of tokens, nonces and serials; 0: random");
  command.number("--chain-length N", options.chain_length, "Intermediates in the chain").between(0, 5);
  command.number("--alternate-roots N", options.alternate_roots, "Further chains, offered as alternates").between(0, 5);
  command.number("--lifetime SECONDS", flags->lifetime, "Lifetime of certificates, in seconds")
      .between(1, 10LL * 366 * 24 * 3600);
  command.number("--order-lifetime SECONDS", flags->order_lifetime, "Lifetime of orders, in seconds")
      .between(1, 366LL * 24 * 3600);
  command.list("--eab KID=KEY", flags->eab, "External account key, KID=BASE64URL; repeatable; makes EAB required");
  command.text("--tos URL", options.terms_of_service, "URL of terms of service that accounts must agree to");
  command.list("--block NAME", options.blocked_names, "Refuse this name; repeatable");
  command.list("--profile NAME=TEXT", flags->profiles, "Offer a profile, NAME=DESCRIPTION; repeatable");
  command.number("--orders-per-page N", options.orders_per_page, "Orders on one page of the list").between(1, 1000);
  command.flag("--no-renewal-info", flags->no_renewal_info, "Offer no ARI");
  command.flag("--star", options.auto_renewal, "Offer certificates that renew themselves (STAR)");
  command.flag("--no-pre-authorization", flags->no_pre_authorization, "Offer no newAuthz");
  command.flag("-v,--verbose", options.verbose, "One line per request on standard error");
  define_faults(command.under_heading("Faults"), *flags);
  command.set_action([flags](Output&) { return run_test_ca(*flags); });
}

}  // namespace culmen::cli
