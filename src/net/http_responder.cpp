#include "net/http_responder.hpp"

#include <chrono>
#include <list>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/system/errc.hpp>

#include "culmen/error.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace errc = boost::system::errc;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace culmen::net {

namespace {

constexpr std::chrono::seconds connection_lifetime{10};
constexpr std::chrono::milliseconds pause_after_accept_error{100};
constexpr std::size_t max_connections = 256;
constexpr std::uint32_t max_header_bytes = 8 << 10;
constexpr std::string_view challenge_path = "/.well-known/acme-challenge/";

Error bind_error(const error_code& why, const tcp::endpoint& where) {
  const std::string port = std::to_string(where.port());
  std::string text = why.message();
  if (why == errc::permission_denied) {
    text +=
        ": ports below 1024 need a permission. Run as root, or give the program CAP_NET_BIND_SERVICE (setcap "
        "'cap_net_bind_service=+ep' PROGRAM, or AmbientCapabilities in its systemd unit), or listen on another "
        "port and redirect port 80 to it";
  } else if (why == errc::address_in_use) {
    text += ": another program has port " + port + " (`ss -ltnp 'sport = :" + port +
            "'` shows which). Stop it, or let it answer: put the files into its web root (--webroot), or listen on "
            "another port and have it pass " +
            std::string(challenge_path) + " on";
  } else if (why == errc::address_not_available) {
    text += ": this machine does not have the address " + where.address().to_string();
  }
  const std::string shown =
      where.address().is_v6() ? "[" + where.address().to_string() + "]" : where.address().to_string();
  return Error(Errc::io_failed, "listening for http-01 on " + shown + " port " + port, text).with_system_code(why);
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
std::vector<tcp::acceptor> listen_on_all(const asio::any_io_executor& executor, std::uint16_t wanted_port) {
  constexpr int tries_for_a_common_port = 20;
  for (int left = wanted_port == 0 ? tries_for_a_common_port : 1;; --left) {
    std::vector<tcp::acceptor> acceptors;
    error_code failed;
    const tcp::endpoint v6(tcp::v6(), wanted_port);
    tcp::acceptor first = listen_on(executor, v6, failed);
    if (failed && !is_missing_ipv6(failed)) throw bind_error(failed, v6);
    std::uint16_t port = wanted_port;
    if (!failed) {
      port = first.local_endpoint().port();
      acceptors.push_back(std::move(first));
    }
    const tcp::endpoint v4(tcp::v4(), port);
    tcp::acceptor second = listen_on(executor, v4, failed = {});
    if (failed == errc::address_in_use && left > 1) continue;  // free for IPv6 is not free for IPv4
    if (failed) throw bind_error(failed, v4);
    acceptors.push_back(std::move(second));
    return acceptors;
  }
}

std::vector<tcp::acceptor> listen_where_wanted(const asio::any_io_executor& executor, std::uint16_t port,
                                               const std::string& address) {
  if (address.empty()) return listen_on_all(executor, port);
  error_code failed;
  const asio::ip::address parsed = asio::ip::make_address(address, failed);
  if (failed) {
    throw Error(Errc::invalid_argument, "listening for http-01",
                "\"" + printable(address) + "\" is not an IP address of this machine");
  }
  const tcp::endpoint where(parsed, port);
  std::vector<tcp::acceptor> acceptors;
  acceptors.push_back(listen_on(executor, where, failed));
  if (failed) throw bind_error(failed, where);
  return acceptors;
}

/// The path of a request target, in origin or absolute form, without the query.
std::string_view path_of(std::string_view target) {
  if (target.starts_with("http://")) {
    const std::size_t slash = target.find('/', 7);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target.substr(0, target.find('?'));
}

http::response<http::string_body> answer_to(const http::request<http::empty_body>& request,
                                            const Http01Answers& answers) {
  http::response<http::string_body> response(http::status::not_found, request.version());
  response.set(http::field::content_type, "text/plain");
  const bool readable = request.method() == http::verb::get || request.method() == http::verb::head;
  if (!readable) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else {
    const auto target = request.target();
    const std::string_view path = path_of(std::string_view(target.data(), target.size()));
    if (path.starts_with(challenge_path)) {
      if (std::optional<std::string> answer = answers.find(path.substr(challenge_path.size()))) {
        response.result(http::status::ok);
        // RFC 8555 §8.3: "the HTTP server … should set the Content-Type header to application/octet-stream".
        response.set(http::field::content_type, "application/octet-stream");
        response.body() = std::move(*answer);
      }
    }
  }
  response.keep_alive(request.keep_alive());
  response.content_length(response.body().size());
  return response;
}

}  // namespace

// ---- One connection
// --------------------------------------------------------------------------------------------------

/// Answers requests one after the other, for ten seconds at most in all. Runs on a strand of its own.
class HttpResponder::Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Http01Answers> answers, std::weak_ptr<Listening> listening)
      : stream_(std::move(socket)), answers_(std::move(answers)), listening_(std::move(listening)) {}
  ~Session();

