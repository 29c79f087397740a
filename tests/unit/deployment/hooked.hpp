// Certificates, and programs that are only noted, for tests of what a host does with them.
#pragma once

#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "culmen/deployment.hpp"
#include "culmen/error.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_certificates.hpp"

namespace culmen::test {

/// Another one at each call.
inline InstalledCertificate certificate_of(const std::string& id, const std::string& names = {}) {
  const Identity identity = make_identity(id, names.empty() ? "DNS:" + id : names, nullptr);
  InstalledCertificate certificate;
  certificate.id = id;
  certificate.chain_pem = identity.certificate_pem();
  certificate.key_pem = identity.key_pem();
  certificate.generation = 1;
  return certificate;
}

/// A state folder, with what was run and said.
class Host {
 public:
  std::filesystem::path local() const { return folder / "state" / "local"; }
  /// Where servers would find it; made with a key.
  std::filesystem::path live(const InstalledCertificate& certificate) const {
    const std::filesystem::path live = folder / "state" / "certificates" / certificate.id / "1";
    std::filesystem::create_directories(live);
    std::ofstream(live / "key.pem") << certificate.key_pem;
    return live;
  }
  /// Programs are noted, and fail if they are in `failing`.
  DeploymentOptions options() {
    DeploymentOptions options = with_programs();
    options.run = [this](const std::string&, const ProgramRun& run) {
      runs.push_back(run);
      if (failing.contains(run.words.front())) throw Error(Errc::solver_failed, "running it", "it failed");
    };
    return options;
  }
  /// Programs are run.
  DeploymentOptions with_programs() {
    std::filesystem::create_directories(folder / "state");
    DeploymentOptions options;
    options.local = local();
    options.on_event = [this](const DeploymentEvent& event) { events.push_back(event); };
    return options;
  }
  std::vector<std::string> texts(DeploymentEvent::Kind kind) const {
    std::vector<std::string> found;
    for (const DeploymentEvent& event : events) {
      if (event.kind == kind) found.push_back(event.text);
    }
    return found;
  }

  TemporaryFolder folder;
  std::set<std::string> failing;
  std::vector<ProgramRun> runs;
  std::vector<DeploymentEvent> events;
};

inline std::string variable(const ProgramRun& run, const std::string& name) {
  for (const auto& [each, value] : run.variables) {
    if (each == name) return value;
  }
  return "(none)";
}

}  // namespace culmen::test
