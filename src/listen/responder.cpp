#include "listen/responder.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
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
        error_text.public_port + " to it";
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

tcp::acceptor listen_on(const asio::any_io_executor& executor, const tcp::endpoint& where, error_code& failed) {
  tcp::acceptor acceptor(executor);
  acceptor.open(where.protocol(), failed);
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

/// Kept alive by its pending accepts. The mutex guards the acceptors, so that stop() can close them from any thread.
class Listening final : public std::enable_shared_from_this<Listening> {
 public:
  Listening(asio::any_io_executor executor, std::vector<tcp::acceptor> acceptors, Responder::MakeConnection make)
      : executor_(std::move(executor)), make_(std::move(make)) {
    for (tcp::acceptor& acceptor : acceptors) listeners_.emplace_back(std::move(acceptor), executor_);
    port_ = listeners_.front().acceptor.local_endpoint().port();
  }

  std::uint16_t port() const noexcept { return port_; }

  void run() {
    for (Listener& listener : listeners_) accept(listener);
  }

  void stop() {
    std::list<std::weak_ptr<Connection>> connections;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      for (Listener& listener : listeners_) {
        error_code ignored;
        listener.acceptor.close(ignored);
        listener.pause.cancel();
      }
      connections = connections_;  // the places stay: each connection removes its own
    }
    for (const std::weak_ptr<Connection>& entry : connections) {
      if (const std::shared_ptr<Connection> connection = entry.lock()) connection->close();
    }
  }

  void forget(const Connection& connection) {
    const std::lock_guard lock(mutex_);
    if (connection.place_) connections_.erase(*connection.place_);
  }

 private:
  struct Listener {
    Listener(tcp::acceptor acceptor_, const asio::any_io_executor& executor)
        : acceptor(std::move(acceptor_)), pause(executor) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  void accept(Listener& listener) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    listener.acceptor.async_accept(asio::any_io_executor(asio::make_strand(executor_)),
                                   [self = shared_from_this(), &listener](error_code failed, tcp::socket socket) {
                                     self->accepted(listener, failed, std::move(socket));
                                   });
  }

  void accepted(Listener& listener, const error_code& failed, tcp::socket socket) {
    if (failed) {
      // Out of descriptors, most likely: that passes.
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      listener.pause.expires_after(pause_after_accept_error);
      listener.pause.async_wait([self = shared_from_this(), &listener](error_code) { self->accept(listener); });
      return;
    }
    const std::shared_ptr<Connection> connection = make_(std::move(socket));
    if (connection && admit(connection)) connection->run();
    accept(listener);
  }

  /// A new connection is always admitted: when there are too many, evict the oldest.
  bool admit(const std::shared_ptr<Connection>& connection) {
    std::shared_ptr<Connection> oldest;  // released after the lock: its destructor takes the lock as well
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    if (connections_.size() >= max_connections) oldest = connections_.front().lock();
    if (oldest) {
      connections_.pop_front();
      oldest->place_.reset();
      oldest->close();
    }
    connection->listening_ = weak_from_this();
    connection->place_ = connections_.insert(connections_.end(), connection);
    return true;
  }

  const asio::any_io_executor executor_;
  const Responder::MakeConnection make_;
  std::list<Listener> listeners_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  bool stopped_ = false;
  std::list<std::weak_ptr<Connection>> connections_;
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
  auto context = std::make_unique<asio::io_context>(1);
  begin(context->get_executor(), port, address);
  own_thread_ = std::thread([&running = *context] { running.run(); });
  own_context_ = std::move(context);
}

void Responder::begin(const asio::any_io_executor& executor, std::uint16_t port, const std::string& address) {
  if (!listening_.expired()) {
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
  if (own_thread_.joinable()) {
    own_context_->stop();
    own_thread_.join();
  }
  own_context_.reset();
}

}  // namespace culmen::listen
