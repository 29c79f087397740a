#include "listen/responder.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/errc.hpp>

#include "culmen/error.hpp"

namespace asio = boost::asio;
namespace errc = boost::system::errc;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace culmen::listen {

namespace {

constexpr std::chrono::milliseconds pause_after_accept_error{100};
constexpr std::size_t max_connections = 256;

Error bind_error(const error_code& why, const tcp::endpoint& where, const ResponderErrorText& error_text) {
  const std::string port = std::to_string(where.port());
  std::string text = why.message();
  if (why == errc::permission_denied) {
    text +=
        ": ports below 1024 need a permission. Run as root, or give the program CAP_NET_BIND_SERVICE (setcap "
        "'cap_net_bind_service=+ep' PROGRAM, or AmbientCapabilities in its systemd unit), or listen on another "
        "port and redirect port " +
        error_text.public_port + " to it, or " + error_text.alternative;
  } else if (why == errc::address_in_use) {
    text += ": another program has port " + port + " (`ss -ltnp 'sport = :" + port + "'` shows which). Stop it, or " +
            error_text.alternative;
  } else if (why == errc::address_not_available) {
    text += ": this machine does not have the address " + where.address().to_string();
  }
  const std::string shown =
      where.address().is_v6() ? "[" + where.address().to_string() + "]" : where.address().to_string();
  return Error(Errc::io_failed, "listening for " + error_text.challenge + " on " + shown + " port " + port, text)
      .with_system_code(why);
}

/// A socket that no program which the process starts inherits. Asio does not make such ones.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  explicit operator bool() const noexcept { return number_ >= 0; }
  int get() const noexcept { return number_; }
  /// Somebody else owns it now.
  void release() noexcept { number_ = -1; }

