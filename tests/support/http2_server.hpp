// The server side of HTTP/2, as far as a test needs it: every stream is answered with status 200 and no body.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <openssl/ssl.h>

#include "support/tiny_server.hpp"

namespace culmen::test {

inline std::string http2_frame(char type, char flags, std::uint32_t stream, const std::string& payload = {}) {
  std::string frame;
  for (const std::size_t shift : {16U, 8U, 0U}) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(type);
  frame.push_back(flags);
  for (const std::uint32_t shift : {24U, 16U, 8U, 0U}) frame.push_back(static_cast<char>(stream >> shift));
  return frame + payload;
}

/// Until the client closes the connection. `requested` is called with each request before it is answered.
inline void serve_http2(Connection& connection, const std::function<void()>& requested) {
  constexpr char headers = 1, settings = 4, ping = 6, end_of_stream = 1, ack = 1, end_of_headers = 4;
  if (!connection.read_bytes(24) || !connection.write(http2_frame(settings, 0, 0))) return;
  while (const std::optional<std::string> head = connection.read_bytes(9)) {
    const auto byte = [&head](std::size_t at) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>((*head)[at]));
    };
    const std::optional<std::string> payload = connection.read_bytes(byte(0) << 16 | byte(1) << 8 | byte(2));
    if (!payload) return;
    const char type = (*head)[3];
    const char flags = (*head)[4];
    if (type == settings && (flags & ack) == 0) connection.write(http2_frame(settings, ack, 0));
    if (type == ping && (flags & ack) == 0) connection.write(http2_frame(ping, ack, 0, *payload));
    if (type > headers || (flags & end_of_stream) == 0) continue;
    requested();
    const std::uint32_t stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    const std::string status_200 = "\x88";  // RFC 7541 Appendix A
    if (!connection.write(http2_frame(headers, end_of_headers | end_of_stream, stream, status_200))) return;
  }
}

/// Chooses HTTP/2 where the client offers it. Else HTTP/1.1, or, as `required`, no connection.
inline void offer_http2(SSL_CTX* context, bool required = false) {
  static bool yes = true;
  static bool no = false;
  SSL_CTX_set_alpn_select_cb(
      context,
      [](SSL*, const unsigned char** chosen, unsigned char* chosen_length, const unsigned char* offered,
         unsigned offered_length, void* is_required) {
        const std::string_view list(reinterpret_cast<const char*>(offered), offered_length);
        const std::size_t at = list.find("\x02h2");
        if (at == std::string_view::npos) {
          return *static_cast<bool*>(is_required) ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
        }
        *chosen = offered + at + 1;
        *chosen_length = 2;
        return SSL_TLSEXT_ERR_OK;
      },
      required ? &yes : &no);
}

}  // namespace culmen::test
