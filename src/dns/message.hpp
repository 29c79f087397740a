// DNS messages (RFC 1035): questions that are made, answers that are read. The C library parses them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/result.hpp"

namespace culmen::dns {

enum class Type : std::uint16_t { a = 1, cname = 5, aaaa = 28, caa = 257 };
enum class Rcode : std::uint8_t { no_error = 0, server_failure = 2, no_such_name = 3, refused = 5 };

/// A record of an answer. A plain value.
struct Record {
  Record() = default;
  std::string name;  ///< In lower case, without a dot at its end.
  Type type = Type::a;
  Bytes data;          ///< As it was sent.
  std::string target;  ///< Of a CNAME: where it leads.
};

/// What a server answered. A plain value.
struct Message {
  Message() = default;
  Rcode rcode = Rcode::no_error;  ///< Or another value of RFC 6895.
  bool truncated = false;
  std::vector<Record> records;  ///< Of the answer section.
};

/// Error (invalid_argument) if `name` cannot be one in the DNS.
Result<Bytes> question(std::uint16_t id, const std::string& name, Type type);
/// Whether the message has the question's number, and answers that question.
bool is_answer_to(ByteView message, ByteView question);
/// Error (bad_response) if it is not a DNS message.
Result<Message> read_message(ByteView message);

}  // namespace culmen::dns
