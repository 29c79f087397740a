// The HTTPS listener.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "testca/authority.hpp"
#include "testca/http_message.hpp"

namespace culmen::testca {

/// Serves HTTP/1.1 over TLS on threads of its own, from construction to destruction.
class HttpsServer {
 public:
  using Handler = std::function<Reply(const Request&)>;

  /// Binds. `handler` and `connected` are called from several threads at once. Throws Error (io_failed).
  HttpsServer(const std::string& address, std::uint16_t port, const Authority::TlsIdentity& identity, Handler handler,
              std::function<void()> connected);
  ~HttpsServer();

  /// The port that was bound.
  std::uint16_t port() const;
  /// Accepts from now on.
  void start();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culmen::testca
