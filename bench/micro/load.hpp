// Load for a server on 127.0.0.1: as many threads as connections, each asking again as soon as it has its answer.
#pragma once

#include <cstdint>
#include <string>

namespace culmen::bench {

struct Load {
  Load(std::uint16_t port_, double seconds_, int connections_)
      : port(port_), seconds(seconds_), connections(connections_) {}
  std::uint16_t port;
  double seconds;
  int connections;
};

struct LoadResult {
  unsigned long long answers = 0;
  double seconds = 0;
};

/// GETs `path`. Every answer must be a 200 with that body; throws when one is not. With `keep_alive` the connections
/// stay, otherwise each request has a new one, which the server closes.
LoadResult load_http(const Load& load, const std::string& path, const std::string& body, bool keep_alive);

/// Full handshakes for `name` with acme-tls/1, each followed by both sides' goodbye.
LoadResult load_tls(const Load& load, const std::string& name, bool tls12);

}  // namespace culmen::bench
