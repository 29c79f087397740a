// culmen issue --csr: a certificate for a CSR of the user's.
#pragma once

#include <string>

#include "host.hpp"
#include "keeper.hpp"
#include "settings.hpp"

namespace culmen::cli {

struct CsrFlags {
  const StateFlags& state;
  const KeepOptions& keep;
  const SettingFlags& settings;
  const std::string& csr;
  bool force;
};

/// The key is not culmen's: nothing is kept but the chain in --out. Does nothing while that is for the same key and
/// names, and not due. Returns the exit code.
int issue_for_csr(const CsrFlags& flags, Output& output);

}  // namespace culmen::cli
