#include "drivers/socket_exchange.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "culmen/error.hpp"

namespace culmen::drivers {

namespace {

constexpr std::size_t length_octets = 2;
constexpr std::size_t longest_message = 65535;

class SocketAddress {
 public:
  /// False if the text is not an address.
  bool parse(const std::string& text, std::uint16_t port) noexcept {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage_);
    if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      size_ = sizeof(sockaddr_in);
      return true;
    }
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage_);
    if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) != 1) return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    size_ = sizeof(sockaddr_in6);
    return true;
  }
  int family() const noexcept { return storage_.ss_family; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

bool would_block(int number) { return number == EAGAIN || number == EWOULDBLOCK; }

}  // namespace

SocketExchange::~SocketExchange() {
  if (socket_ >= 0) ::close(socket_);
}

std::optional<Result<Bytes>> SocketExchange::begin() {
  const bool over_tcp = request_.transport == ExchangeRequest::Transport::tcp;
  SocketAddress address;
  if (!address.parse(request_.address, request_.port)) {
    return Error(Errc::invalid_argument, doing(), "\"" + printable(request_.address, 100) + "\" is not an IP address");
  }
  if (over_tcp && request_.message.size() > longest_message) {
    return Error(Errc::invalid_argument, doing(), "the message is longer than 65535 octets");
  }
  socket_ = ::socket(address.family(), (over_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return failed("opening a socket", errno);
  if (over_tcp) {
    const std::size_t size = request_.message.size();
    to_send_ = {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size & 0xff)};
    to_send_.insert(to_send_.end(), request_.message.begin(), request_.message.end());
  }
  // A connected datagram socket only takes what comes from that server, and hears that nobody listens there.
  if (::connect(socket_, address.get(), address.size()) == 0) {
    connected_ = true;
    return over_tcp ? send_rest() : send_datagram();
  }
  if (errno != EINPROGRESS) return failed("connecting", errno);
  wanted_ = writable;
  return {};
}

std::optional<Result<Bytes>> SocketExchange::advance() {
  if (request_.transport == ExchangeRequest::Transport::udp) return receive_datagram();
  if (!connected_) return connected();
  return sent_ < to_send_.size() ? send_rest() : receive_rest();
}

Error SocketExchange::late() const {
  return Error(Errc::timeout, doing(), "no answer within " + std::to_string(request_.time_limit.count()) + " ms");
}

// ---- UDP ----

std::optional<Result<Bytes>> SocketExchange::send_datagram() {
  const ssize_t sent = ::send(socket_, request_.message.data(), request_.message.size(), MSG_NOSIGNAL);
  if (sent < 0) return failed("sending", errno);
  wanted_ = readable;
  return {};
}

std::optional<Result<Bytes>> SocketExchange::receive_datagram() {
  Bytes datagram(longest_message);
  constexpr int most_at_once = 64;  // a flood of forged ones must not hold up the event loop
  for (int i = 0; i < most_at_once; ++i) {
    const ssize_t size = ::recv(socket_, datagram.data(), datagram.size(), 0);
    if (size < 0) {
      if (would_block(errno)) return {};
      if (errno == EINTR) continue;
      return failed("receiving", errno);
    }
    Bytes answer(datagram.begin(), datagram.begin() + size);
    Result<bool> accepted = is_accepted(answer);
    if (!accepted) return accepted.error();
    if (!*accepted) continue;
    if (answer.size() > request_.max_response_bytes) return too_long(answer.size());
    return answer;
  }
  return {};
}

// ---- TCP ----

std::optional<Result<Bytes>> SocketExchange::connected() {
  int number = 0;
  socklen_t size = sizeof number;
  if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &number, &size) != 0) number = errno;
  if (number != 0) return failed("connecting", number);
  connected_ = true;
  return send_rest();
}

std::optional<Result<Bytes>> SocketExchange::send_rest() {
  while (sent_ < to_send_.size()) {
    const ssize_t sent = ::send(socket_, to_send_.data() + sent_, to_send_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      wanted_ = writable;
      if (would_block(errno)) return {};
      return failed("sending", errno);
    }
    sent_ += static_cast<std::size_t>(sent);
  }
  wanted_ = readable;
  return {};
}

std::optional<Result<Bytes>> SocketExchange::receive_rest() {
  std::array<std::uint8_t, 4096> piece;
  for (;;) {
    std::size_t missing = length_octets - std::min(length_octets, received_.size());
    if (missing == 0) {
      const std::size_t length = std::size_t(received_[0]) << 8 | received_[1];
      if (length > request_.max_response_bytes) return too_long(length);
      missing = length_octets + length - received_.size();
      if (missing == 0) {
        Bytes answer(received_.begin() + length_octets, received_.end());
        Result<bool> accepted = is_accepted(answer);
        if (!accepted) return accepted.error();
        if (*accepted) return answer;
        return Error(Errc::bad_response, doing(), "the server's message is not the answer to the one sent");
      }
    }
    const ssize_t size = ::recv(socket_, piece.data(), std::min(missing, piece.size()), 0);
    if (size < 0) {
      if (would_block(errno)) return {};
      if (errno == EINTR) continue;
      return failed("receiving", errno);
    }
    if (size == 0) {
      return Error(Errc::connection_failed, doing(), "the server closed the connection before its answer was complete");
    }
    received_.insert(received_.end(), piece.begin(), piece.begin() + size);
  }
}

// ---- Both ----

Result<bool> SocketExchange::is_accepted(const Bytes& answer) const {
  if (!request_.accepts) return true;
  return guarded_call([&]() -> Result<bool> { return request_.accepts(ByteView(answer)); }, doing());
}

std::string SocketExchange::doing() const {
  const bool over_tcp = request_.transport == ExchangeRequest::Transport::tcp;
  return "exchanging a message with " + printable(request_.address, 100) + " port " + std::to_string(request_.port) +
         " by " + (over_tcp ? "TCP" : "UDP");
}

Error SocketExchange::failed(const char* what, int number) const {
  const std::error_code why(number, std::generic_category());
  return Error(Errc::connection_failed, doing(), std::string(what) + ": " + why.message()).with_system_code(why);
}

Error SocketExchange::too_long(std::size_t size) const {
  return Error(Errc::response_too_large, doing(),
               "the answer has " + std::to_string(size) + " octets, more than the limit of " +
                   std::to_string(std::min(request_.max_response_bytes, longest_message)));
}

}  // namespace culmen::drivers
