// The certificates in a storage, for programs that show, import, revoke and remove them, beside managers that run.
//
// What changes something holds a lease meanwhile. If the call ends anywhere, by a crash, a cancellation or an error,
// no private key is lost, and the same call finishes what was begun.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/certificate_record.hpp"
#include "culmen/flow.hpp"
#include "culmen/records.hpp"
#include "culmen/result.hpp"
#include "culmen/session.hpp"
#include "culmen/storage.hpp"

namespace culmen {

/// A certificate in storage. A plain value.
struct StoredCertificate {
  StoredCertificate() = default;
  std::string id;
  CertificateRecord record;
  std::optional<Generation> live;       ///< The one that counts; nullopt: never issued, or damaged.
  std::optional<PendingOrder> pending;  ///< An issuance that has not ended.
  /// What of it cannot be read, and why, by key; empty: nothing. It is shown and removed like any other.
  std::vector<std::string> damage;
};

/// For functions that change something. A plain value.
struct LeaseOptions {
  LeaseOptions() = default;
  std::string owner;                  ///< For people, as in Storage::acquire(). Must not be empty.
  std::chrono::seconds ttl{60};       ///< At least 3 s. The lease is renewed while it is needed.
  std::chrono::seconds patience{30};  ///< How long to wait while another process holds the lease: then Errc::held.
  /// Called once if it has to wait for a lease, such as "certificates/example.com", with how long at most; on the
  /// thread of the flow. May be empty.
  std::function<void(const std::string& lease, std::chrono::seconds at_most)> on_wait;
};

/// All that there are, also those that were never issued, in the order of their ids. One that is damaged is listed, and
/// says so. Errors: those of storage.
Flow<Result<std::vector<StoredCertificate>>> list_certificates(std::shared_ptr<Storage> storage);
/// nullopt if there is none of that id.
Flow<Result<std::optional<StoredCertificate>>> find_certificate(std::shared_ptr<Storage> storage, std::string id);

/// What a manager would do about it at that time, by what is stored and by its spec alone: without the limits of the CA
/// and its health. For listings and dry runs.
planner::Action next_action(const StoredCertificate& certificate, const planner::Policy& policy, planner::Time now);

/// Changes the record under the certificate's lease. `change` gets what is stored at that moment, and may be called
/// again if the lease was lost; the record that it leaves is written. With an error from `change` nothing is changed.
/// not_found if there is no such certificate.
Flow<Result<CertificateRecord>> change_certificate(std::shared_ptr<Storage> storage, std::string id,
                                                   std::function<Result<void>(CertificateRecord&)> change,
                                                   LeaseOptions lease);

/// Adds a certificate that was issued elsewhere, as its first generation. `record` says what it was made from, and how
/// to renew it; names, times, key type and CertID are taken from the certificate. conflict if the id is in use, unless
/// by the same import; invalid_argument if it cannot be one; crypto_failed if certificate and key cannot be read, or do
/// not belong together.
Flow<Result<void>> import_certificate(std::shared_ptr<Storage> storage, std::string id, CertificateRecord record,
                                      Generation generation, LeaseOptions lease);

/// Removes the certificate, also a damaged one, and one that was never issued. Its private keys are put under
/// keys/unused/ first, as they are if they cannot be read: the keys of storage where they are now are returned.
/// not_found if there is no such certificate. A manager that still wants it issues it anew when it was due.
Flow<Result<std::vector<std::string>>> remove_certificate(std::shared_ptr<Storage> storage, std::string id,
                                                          LeaseOptions lease);
/// not_found if there is no `from`, conflict if there is a `to`; io_failed if it is damaged. A crash leaves one of them
/// whole, or both; then the same call finishes it. Of a certificate of several key types, only this one is renamed.
Flow<Result<void>> rename_certificate(std::shared_ptr<Storage> storage, std::string from, std::string to,
                                      LeaseOptions lease);

/// How a certificate was revoked. A plain value.
struct Revocation {
  Revocation() = default;
  bool was_revoked_before = false;
};
/// Revokes the live certificate with the account in storage, under the leases of both, and marks its record; drops an
/// order in progress that has the same key. `reason` as in engine::revoke_certificate(); after keyCompromise (1) the
/// key is not used again. `session` has to be of the CA that issued it; if another account did, the CA decides.
/// not_found if it was never issued. A manager that wants the certificate replaces it.
Flow<Result<Revocation>> revoke_stored_certificate(std::shared_ptr<Storage> storage, engine::Session session,
                                                   std::string id, std::optional<int> reason, LeaseOptions lease);

}  // namespace culmen
