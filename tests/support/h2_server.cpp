#include "support/h2_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

namespace culmen::test {

namespace {
using H2Clock = std::chrono::steady_clock;

int choose_h2(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
              unsigned offered_size, void*) {
  return nghttp2_select_next_protocol(const_cast<unsigned char**>(chosen), size, offered, offered_size) == 1
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_ALERT_FATAL;
}

nghttp2_nv header_of(std::string_view name, std::string_view value) {
  nghttp2_nv header{};
  header.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  header.namelen = name.size();
  header.value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  header.valuelen = value.size();
  return header;
}
}  // namespace

/// One connection, on the thread that calls serve().
class H2Server::Connection {
 public:
  Connection(H2Server& server, int descriptor, int number)
      : server_(server), descriptor_(descriptor), number_(number), ssl_(SSL_new(server.context_.get())) {
    SSL_set_fd(ssl_.get(), descriptor);
    nghttp2_session_callbacks* callbacks = nullptr;
    require(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &Connection::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Connection::on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Connection::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Connection::on_close);
    nghttp2_session* session = nullptr;
    require(nghttp2_session_server_new(&session, callbacks, this) == 0);
    session_.reset(session);
    nghttp2_session_callbacks_del(callbacks);
  }

  void serve() {
    if (SSL_accept(ssl_.get()) != 1) return;
    const nghttp2_settings_entry limit{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server_.options_.max_streams};
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, &limit, server_.options_.max_streams > 0 ? 1 : 0);
    while (flush() && (nghttp2_session_want_read(session_.get()) || nghttp2_session_want_write(session_.get()))) {
      if (wait() && !receive()) return;
      send_what_is_due();
    }
    if (!cut_off_) linger();
  }

 private:
  struct Stream {
    H2Request request;
    H2Answer answer;
    std::size_t sent = 0;
    std::optional<H2Clock::time_point> due;  // of an answer that is not begun
  };

  /// Sends what the session has to send. False when the connection is over.
  bool flush() {
    const std::uint8_t* data = nullptr;
    for (;;) {
      const ssize_t size = nghttp2_session_mem_send(session_.get(), &data);
      if (size < 0) return false;
      if (size == 0) break;
      if (SSL_write(ssl_.get(), data, static_cast<int>(size)) <= 0) return false;
    }
    return !cut_off_;
  }

  /// Until there is something to read, or an answer is due. Whether there is something to read.
  bool wait() {
    if (SSL_pending(ssl_.get()) > 0) return true;
    std::optional<H2Clock::time_point> next;
    for (const auto& [id, stream] : streams_) {
      if (stream.due && (!next || *stream.due < *next)) next = stream.due;
    }
    using std::chrono::milliseconds;
    const auto left = [&next] { return std::chrono::ceil<milliseconds>(*next - H2Clock::now()).count(); };
    const int timeout = next ? static_cast<int>(std::max<long long>(0, left())) : -1;
    pollfd readable{descriptor_, POLLIN, 0};
    return ::poll(&readable, 1, timeout) != 0;
  }

  bool receive() {
    std::array<std::uint8_t, 16384> piece{};
    const int got = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
    return got > 0 && nghttp2_session_mem_recv(session_.get(), piece.data(), static_cast<std::size_t>(got)) >= 0;
  }

  /// Ends the connection so that the client gets all that was sent: to close while it still sends would be a reset.
  void linger() {
    SSL_shutdown(ssl_.get());
    ::shutdown(descriptor_, SHUT_WR);
    std::array<std::uint8_t, 4096> ignored{};
    pollfd readable{descriptor_, POLLIN, 0};
    while (::poll(&readable, 1, 500) == 1 && ::recv(descriptor_, ignored.data(), ignored.size(), 0) > 0) {
    }
  }

  void send_what_is_due() {
    std::vector<std::int32_t> due;
    for (const auto& [id, stream] : streams_) {
      if (stream.due && *stream.due <= H2Clock::now()) due.push_back(id);
    }
    for (const std::int32_t id : due) begin_answer(id);
  }

  void handle(std::int32_t id) {
    if (last_ && id > *last_) return;  // nghttp2 looks at the GOAWAY it sends only once it is sent
    Stream& stream = streams_[id];
    stream.request.connection = number_;
    stream.request.number = ++server_.requests_;
    stream.answer = server_.handler_(stream.request);
    stream.due = H2Clock::now() + stream.answer.delay;
    if (stream.answer.how == H2Answer::How::go_away) last_ = std::max(0, id - 2);
    if (stream.answer.delay.count() == 0) begin_answer(id);
  }

