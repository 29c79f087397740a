// DNS messages (RFC 1035), by libldns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/result.hpp"

namespace culmen::testca {

/// How many CNAME records are followed from one name.
constexpr int max_aliases = 8;

/// What a DNS server answered to a question for TXT records.
struct TxtAnswer {
  TxtAnswer() = default;
  int rcode = 0;  ///< 0 NOERROR, 3 NXDOMAIN, …
  bool truncated = false;
  std::vector<std::string> values;   ///< Each with its character-strings put together.
  std::optional<std::string> alias;  ///< Where the last CNAME of the answer leads, when there are no values there.
};

/// The question, ready to send. Error (invalid_argument) when `name` cannot be one in the DNS.
Result<Bytes> txt_query(const std::string& name, std::uint16_t id);
/// Reads the answer. Error (bad_response) when it is no DNS message, or not the answer to that question.
Result<TxtAnswer> read_txt_answer(ByteView message, const std::string& name, std::uint16_t id);

}  // namespace culmen::testca
