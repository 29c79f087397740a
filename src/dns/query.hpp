// Questions to DNS servers, as flows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/flow.hpp"
#include "culmen/result.hpp"
#include "dns/message.hpp"

namespace culmen::dns {

/// A server that resolves names. A plain value.
struct Server {
  Server() = default;
  Server(std::string address_, std::uint16_t port_) : address(std::move(address_)), port(port_) {}
  bool operator==(const Server&) const = default;
  std::string address;
  std::uint16_t port = 53;
};

/// "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53". Error (invalid_argument).
Result<Server> parse_server(std::string_view text);
/// Those of a resolv.conf(5); 127.0.0.1 if it names none.
std::vector<Server> servers_in(std::string_view resolv_conf);

/// What the DNS says to one question. A plain value.
struct Answer {
  Answer() = default;
  Rcode rcode = Rcode::no_error;
  std::string alias;            ///< Where CNAMEs lead; empty: there are none.
  std::vector<Record> records;  ///< Of the type that was asked for.
};

/// Asks the servers in turn until one answers: by UDP, by TCP if the answer does not fit. Errors: timeout,
/// connection_failed, bad_response of the last server; invalid_argument for what is not a DNS name.
Flow<Result<Answer>> query(std::vector<Server> servers, std::string name, Type type);

}  // namespace culmen::dns
