// What would keep a certificate from being issued here: looked at before anything is ordered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/certificate_spec.hpp"
#include "culmen/flow.hpp"
#include "culmen/options.hpp"
#include "culmen/result.hpp"
#include "culmen/solver.hpp"
#include "culmen/storage.hpp"

namespace culmen {

/// What was looked at, what was found, and what to do. A plain value.
struct Finding {
  enum class Verdict {
    good,
    note,       ///< Worth knowing; an order may succeed.
    machine,    ///< Something on this machine keeps the certificate from being issued.
    temporary,  ///< It passes by itself.
    refused,    ///< The CA would refuse the order.
  };
  Finding() = default;
  Finding(Verdict verdict_, std::string check_, std::string subject_, std::string found_, std::string advice_ = {})
      : verdict(verdict_),
        check(std::move(check_)),
        subject(std::move(subject_)),
        found(std::move(found_)),
        advice(std::move(advice_)) {}

  Verdict verdict = Verdict::good;
  std::string check;  ///< "folder", "output", "hook", "ca", "clock", "account", "limits", "dns", "caa", "http", "port".
  std::string subject;  ///< The name, file or host that it is about.
  std::string found;    ///< A sentence without its full stop.
  std::string advice;   ///< One sentence or more; empty: nothing to do.
};
std::string_view to_string(Finding::Verdict verdict) noexcept;
/// What weighs most: something on this machine before a refusal, that before what passes by itself.
Finding::Verdict worst_of(const std::vector<Finding>& findings) noexcept;

/// What to check. A plain value; `solver` must outlive the flow.
struct CheckupRequest {
  CheckupRequest() = default;
  /// From where it is checked that a CA would get the answer to http-01.
  enum class FromHere {
    public_name,  ///< As a CA does it: by the name, at each of its addresses, port 80.
    local,        ///< Only at the server of this machine: for networks that cannot reach their own public addresses.
    no,
  };

  CertificateSpec spec;  ///< Its names, its first CA, its challenge.
  std::shared_ptr<Storage> storage;
  SessionOptions session;
  ChallengeSolver* solver = nullptr;  ///< The server that answers challenges; nullptr: none is tried.
  bool port_is_freed = false;         ///< A pre-hook frees the port of `solver`.
  FromHere from_here = FromHere::public_name;
  std::string local_address = "127.0.0.1";  ///< Of the server of this machine.
  std::uint16_t local_port = 80;
  std::uint16_t public_port = 80;                  ///< That the CA connects to; another one is for tests.
  std::vector<std::string> dns_servers;            ///< With or without a port; empty: those of the system.
  std::function<void(const Finding&)> on_finding;  ///< Called as they come; may be empty.
};

/// Looks at the CA, the account in storage, the use of the CA's limits, the DNS, and the way to the challenge's answer.
/// Changes nothing, and orders nothing; an answer to a made-up challenge is served meanwhile. What cannot be looked at
/// is a finding. Errors: cancelled; invalid_argument for a name, a CA or a DNS server that is not valid.
Flow<Result<std::vector<Finding>>> check_up(CheckupRequest request);

/// Whether files can be written in the folder, or it could be made. Blocks.
Finding check_folder(const std::string& folder);
/// Whether a hook can be run, and who could change it. `option`: as "--deploy-hook". Blocks.
Finding check_hook(const std::string& option, const std::string& program);

}  // namespace culmen
