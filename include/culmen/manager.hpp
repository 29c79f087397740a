// Keeps certificates fresh in a running process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/cancel_token.hpp"
#include "culmen/flow.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// Obtains, stores and renews certificates until it is stopped. A shared handle: copies are the same manager. All
/// functions may be called from any thread, except where said.
///
/// It runs in one of four ways, chosen by the first call of them: start_thread(), fd() and process() in an event loop
/// of yours, run() of culmen/asio/manager.hpp on an Asio executor, or run_once() for timers. The destructor of the last
/// copy stops it, and waits for that as stop() does.
///
/// Several managers, in several processes, may share one storage: a lease for each certificate sees to it that it is
/// ordered once.
class Manager {
 public:
  /// Throws Error (invalid_argument) if the options are not valid. Does no I/O.
  explicit Manager(ManagerOptions options);

  /// Runs on a thread of its own. Returns at once. Throws Error if it runs already (invalid_argument), or its transport
  /// cannot be made (see TransportOptions).
  void start_thread();
  /// Ends what is in progress: cleans up challenges, releases leases. Returns when that is done, after two seconds at
  /// the latest, also while storage does not answer: a callback that blocks for longer may still run afterwards. Does
  /// nothing if it does not run. Not to be called from a callback of the manager, except that a callback inside
  /// process() may call it. With fd(), call it on the thread that calls process(); with Asio, on a thread that does not
  /// run the executor.
  void stop() noexcept;

  /// A descriptor that is readable when process() has something to do. The first call starts the manager; it returns -1
  /// if a callback stops it at once. For one thread, together with process().
  int fd();
  /// Does what can be done without waiting; nothing before fd() and after stop().
  void process();

  /// Brings every certificate that is due now up to date, and returns. Blocks; callbacks run on this thread. Throws
  /// Error: cancelled, and those of storage. What fails for one certificate is in the summary.
  RunSummary run_once(CancelToken cancel = CancelToken::never());

  /// The answer to an http-01 challenge: for the target of a GET request on port 80, such as
  /// "/.well-known/acme-challenge/…". nullopt if it is not one, or not known. Never blocks.
  std::optional<std::string> http01(std::string_view target) const;

  /// The certificate that counts, as far as this process knows. With up to 1,000 certificates they are kept in memory;
  /// otherwise it is read from storage on this thread, which may block. nullopt also if that fails.
  std::optional<InstalledCertificate> current(std::string_view id) const;
  std::vector<CertificateStatus> status() const;

  /// Replaces the specs: certificates that are not wanted any more stay in storage, and are not renewed. Throws Error
  /// (invalid_argument); then nothing is changed.
  void set_specs(std::vector<CertificateSpec> specs);
  /// Renews at once, before what is due. `why` is for the log. not_offered if there is no such certificate.
  Result<void> renew_now(std::string_view id, std::string why);
  /// Tries again although the last attempt failed a short time ago. What the CA said about waiting still holds, and so
  /// do its limits. not_offered if there is no such certificate.
  Result<void> retry_now(std::string_view id);
  /// Replaces a certificate that is revoked; with a new key if the old one is compromised. Takes effect, and is
  /// remembered in storage, while the manager runs, or when it runs next.
  Result<void> revoked(std::string_view id, bool key_compromised);
  /// Ends when there is a valid certificate for the spec `id`, for the names that are wanted now, or with the error of
  /// the attempt. Waits as long as the manager does not run. For any driver.
  Flow<Result<void>> ensure(std::string id) const;

 private:
  friend struct ManagerAccess;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culmen
