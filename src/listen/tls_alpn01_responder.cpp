// A TLS server that answers tls-alpn-01 and nothing else (RFC 8737 §3, RFC 8738 §6).
#include <openssl/ssl.h>

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "crypto/alpn_certificate.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "listen/responder.hpp"
#include "solvers/alpn_names.hpp"
#include "solvers/client_hello.hpp"

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace culmen::listen {

namespace {

constexpr std::string_view acme_protocol = "acme-tls/1";

using Context = std::shared_ptr<asio::ssl::context>;

std::optional<std::string_view> extension_of(SSL* ssl, unsigned type) {
  const unsigned char* data = nullptr;
  std::size_t length = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &data, &length) != 1) return {};
  return std::string_view(reinterpret_cast<const char*>(data), length);
}

bool offers_acme_protocol(SSL* ssl) {
  const auto extension = extension_of(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation);
  return extension && solvers::offers_protocol(*extension, acme_protocol);
}

std::optional<std::string> server_name_of(SSL* ssl) {
  const auto extension = extension_of(ssl, TLSEXT_TYPE_server_name);
  return extension ? solvers::host_name_of(*extension) : std::nullopt;
}

int select_acme_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char*, unsigned,
                         void*) noexcept {
  // That it was offered has been seen in the ClientHello.
  *out = reinterpret_cast<const unsigned char*>(acme_protocol.data());
  *out_length = static_cast<unsigned char>(acme_protocol.size());
  return SSL_TLSEXT_ERR_OK;
}

Context make_context() {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_alpn_select_cb(native, select_acme_protocol, nullptr);
  return context;
}

// ---- The names, and what is shown for each ----

class Names final : public solvers::AlpnNames {
 public:
  Names() : front_(make_context()) {
    // In the ClientHello callback: with TLS 1.2 OpenSSL selects the certificate before it processes ALPN.
    SSL_CTX_set_client_hello_cb(front_->native_handle(), on_client_hello, this);
  }

  asio::ssl::context& front() noexcept { return *front_; }

  void add(const std::string& server_name, const Identifier& identifier, std::string_view key_authorization) override {
    const PrivateKey key = PrivateKey::generate("ec:P-256");
    const Bytes certificate =
        crypto::alpn_certificate(identifier, key_authorization, key, std::chrono::system_clock::now());
    Context context = make_context();
    error_code failed;
    context->use_certificate(asio::buffer(certificate), asio::ssl::context::asn1, failed);
    if (!failed) context->use_private_key(asio::buffer(key.to_pem()), asio::ssl::context::pem, failed);
    if (failed) throw Error(Errc::crypto_failed, "preparing a tls-alpn-01 certificate", failed.message());
    const std::lock_guard lock(mutex_);
    contexts_.insert_or_assign(server_name, std::move(context));
  }
  void remove(const std::string& server_name) override {
    const std::lock_guard lock(mutex_);
    contexts_.erase(server_name);
  }
  void clear() override {
    const std::lock_guard lock(mutex_);
    contexts_.clear();
  }

 private:
  static int on_client_hello(SSL* ssl, int* alert, void* names) noexcept {
    try {
      return static_cast<const Names*>(names)->choose(ssl, *alert);
    } catch (...) {  // no memory; it must not cross OpenSSL's frames
      *alert = SSL_AD_INTERNAL_ERROR;
      return SSL_CLIENT_HELLO_ERROR;
    }
  }

  int choose(SSL* ssl, int& alert) const {
    // RFC 8737 §3: a server that does not know the protocol or the name must not go on.
    if (!offers_acme_protocol(ssl)) {
      alert = SSL_AD_NO_APPLICATION_PROTOCOL;
      return SSL_CLIENT_HELLO_ERROR;
    }
    const std::optional<std::string> name = server_name_of(ssl);
    const Context context = name ? find(*name) : nullptr;
    if (!context) {
      alert = SSL_AD_UNRECOGNIZED_NAME;
      return SSL_CLIENT_HELLO_ERROR;
    }
    SSL_set_SSL_CTX(ssl, context->native_handle());  // counts its own reference
    return SSL_CLIENT_HELLO_SUCCESS;
  }

  Context find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = contexts_.find(name);
    return found == contexts_.end() ? nullptr : found->second;
  }

  const Context front_;
  mutable std::mutex mutex_;
  std::map<std::string, Context> contexts_;
};

// ---- One connection ----

/// Performs the handshake, then closes. Ten seconds at most.
class TlsConnection final : public Connection {
 public:
  TlsConnection(Socket socket, std::shared_ptr<Names> names)
      : names_(std::move(names)), stream_(std::move(socket), names_->front()), deadline_(stream_.get_executor()) {}

  void run() override {
    asio::post(stream_.get_executor(), handler([this] { shake_hands(); }));
  }
  void close() override {
    asio::post(stream_.get_executor(), handler([this] { drop(); }));
  }

 private:
  void shake_hands() {
    deadline_.expires_after(connection_lifetime);
    deadline_.async_wait(handler([this](error_code cancelled) {
      if (!cancelled) drop();
    }));
    stream_.async_handshake(asio::ssl::stream_base::server, handler([this](error_code failed) {
                              if (failed) return drop();
                              // Also waits for the peer's close_notify: closing with unread data could reset the
                              // connection and lose our response.
                              stream_.async_shutdown(handler([this](error_code) { drop(); }));
                            }));
  }

  void drop() noexcept override {
    deadline_.cancel();
    error_code ignored;
    stream_.lowest_layer().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.lowest_layer().close(ignored);
  }

  const std::shared_ptr<Names> names_;  // the callback's, and the stream's context
  asio::ssl::stream<Socket> stream_;
  ConnectionTimer deadline_;
};

std::shared_ptr<Responder> make_responder(std::shared_ptr<Names> names) {
  ResponderErrorText error_text;
  error_text.challenge = "tls-alpn-01";
  error_text.public_port = "443";
  error_text.alternative =
      "listen on another port and let it pass connections that offer the protocol \"acme-tls/1\" on, undecrypted, or "
      "use another challenge";
  return std::make_shared<Responder>(std::move(error_text), [names](Socket socket) {
    return std::make_shared<TlsConnection>(std::move(socket), names);
  });
}

}  // namespace

}  // namespace culmen::listen

namespace culmen {

TlsAlpn01Solver::TlsAlpn01Solver(std::uint16_t port, std::string address)
    : wanted_port_(port), address_(std::move(address)) {
  const auto names = std::make_shared<listen::Names>();
  names_ = names;
  server_ = listen::make_responder(names);
}

}  // namespace culmen
