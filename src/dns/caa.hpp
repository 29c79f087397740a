// CAA records (RFC 8659): which CAs may issue for a name, and how (RFC 8657).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/flow.hpp"
#include "culmen/result.hpp"
#include "dns/query.hpp"

namespace culmen::dns {

/// A plain value.
struct CaaRecord {
  CaaRecord() = default;
  bool operator==(const CaaRecord&) const = default;
  bool critical = false;
  std::string tag;  ///< In lower case.
  std::string value;
};

/// nullopt if it is malformed.
std::optional<CaaRecord> parse_caa(ByteView data);

/// The records that count for a name. A plain value.
struct RelevantCaa {
  RelevantCaa() = default;
  std::string owner;  ///< The name where they are; empty: there are none, and every CA may issue.
  std::vector<CaaRecord> records;
};
/// Those of the name, or of the nearest name above it that has some (RFC 8659 §3). Errors: those of query(), and
/// bad_response if a server cannot say, or a record is malformed.
Flow<Result<RelevantCaa>> find_caa(std::vector<Server> servers, std::string name);

/// Who wants to issue. A plain value.
struct CaaQuestion {
  CaaQuestion() = default;
  std::vector<std::string> identities;  ///< The CA's domains (caaIdentities of its directory).
  std::string account;                  ///< The account's URL; empty: not known yet.
  std::string challenge;                ///< "http-01"
  bool wildcard = false;
};
/// Why the records forbid it; empty: they do not.
std::string obstacle_of(const RelevantCaa& caa, const CaaQuestion& question);

}  // namespace culmen::dns
