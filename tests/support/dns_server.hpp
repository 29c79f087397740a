// A DNS server for tests: TXT values that can be added and removed one by one, aliases, addresses and CAA. UDP, and TCP
// where an answer is too long. Messages are made by hand, so that nothing is shared with what is tested.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace culmen::test {

class DnsServer {
 public:
  DnsServer() {
    udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int tries = 0;; ++tries) {  // one port for both
      sockaddr_in address = loopback(0);
      if (::bind(udp_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind");
      socklen_t size = sizeof address;
      ::getsockname(udp_, reinterpret_cast<sockaddr*>(&address), &size);
      port_ = ntohs(address.sin_port);
      if (::bind(tcp_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) break;
      if (tries == 20) throw std::runtime_error("no port is free for both UDP and TCP");
      ::close(udp_);
      udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    ::listen(tcp_, 16);
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    stopping_ = true;
    thread_.join();
    ::close(udp_);
    ::close(tcp_);
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  /// As TestCaOptions::dns_server wants it.
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void add_txt(const std::string& name, const std::string& value) {
    const std::lock_guard lock(mutex_);
    texts_[name].push_back(value);
    most_values_ = std::max(most_values_, texts_[name].size());
  }
  void remove_txt(const std::string& name, const std::string& value) {
    const std::lock_guard lock(mutex_);
    std::erase(texts_[name], value);
    if (texts_[name].empty()) texts_.erase(name);
  }
  /// Values are also read from files in that folder: one for each name, with a value a line.
  void read_zone(std::filesystem::path folder) {
    const std::lock_guard lock(mutex_);
    zone_ = std::move(folder);
  }
  void add_alias(const std::string& name, const std::string& target) {
    const std::lock_guard lock(mutex_);
    aliases_[name] = target;
  }
  /// IPv4 or IPv6.
  void add_address(const std::string& name, const std::string& address) {
    const bool is_v6 = address.find(':') != std::string::npos;
    std::vector<std::uint8_t> data(is_v6 ? 16 : 4);
    if (::inet_pton(is_v6 ? AF_INET6 : AF_INET, address.c_str(), data.data()) != 1) throw std::runtime_error(address);
    add_any(name, is_v6 ? 28 : 1, std::move(data));
  }
  void add_caa(const std::string& name, std::uint8_t flags, const std::string& tag, const std::string& value) {
    std::vector<std::uint8_t> data = {flags, static_cast<std::uint8_t>(tag.size())};
    data.insert(data.end(), tag.begin(), tag.end());
    data.insert(data.end(), value.begin(), value.end());
    add_any(name, 257, std::move(data));
  }
  /// Questions for that name and type are answered with the rcode.
  void break_answer(const std::string& name, std::uint16_t type, std::uint8_t with) {
    const std::lock_guard lock(mutex_);
    broken_[{name, type}] = with;
  }
  std::vector<std::string> txt(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = texts_.find(name);
    return found == texts_.end() ? std::vector<std::string>() : found->second;
  }
  bool empty() const {
    const std::lock_guard lock(mutex_);
    return texts_.empty();
  }
  /// The most values that one name had at once.
  std::size_t most_values() const {
    const std::lock_guard lock(mutex_);
    return most_values_;
  }
  std::set<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  std::atomic<int> rcode = 0;              ///< Answer everything with this, if it is not 0.
  std::atomic<int> lost = 0;               ///< Leave that many questions by UDP without an answer.
  std::atomic<bool> garbage = false;       ///< Answer with what is no DNS message.
  std::atomic<bool> lone_aliases = false;  ///< Answer with the alias alone, not with what it leads to.

 private:
  using Message = std::vector<std::uint8_t>;

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void serve() {
    while (!stopping_) {
      std::array<pollfd, 2> ready = {pollfd{udp_, POLLIN, 0}, pollfd{tcp_, POLLIN, 0}};
      if (::poll(ready.data(), ready.size(), 20) <= 0) continue;
      if (ready[0].revents & POLLIN) answer_udp();
      if (ready[1].revents & POLLIN) answer_tcp();
    }
  }

  void answer_udp() {
    std::array<std::uint8_t, 4096> buffer;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(udp_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 17) return;
    if (lost > 0) {
      --lost;
      return;
    }
    Message reply = answer(Message(buffer.begin(), buffer.begin() + got));
    if (garbage) reply = {1, 2, 3};
    if (reply.size() > 1232) {  // only the question, and the bit that says so
      reply.resize(question_end(reply));
      reply[2] |= 2;
      reply[6] = reply[7] = 0;
    }
    ::sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }

  void answer_tcp() {
    const int connection = ::accept(tcp_, nullptr, nullptr);
    if (connection < 0) return;
    timeval limit{2, 0};
    ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::array<std::uint8_t, 2> length{};
    if (::recv(connection, length.data(), 2, MSG_WAITALL) == 2) {
      Message question(std::size_t{length[0]} * 256 + length[1]);
      if (::recv(connection, question.data(), question.size(), MSG_WAITALL) == static_cast<ssize_t>(question.size()) &&
          question.size() >= 17) {
        Message reply = answer(question);
        const std::array<std::uint8_t, 2> size = {static_cast<std::uint8_t>(reply.size() >> 8),
                                                  static_cast<std::uint8_t>(reply.size())};
        reply.insert(reply.begin(), size.begin(), size.end());
        [[maybe_unused]] const auto sent = ::send(connection, reply.data(), reply.size(), MSG_NOSIGNAL);
      }
    }
    ::close(connection);
  }

  /// Where the question's type and class end.
  static std::size_t question_end(const Message& message) {
    std::size_t at = 12;
    while (at < message.size() && message[at] != 0) at += message[at] + std::size_t{1};
    return std::min(at + 5, message.size());
  }

  static std::string question_name(const Message& message) {
    std::string name;
    for (std::size_t at = 12; at < message.size() && message[at] != 0;) {
      const std::size_t length = message[at++];
      if (!name.empty()) name += '.';
      for (std::size_t i = 0; i < length && at < message.size(); ++i) name += static_cast<char>(message[at++]);
    }
    return name;
  }

  static Message wire_name(const std::string& name) {
    Message wire;
    for (std::size_t start = 0; start <= name.size();) {
      const std::size_t end = std::min(name.find('.', start), name.size());
      wire.push_back(static_cast<std::uint8_t>(end - start));
      wire.insert(wire.end(), name.begin() + static_cast<std::ptrdiff_t>(start),
                  name.begin() + static_cast<std::ptrdiff_t>(end));
      start = end + 1;
    }
    wire.push_back(0);
    return wire;
  }

  void add_any(const std::string& name, std::uint16_t type, Message data) {
    const std::lock_guard lock(mutex_);
    others_[name].emplace_back(type, std::move(data));
  }

  static std::uint16_t question_type(const Message& message) {
    const std::size_t end = question_end(message);
    return static_cast<std::uint16_t>(message[end - 4] << 8 | message[end - 3]);
  }

  static void add_record(Message& reply, const std::string& owner, std::uint16_t type, const Message& data) {
    const Message name = wire_name(owner);
    reply.insert(reply.end(), name.begin(), name.end());
    const Message fixed = {
        static_cast<std::uint8_t>(type >> 8),        static_cast<std::uint8_t>(type & 0xff), 0, 1, 0, 0, 0, 1,
        static_cast<std::uint8_t>(data.size() >> 8), static_cast<std::uint8_t>(data.size())};
    reply.insert(reply.end(), fixed.begin(), fixed.end());
    reply.insert(reply.end(), data.begin(), data.end());
    ++reply[7];
  }

  Message answer(const Message& question) {
    const std::lock_guard lock(mutex_);
    const std::string name = question_name(question);
    asked_.insert(name);
    Message reply(question.begin(), question.begin() + static_cast<std::ptrdiff_t>(question_end(question)));
    reply[2] = 0x85;  // an answer, authoritative, recursion desired
    reply[3] = 0x80;
    for (std::size_t i = 6; i < 12; ++i) reply[i] = 0;
    if (rcode != 0) {
      reply[3] = static_cast<std::uint8_t>(0x80 | rcode);
      return reply;
    }
    const std::uint16_t type = question_type(question);
    if (const auto broken = broken_.find({name, type}); broken != broken_.end()) {
      reply[3] = static_cast<std::uint8_t>(0x80 | broken->second);
      return reply;
    }
    std::string owner = name;
    for (int i = 0; i < 20; ++i) {
      const auto alias = aliases_.find(owner);
      if (alias == aliases_.end()) break;
      add_record(reply, owner, 5, wire_name(alias->second));
      owner = alias->second;
      if (lone_aliases) return reply;
    }
    if (const auto others = others_.find(owner); others != others_.end() && type != 16) {
      for (const auto& [kind, data] : others->second) {
        if (kind == type) add_record(reply, owner, kind, data);
      }
      return reply;
    }
    std::vector<std::string> values = texts_.contains(owner) ? texts_.at(owner) : std::vector<std::string>();
    if (!zone_.empty()) {
      std::ifstream file(zone_ / owner);
      for (std::string line; std::getline(file, line);) values.push_back(line);
      most_values_ = std::max(most_values_, values.size());
    }
    if (values.empty()) {
      reply[3] |= 3;  // NXDOMAIN
      return reply;
    }
    for (const std::string& value : values) {
      Message data;
      for (std::size_t start = 0; start == 0 || start < value.size(); start += 255) {
        const std::string part = value.substr(start, 255);
        data.push_back(static_cast<std::uint8_t>(part.size()));
        data.insert(data.end(), part.begin(), part.end());
      }
      add_record(reply, owner, 16, data);
    }
    return reply;
  }

  int udp_ = -1, tcp_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> texts_;
  std::map<std::string, std::string> aliases_;
  std::map<std::string, std::vector<std::pair<std::uint16_t, Message>>> others_;
  std::map<std::pair<std::string, std::uint16_t>, std::uint8_t> broken_;
  std::filesystem::path zone_;
  std::set<std::string> asked_;
  std::size_t most_values_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace culmen::test
