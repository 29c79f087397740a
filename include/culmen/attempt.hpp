// One attempt of a manager to obtain a certificate, for programs that have a say in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/directory.hpp"
#include "culmen/issue.hpp"
#include "culmen/solver.hpp"

namespace culmen {

/// How the manager is about to order: see ManagerOptions::prepare.
struct Attempt {
  Attempt(std::string id_, CertificateSpec spec_, Account account_, Directory directory_, IssueRequest request_)
      : id(std::move(id_)),
        spec(std::move(spec_)),
        account(std::move(account_)),
        directory(std::move(directory_)),
        request(std::move(request_)) {}

  const std::string id;  ///< Of the certificate.
  const CertificateSpec spec;
  const Account account;
  const Directory directory;

  /// May be changed in what concerns challenges, `key` if it is empty, `on_progress` and `poll_deadline`. Names, key
  /// type, profile and the order to resume are the manager's.
  IssueRequest request;
  /// Tried in order. ManagerOptions::solvers, or the manager's own.
  std::vector<std::shared_ptr<ChallengeSolver>> solvers;
  /// A JSON object: its members are stored with the certificate, in Generation::meta, beside the manager's.
  std::string meta = "{}";
};

}  // namespace culmen