  void begin_answer(std::int32_t id) {
    Stream& stream = streams_[id];
    stream.due.reset();
    const H2Answer& answer = stream.answer;
    switch (answer.how) {
      case H2Answer::How::hold: return;
      case H2Answer::How::reset:
        nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(answer.code));
        return;
      case H2Answer::How::go_away:
        nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, *last_, NGHTTP2_NO_ERROR, nullptr, 0);
        return;
      case H2Answer::How::respond:
      case H2Answer::How::cut_off: break;
    }
    const std::string status = std::to_string(answer.status), length = std::to_string(answer.body.size());
    std::vector<nghttp2_nv> headers = {header_of(":status", status), header_of("content-length", length)};
    for (const auto& [name, value] : answer.headers) headers.push_back(header_of(name, value));
    nghttp2_data_provider body{};
    body.source.ptr = this;
    body.read_callback = &Connection::read_body;
    nghttp2_submit_response(session_.get(), id, headers.data(), headers.size(), answer.body.empty() ? nullptr : &body);
  }

  static Connection& self(void* user) { return *static_cast<Connection*>(user); }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    H2Request& request = self(user).streams_[frame->hd.stream_id].request;
    const std::string_view what(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    if (what == ":method") request.method = text;
    if (what == ":path") request.path = text;
    if (what == "content-type") request.content_type = text;
    if (what == "accept") request.accept = text;
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    self(user).streams_[id].request.body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Connection& connection = self(user);
    if (frame->hd.type == NGHTTP2_RST_STREAM) ++connection.server_.withdrawn_;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    const int now = static_cast<int>(connection.streams_.size());
    if (now > connection.server_.most_at_once_) connection.server_.most_at_once_ = now;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) connection.handle(frame->hd.stream_id);
    return 0;
  }

  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    self(user).streams_.erase(id);
    return 0;
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* to, std::size_t room, std::uint32_t* flags,
                           nghttp2_data_source*, void* user) {
    Stream& stream = self(user).streams_[id];
    const std::string& body = stream.answer.body;
    const bool cut = stream.answer.how == H2Answer::How::cut_off;
    const std::size_t end = cut ? body.size() / 2 : body.size();
    if (cut && stream.sent == end) {
      self(user).cut_off_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    const std::size_t size = std::min(room, end - stream.sent);
    std::copy_n(body.data() + stream.sent, size, reinterpret_cast<char*>(to));
    stream.sent += size;
    if (!cut && stream.sent == end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  H2Server& server_;
  const int descriptor_;
  const int number_;
  std::unique_ptr<SSL, FreedBy<&SSL_free>> ssl_;
  std::unique_ptr<nghttp2_session, FreedBy<&nghttp2_session_del>> session_;
  std::map<std::int32_t, Stream> streams_;
  std::optional<std::int32_t> last_;  // after GOAWAY
  bool cut_off_ = false;
};

H2Server::H2Server(const Identity& identity, Handler handler, const H2Options& options)
    : handler_(std::move(handler)), options_(options), context_(SSL_CTX_new(TLS_server_method())) {
  require(SSL_CTX_use_certificate(context_.get(), identity.certificate.get()) == 1);
  require(SSL_CTX_use_PrivateKey(context_.get(), identity.key.get()) == 1);
  SSL_CTX_set_alpn_select_cb(context_.get(), &choose_h2, nullptr);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  require(inet_pton(AF_INET, options.address.c_str(), &address.sin_addr) == 1);
  socklen_t size = sizeof address;
  auto* const general = reinterpret_cast<sockaddr*>(&address);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int reuse = 1;
  if (listener_ < 0 || ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) != 0 ||
      ::bind(listener_, general, size) != 0 || ::listen(listener_, 512) != 0) {
    throw std::system_error(errno, std::generic_category(), "listening at " + options.address);
  }
  ::getsockname(listener_, general, &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

H2Server::~H2Server() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int descriptor : open_) ::shutdown(descriptor, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

void H2Server::accept_all() {
  // OpenSSL writes to sockets by write(). The threads of the connections inherit this.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  while (!stopping_) {
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) continue;
    const int at_once = 1;  // frames are written one by one
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    const int number = ++connections_;
    const std::lock_guard lock(mutex_);
    open_.push_back(descriptor);
    threads_.emplace_back([this, descriptor, number] {
      Connection(*this, descriptor, number).serve();
      const std::lock_guard inner(mutex_);
      open_.remove(descriptor);
      ::close(descriptor);
    });
  }
}

}  // namespace culmen::test