 private:
  int number_;
};

tcp::acceptor listen_on(const asio::any_io_executor& executor, const tcp::endpoint& where, error_code& failed) {
  tcp::acceptor acceptor(executor);
  Descriptor made(::socket(where.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (made) {
    acceptor.assign(where.protocol(), made.get(), failed);
    if (!failed) made.release();
  } else {
    failed.assign(errno, boost::system::system_category());
  }
  if (!failed) acceptor.set_option(asio::socket_base::reuse_address(true), failed);
  if (!failed && where.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), failed);
  if (!failed) acceptor.bind(where, failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  return acceptor;
}

bool is_missing_ipv6(const error_code& why) {
  return why == errc::address_family_not_supported || why == errc::address_not_available ||
         why == errc::protocol_not_supported || why == errc::operation_not_supported;
}

/// Both families on one port; IPv4 alone where the machine has no IPv6.
std::vector<tcp::acceptor> listen_on_all(const asio::any_io_executor& executor, std::uint16_t wanted_port,
                                         const ResponderErrorText& error_text) {
  constexpr int tries_for_a_common_port = 20;
  for (int left = wanted_port == 0 ? tries_for_a_common_port : 1;; --left) {
    std::vector<tcp::acceptor> acceptors;
    error_code failed;
    const tcp::endpoint v6(tcp::v6(), wanted_port);
    tcp::acceptor first = listen_on(executor, v6, failed);
    if (failed && !is_missing_ipv6(failed)) throw bind_error(failed, v6, error_text);
    std::uint16_t port = wanted_port;
    if (!failed) {
      port = first.local_endpoint().port();
      acceptors.push_back(std::move(first));
    }
    const tcp::endpoint v4(tcp::v4(), port);
    tcp::acceptor second = listen_on(executor, v4, failed = {});
    if (failed == errc::address_in_use && left > 1) continue;  // free for IPv6 is not free for IPv4
    if (failed) throw bind_error(failed, v4, error_text);
    acceptors.push_back(std::move(second));
    return acceptors;
  }
}

/// An exception drops the handler that it left; the other handlers go on.
void run_to_the_end(asio::io_context& context) noexcept {
  for (;;) {
    try {
      context.run();
      return;
    } catch (...) {
    }
  }
}

std::vector<tcp::acceptor> listen_where_wanted(const asio::any_io_executor& executor, std::uint16_t port,
                                               const std::string& address, const ResponderErrorText& error_text) {
  if (address.empty()) return listen_on_all(executor, port, error_text);
  error_code failed;
  const asio::ip::address parsed = asio::ip::make_address(address, failed);
  if (failed) {
    throw Error(Errc::invalid_argument, "listening for " + error_text.challenge,
                "\"" + printable(address) + "\" is not an IP address of this machine");
  }
  const tcp::endpoint where(parsed, port);
  std::vector<tcp::acceptor> acceptors;
  acceptors.push_back(listen_on(executor, where, failed));
  if (failed) throw bind_error(failed, where, error_text);
  return acceptors;
}

}  // namespace

asio::ip::address source_of(const asio::ip::address& peer) {
  if (!peer.is_v6()) return peer;
  asio::ip::address_v6::bytes_type octets = peer.to_v6().to_bytes();
  std::fill(octets.begin() + 8, octets.end(), std::uint8_t(0));
  return asio::ip::address_v6(octets);
}

/// Kept alive by its pending waits. The mutex guards the acceptors, so that stop() can close them from any thread.
class Listening final : public std::enable_shared_from_this<Listening> {
 public:
  Listening(const asio::any_io_executor& executor, std::vector<tcp::acceptor> acceptors, Responder::MakeConnection make)
      : strand_(executor), make_(std::move(make)) {
    for (tcp::acceptor& acceptor : acceptors) listeners_.emplace_back(std::move(acceptor), executor);
    port_ = listeners_.front().acceptor.local_endpoint().port();
    connections_.reserve(max_connections + 1);
  }

  /// 0 once it has stopped.
  std::uint16_t port() const noexcept { return port_; }

  void run() {
    for (Listener& listener : listeners_) await_connection(listener);
  }

  void stop() noexcept {
    std::vector<Admitted> connections;
    {
      const std::lock_guard lock(mutex_);
      port_ = 0;
      for (Listener& listener : listeners_) {
        error_code ignored;
        listener.acceptor.close(ignored);
        listener.pause.cancel();
      }
      connections.swap(connections_);
    }
    for (const Admitted& admitted : connections) close(admitted.connection.lock());
  }

  void forget(const Connection& connection) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase_if(connections_, [&](const Admitted& admitted) { return admitted.key == &connection; });
  }

 private:
  struct Listener {
    Listener(tcp::acceptor acceptor_, const asio::any_io_executor& executor)
        : acceptor(std::move(acceptor_)), pause(executor) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };
  struct Admitted {
    const Connection* key;
    std::weak_ptr<Connection> connection;
    asio::ip::address source;
  };

  static void close(const std::shared_ptr<Connection>& connection) noexcept {
    try {
      if (connection) connection->close();
    } catch (...) {
      // Its deadline ends it.
    }
  }

  /// Not by async_accept(): programs that the process starts would inherit what that accepts.
  void await_connection(Listener& listener) {
    const std::lock_guard lock(mutex_);
    if (port_ == 0) return;
    listener.acceptor.async_wait(tcp::acceptor::wait_read,
                                 [self = shared_from_this(), &listener](error_code) { self->take_next(listener); });
  }

  void take_next(Listener& listener) noexcept {
    try {
      if (serve_next(listener)) return await_connection(listener);
      // Out of descriptors, most likely: that passes.
      const std::lock_guard lock(mutex_);
      if (port_ == 0) return;
      listener.pause.expires_after(pause_after_accept_error);
      listener.pause.async_wait([self = shared_from_this(), &listener](error_code) { self->take_next(listener); });
    } catch (...) {
      stop();  // it would not hear of the next connection
    }
  }

  /// False when connections cannot be taken now.
  bool serve_next(Listener& listener) {
    tcp::endpoint peer;
    socklen_t size = static_cast<socklen_t>(peer.capacity());
    std::unique_lock lock(mutex_);
    if (port_ == 0) return true;
    Descriptor accepted(::accept4(listener.acceptor.native_handle(), peer.data(), &size, SOCK_CLOEXEC));
    if (!accepted) return is_of_one_connection(errno);
    lock.unlock();
    try {
      peer.resize(size);
      Socket socket(strand_);
      socket.assign(peer.protocol(), accepted.get());
      accepted.release();
      const std::shared_ptr<Connection> connection = make_(std::move(socket));
      if (connection && admit(connection, source_of(peer.address()))) connection->run();
    } catch (...) {
      // No memory for it. The next one may find some.
    }
    return true;
  }

  /// Whether the error of accept() says nothing about the next connection.
  static bool is_of_one_connection(int error) noexcept {
    return error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM;
  }

  /// A new connection is always admitted. When there are too many, evict from the source that has the most, and there
  /// the oldest: so a flood evicts itself, and not the CA's connection, whose request takes a round trip to arrive.
  bool admit(const std::shared_ptr<Connection>& connection, const asio::ip::address& source) {
    std::shared_ptr<Connection> evicted;  // released after the lock: its destructor takes the lock as well
    const std::lock_guard lock(mutex_);
    if (port_ == 0) return false;
    connection->listening_ = weak_from_this();
    connections_.push_back({connection.get(), connection, source});
    if (connections_.size() <= max_connections) return true;
    const auto victim = oldest_of_the_largest_source();
    evicted = victim->connection.lock();
    connections_.erase(victim);
    close(evicted);
    return true;
  }

  std::vector<Admitted>::iterator oldest_of_the_largest_source() {
    std::map<asio::ip::address, std::size_t> counts;
    std::size_t largest = 0;
    for (const Admitted& admitted : connections_) largest = std::max(largest, ++counts[admitted.source]);
    return std::ranges::find_if(connections_,
                                [&](const Admitted& admitted) { return counts[admitted.source] == largest; });
  }

  const ConnectionExecutor strand_;  // of all connections: their work is short, and a strand each could fail to be made
  const Responder::MakeConnection make_;
  std::list<Listener> listeners_;
  std::mutex mutex_;
  std::atomic<std::uint16_t> port_ = 0;
  std::vector<Admitted> connections_;  // oldest first
};

Connection::~Connection() {
  if (const std::shared_ptr<Listening> listening = listening_.lock()) listening->forget(*this);
}

void Responder::start(const asio::any_io_executor& executor, std::uint16_t port, const std::string& address) {
  const std::lock_guard lock(mutex_);
  begin(executor, port, address);
}

void Responder::start_thread(std::uint16_t port, const std::string& address) {
  const std::lock_guard lock(mutex_);
  try {
    auto context = std::make_unique<asio::io_context>(1);
    begin(context->get_executor(), port, address);
    end_thread();  // of a responder that stopped by itself
    own_thread_ = std::thread([&running = *context] { run_to_the_end(running); });
    own_context_ = std::move(context);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& why) {  // no thread, no descriptors
    throw Error(Errc::io_failed, "listening for " + error_text_.challenge, why.what());
  }
}

void Responder::begin(const asio::any_io_executor& executor, std::uint16_t port, const std::string& address) {
  const std::shared_ptr<Listening> running = listening_.lock();
  if (running && running->port() != 0) {
    throw Error(Errc::invalid_argument, "listening for " + error_text_.challenge,
                "it has been started already; stop() comes first");
  }
  const auto listening =
      std::make_shared<Listening>(executor, listen_where_wanted(executor, port, address, error_text_), make_);
  listening->run();
  listening_ = listening;
}

std::uint16_t Responder::port() const noexcept {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Listening> listening = listening_.lock();
  return listening ? listening->port() : 0;
}

void Responder::stop() noexcept {
  const std::lock_guard lock(mutex_);
  if (const std::shared_ptr<Listening> listening = listening_.lock()) listening->stop();
  listening_.reset();
  end_thread();
}

void Responder::end_thread() noexcept {
  if (own_thread_.joinable()) {
    own_context_->stop();
    own_thread_.join();
  }
  own_context_.reset();
}

}  // namespace culmen::listen