  void run() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->stream_.expires_after(connection_lifetime);
      self->read();
    });
  }
  void close() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->stream_.close(); });
  }

  // Of Listening, under its mutex.
  std::optional<std::list<std::weak_ptr<Session>>::iterator> place;

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(max_header_bytes);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code failed, std::size_t) { self->answer(failed); });
  }
  void answer(const error_code& failed) {
    if (failed == http::error::end_of_stream || failed == beast::error::timeout ||
        failed == asio::error::operation_aborted) {
      return;
    }
    if (failed) {
      // A request that breaks HTTP, or one that carries a body.
      if (failed.category() != http::make_error_code(http::error::bad_method).category()) return;
      response_ = http::response<http::string_body>(http::status::bad_request, 11);
      response_.keep_alive(false);
      response_.content_length(0);
    } else {
      response_ = answer_to(parser_->get(), *answers_);
    }
    serializer_.emplace(response_);
    const auto done = [self = shared_from_this()](error_code broken, std::size_t) { self->written(broken); };
    if (!failed && parser_->get().method() == http::verb::head) {
      http::async_write_header(stream_, *serializer_, done);
    } else {
      http::async_write(stream_, *serializer_, done);
    }
  }
  void written(const error_code& broken) {
    if (broken) return;
    if (response_.keep_alive()) {
      read();
    } else {
      error_code ignored;
      stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Http01Answers> answers_;
  std::weak_ptr<Listening> listening_;
  beast::flat_buffer buffer_{2 * max_header_bytes};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

// ---- The sockets that listen
// -----------------------------------------------------------------------------------------

/// Kept alive by its pending accepts. The mutex guards the acceptors, so that stop() can close them from any thread.
class HttpResponder::Listening final : public std::enable_shared_from_this<Listening> {
 public:
  Listening(asio::any_io_executor executor, std::vector<tcp::acceptor> acceptors,
            std::shared_ptr<Http01Answers> answers)
      : executor_(std::move(executor)), answers_(std::move(answers)) {
    for (tcp::acceptor& acceptor : acceptors) listeners_.emplace_back(std::move(acceptor), executor_);
    port_ = listeners_.front().acceptor.local_endpoint().port();
  }

  std::uint16_t port() const noexcept { return port_; }

  void run() {
    for (Listener& listener : listeners_) accept(listener);
  }

  void stop() {
    std::list<std::weak_ptr<Session>> sessions;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      for (Listener& listener : listeners_) {
        error_code ignored;
        listener.acceptor.close(ignored);
        listener.pause.cancel();
      }
      sessions = sessions_;  // the places stay: each session removes its own
    }
    for (const std::weak_ptr<Session>& entry : sessions) {
      if (const std::shared_ptr<Session> session = entry.lock()) session->close();
    }
  }

  void forget(const Session& session) {
    const std::lock_guard lock(mutex_);
    if (session.place) sessions_.erase(*session.place);
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
    const auto session = std::make_shared<Session>(std::move(socket), answers_, weak_from_this());
    if (admit(session)) session->run();
    accept(listener);
  }

  /// The newest always comes in: when there are too many, the oldest has had its chance.
  bool admit(const std::shared_ptr<Session>& session) {
    std::shared_ptr<Session> oldest;  // let go of after the lock: its end takes the lock as well
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    if (sessions_.size() >= max_connections) oldest = sessions_.front().lock();
    if (oldest) {
      sessions_.pop_front();
      oldest->place.reset();
      oldest->close();
    }
    session->place = sessions_.insert(sessions_.end(), session);
    return true;
  }

  const asio::any_io_executor executor_;
  const std::shared_ptr<Http01Answers> answers_;
  std::list<Listener> listeners_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  bool stopped_ = false;
  std::list<std::weak_ptr<Session>> sessions_;
};

HttpResponder::Session::~Session() {
  if (const std::shared_ptr<Listening> listening = listening_.lock()) listening->forget(*this);
}

// ---- Answers, and the responder
// --------------------------------------------------------------------------------------

void Http01Answers::add(std::string_view token, std::string_view key_authorization) {
  const std::lock_guard lock(mutex_);
  answers_.insert_or_assign(std::string(token), std::string(key_authorization));
}

void Http01Answers::remove(std::string_view token) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(token);
  if (found != answers_.end()) answers_.erase(found);
}

std::optional<std::string> Http01Answers::find(std::string_view token) const {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(token);
  if (found == answers_.end()) return {};
  return found->second;
}

HttpResponder::HttpResponder() : answers_(std::make_shared<Http01Answers>()) {}
HttpResponder::~HttpResponder() { stop(); }

void HttpResponder::start(const asio::any_io_executor& executor, std::uint16_t port, const std::string& address) {
  const std::lock_guard lock(mutex_);
  begin(executor, port, address);
}

void HttpResponder::start_thread(std::uint16_t port, const std::string& address) {
  const std::lock_guard lock(mutex_);
  auto context = std::make_unique<asio::io_context>(1);
  begin(context->get_executor(), port, address);
  own_thread_ = std::thread([&running = *context] { running.run(); });
  own_context_ = std::move(context);
}

void HttpResponder::begin(const asio::any_io_executor& executor, std::uint16_t port, const std::string& address) {
  if (!listening_.expired()) {
    throw Error(Errc::invalid_argument, "listening for http-01", "it has been started already; stop() comes first");
  }
  const auto listening = std::make_shared<Listening>(executor, listen_where_wanted(executor, port, address), answers_);
  listening->run();
  listening_ = listening;
}

std::uint16_t HttpResponder::port() const noexcept {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Listening> listening = listening_.lock();
  return listening ? listening->port() : 0;
}

void HttpResponder::stop() noexcept {
  const std::lock_guard lock(mutex_);
  if (const std::shared_ptr<Listening> listening = listening_.lock()) listening->stop();
  listening_.reset();
  if (own_thread_.joinable()) {
    own_context_->stop();
    own_thread_.join();
  }
  own_context_.reset();
}

}  // namespace culmen::net
