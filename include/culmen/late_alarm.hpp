// Telling the operator of certificates that are late: --on-failure.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "culmen/stored_certificates.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Host;
class Output;

/// A certificate that is late: less than half of the time between its renewal being due and its end is left. A plain
/// value.
struct Late {
  Late() = default;
  std::string id, error;
  std::vector<std::string> names;
  std::chrono::system_clock::time_point not_after, since;
  std::vector<std::string> programs;
  int time_limit = 120;  ///< Seconds.
};

/// What was told is remembered in `local`/late/. For one thread at a time; all references must outlive it.
class LateAlarm {
 public:
  LateAlarm(std::filesystem::path local, Output& output);

  /// Those of the certificates that are late and have programs that were not told within a day. Of those that are not
  /// late any more, what was remembered is dropped. Throws Error (io_failed).
  std::vector<Late> untold(const Host& host, const std::vector<culmen::StoredCertificate>& certificates) const;
  /// Runs each program once, for all its certificates. What fails is a warning, and not remembered as told.
  void tell(std::vector<Late> late) const;

 private:
  std::filesystem::path record_of(const std::string& id) const;
  std::filesystem::path local_;
  Output& output_;
};

}  // namespace culmen::cli
