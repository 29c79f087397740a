#include "dns/query.hpp"

#include <charconv>
#include <chrono>
#include <utility>

#include "base/name.hpp"
#include "base/text.hpp"
#include "crypto/random.hpp"

namespace culmen::dns {

namespace {

// A lost datagram is asked again soon; a server that does not answer holds a check up for six seconds.
constexpr std::chrono::milliseconds time_limits[] = {std::chrono::milliseconds(1500), std::chrono::milliseconds(4500)};
constexpr std::uint16_t dns_port = 53;

Result<Bytes> checked_question(const std::string& name, Type type) {
  const Bytes id = crypto::random_bytes(2);
  return question(static_cast<std::uint16_t>(id[0] << 8 | id[1]), name, type);
}

Flow<Result<Message>> ask_server(Server server, Bytes question) {
  std::optional<Error> failed;
  ExchangeRequest request(ExchangeRequest::Transport::udp, server.address, server.port, question);
  request.accepts = [question](ByteView message) { return is_answer_to(message, question); };
  for (const std::chrono::milliseconds limit : time_limits) {
    request.time_limit = limit;
    Result<Bytes> bytes = co_await exchange_message(request);
    if (!bytes) {
      failed = bytes.error();
      if (bytes.error().code() != Errc::timeout) break;
      continue;
    }
    Result<Message> message = read_message(*bytes);
    if (message && !message->truncated) co_return message;
    request.transport = ExchangeRequest::Transport::tcp;
    request.time_limit = time_limits[1];
    Result<Bytes> whole = co_await exchange_message(request);
    if (!whole) co_return whole.error();
    co_return read_message(*whole);
  }
  co_return *failed;
}

Answer answer_in(const Message& message, const std::string& name, Type type) {
  Answer answer;
  answer.rcode = message.rcode;
  std::string owner = base::to_lower(name);
  for (std::size_t hops = 0; hops <= message.records.size(); ++hops) {
    const std::string before = owner;
    for (const Record& record : message.records) {
      if (record.name == owner && record.type == Type::cname && type != Type::cname) {
        owner = answer.alias = record.target;
        break;
      }
    }
    if (owner == before) break;
  }
  for (const Record& record : message.records) {
    if (record.name == owner && record.type == type) answer.records.push_back(record);
  }
  return answer;
}

}  // namespace

Result<Server> parse_server(std::string_view text) {
  const Error wrong(Errc::invalid_argument, "reading the address of a DNS server",
                    "\"" + printable(text, 80) + "\" is not an IP address, with or without a port");
  if (base::canonical_ip(text)) return Server(std::string(text), dns_port);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view address = text.substr(0, colon);
  const std::string_view number = text.substr(colon + 1);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  Server server;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), server.port);
  const bool whole = failed == std::errc() && end == number.data() + number.size() && server.port != 0;
  if (!whole || !base::canonical_ip(address)) return wrong;
  server.address = address;
  return server;
}

std::vector<Server> servers_in(std::string_view resolv_conf) {
  std::vector<Server> servers;
  constexpr std::string_view word = "nameserver";
  while (!resolv_conf.empty()) {
    const std::size_t end = resolv_conf.find('\n');
    const std::string_view line = base::trimmed(resolv_conf.substr(0, end));
    resolv_conf = end == std::string_view::npos ? std::string_view() : resolv_conf.substr(end + 1);
    if (!line.starts_with(word)) continue;
    std::string_view address = base::trimmed(line.substr(word.size()));
    address = address.substr(0, address.find_first_of(" \t#;%"));
    if (base::canonical_ip(address)) servers.emplace_back(std::string(address), dns_port);
  }
  if (servers.empty()) servers.emplace_back("127.0.0.1", dns_port);
  return servers;
}

Flow<Result<Answer>> query(std::vector<Server> servers, std::string name, Type type) {
  Result<Bytes> asked = checked_question(name, type);
  if (!asked) co_return asked.error();
  Error failed(Errc::connection_failed, "asking the DNS", "there is no DNS server to ask");
  std::optional<Answer> last;
  for (const Server& server : servers) {
    Result<Message> message = co_await ask_server(server, *asked);
    if (message) {
      last = answer_in(*message, name, type);
      // Another server may know more than one that cannot say.
      if (last->rcode == Rcode::no_error || last->rcode == Rcode::no_such_name) co_return *last;
      continue;
    }
    failed = message.error().while_doing("asking the DNS server " + server.address + " for " + printable(name));
    if (failed.code() == Errc::cancelled) co_return failed;
  }
  if (last) co_return *last;
  co_return failed;
}

}  // namespace culmen::dns
