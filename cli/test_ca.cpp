// culmen test-ca: an ACME CA for tests, until it is told to stop.
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <memory>

#include "command.hpp"
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
  std::printf("%s\n", ca.directory_url().c_str());
  std::fflush(stdout);
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

}  // namespace

Run define_test_ca(CLI::App& app) {
  auto flags = std::make_shared<TestCaFlags>();
  TestCaOptions& options = flags->options;
  TestCaFaults& faults = options.faults;
  app.description("An ACME CA for tests. Prints its directory URL, then serves until SIGINT or SIGTERM.");
  app.add_option("--address", options.address, "Address to serve on")->capture_default_str();
  app.add_option("--port", options.port, "Port to serve on; 0: any free one")->capture_default_str();
  app.add_option("--root-file", flags->root_file, "Write the root certificate here, PEM")->type_name("FILE");
  app.add_option("--http-port", options.http_port, "Port where http-01 is validated")->capture_default_str();
  app.add_option("--tls-port", options.tls_port, "Port where tls-alpn-01 is validated")->capture_default_str();
  app.add_option("--resolve", flags->resolve, "NAME=ADDRESS for validation; NAME may be '*'; repeatable")
      ->type_name("NAME=ADDRESS")
      ->allow_extra_args(false);
  app.add_option("--dns-server", options.dns_server, "Whom to ask for TXT records of DNS challenges, as 127.0.0.1:8053")
      ->type_name("ADDRESS:PORT");
  app.add_flag("--dns-account", options.dns_account, "Offer dns-account-01");
  const std::map<std::string, TestCaOptions::DnsPersist> dialects = {
      {"account-url", TestCaOptions::DnsPersist::account_url},
      {"account-hash", TestCaOptions::DnsPersist::account_hash}};
  app.add_option("--dns-persist", options.dns_persist, "Offer dns-persist-01: account-url or account-hash")
      ->transform(CLI::CheckedTransformer(dialects).description(""))
      ->type_name("FORM");
  app.add_option("--issuer-domain", options.issuer_domain, "What CAA and dns-persist-01 records call this CA")
      ->capture_default_str();
  const std::map<std::string, TestCaOptions::Onion> forms = {{"rfc9799", TestCaOptions::Onion::rfc9799},
                                                             {"token", TestCaOptions::Onion::token}};
  app.add_option("--onion", options.onion, "Issue for .onion names by onion-csr-01: rfc9799 or token")
      ->transform(CLI::CheckedTransformer(forms).description(""))
      ->type_name("FORM");
  app.add_flag("--onion-type", options.onion_type, "Names of onion services have the identifier type onion, not dns");
  app.add_flag("--onion-caa-required", options.onion_caa_required, "Want CAA of onion services at finalize");
  app.add_flag("--subdomain-auth", options.subdomain_auth, "Authorizations serve for names below as well (RFC 9444)");
  app.add_flag("--skip-validation", options.skip_validation, "Believe every challenge");
  app.add_flag("--no-loopback", flags->no_loopback, "Do not validate against loopback addresses");
  app.add_option("--validation-timeout", flags->validation_timeout, "Seconds for one validation")
      ->check(CLI::Range(1, 3600).description(""))
      ->type_name("NUMBER")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Repeat tokens, nonces and serials; 0: random")->capture_default_str();
  app.add_option("--chain-length", options.chain_length, "Intermediates in the chain")
      ->check(CLI::Range(0, 5).description(""))
      ->type_name("NUMBER")
      ->capture_default_str();
  app.add_option("--alternate-roots", options.alternate_roots, "Further chains, offered as alternates")
      ->check(CLI::Range(0, 5).description(""))
      ->type_name("NUMBER")
      ->capture_default_str();
  app.add_option("--lifetime", flags->lifetime, "Lifetime of certificates, seconds")
      ->check(CLI::Range(1LL, 10LL * 366 * 24 * 3600).description(""))
      ->type_name("NUMBER")
      ->capture_default_str();
  app.add_option("--order-lifetime", flags->order_lifetime, "Lifetime of orders, seconds")
      ->check(CLI::Range(1LL, 366LL * 24 * 3600).description(""))
      ->type_name("NUMBER")
      ->capture_default_str();
  app.add_option("--eab", flags->eab, "External account key, KID=BASE64URL; repeatable; makes EAB required")
      ->type_name("KID=KEY")
      ->allow_extra_args(false);
  app.add_option("--tos", options.terms_of_service, "URL of terms of service that accounts must agree to");
  app.add_option("--block", options.blocked_names, "Refuse this name; repeatable")->allow_extra_args(false);
  app.add_option("--profile", flags->profiles, "Offer a profile, NAME=DESCRIPTION; repeatable")
      ->type_name("NAME=TEXT")
      ->allow_extra_args(false);
  app.add_option("--orders-per-page", options.orders_per_page, "Orders on one page of the list")
      ->check(CLI::Range(1, 1000).description(""))
      ->type_name("NUMBER")
      ->capture_default_str();
  app.add_flag("--no-renewal-info", flags->no_renewal_info, "Offer no ARI");
  app.add_flag("--star", options.auto_renewal, "Offer certificates that renew themselves (STAR)");
  app.add_flag("--no-pre-authorization", flags->no_pre_authorization, "Offer no newAuthz");
  app.add_flag("-v,--verbose", options.verbose, "One line a request on standard error");

  const std::string group = "Faults";
  app.add_option("--nonce-reject", faults.reject_nonces_percent, "Good nonces refused, percent")
      ->check(CLI::Range(0, 100).description(""))
      ->type_name("NUMBER")
      ->group(group);
  app.add_option("--processing-polls", faults.processing_polls, "Orders are processing for that many polls")
      ->check(CLI::Range(0, 1000000).description(""))
      ->type_name("NUMBER")
      ->group(group);
  app.add_option("--pending-polls", faults.pending_polls, "Authorizations look pending for that many polls")
      ->check(CLI::Range(0, 1000000).description(""))
      ->type_name("NUMBER")
      ->group(group);
  app.add_option("--retry-after", flags->retry_after, "Retry-After while in progress: \"2\", \"date:2\", or any text")
      ->group(group);
  app.add_flag("--reorder", faults.reorder_identifiers, "Orders list their names in another order")->group(group);
  app.add_flag("--no-location-on-finalize", faults.no_location_on_finalize, "Leave Location out there")->group(group);
  app.add_flag("--strange-directory", faults.strange_directory, "Nulls and unknown members in the directory")
      ->group(group);
  app.add_flag("--odd-links", faults.odd_links, "Link headers in unusual forms")->group(group);
  app.add_flag("--reuse-authorizations", faults.reuse_authorizations, "Authorizations are valid already")->group(group);
  app.add_flag("--empty-authorizations", faults.empty_authorization_list, "Orders without authorizations")
      ->group(group);
  app.add_flag("--no-orders-list", faults.no_orders_list, "Accounts have no list of orders")->group(group);
  app.add_flag("--crlf-chain", faults.crlf_chain, "CRLF and blank lines in chains")->group(group);
  app.add_flag("--ready-race", faults.ready_race, "Answer the first finalize with orderNotReady")->group(group);
  app.add_option(
         "--fault", flags->faults,
         "RESOURCE:KIND[:skip=N][:times=N][:status=N][:type=NAME][:retry-after=TEXT], repeatable. RESOURCE: "
         "directory, new-nonce, new-account, account, new-order, order, authz, challenge, finalize, certificate, "
         "revoke-cert, key-change, new-authz, orders, renewal-info, star-certificate, or *. KIND: status, drop-before, "
         "drop-after, oversized, "
         "garbage")
      ->type_name("FAULT")
      ->allow_extra_args(false)
      ->group(group);
  return [flags](Output&) { return run_test_ca(*flags); };
}

}  // namespace culmen::cli
