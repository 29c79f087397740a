// HTTP requests and replies as the CA sees them: nothing of sockets.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culmen::testca {

struct Request {
  Request() = default;
  /// The header of that (lower-case) name, empty when there is none.
  std::string_view header(std::string_view lower_case_name) const;
  bool has_header(std::string_view lower_case_name) const;

  std::string method = "GET";
  std::string target;                                        ///< Path and query.
  std::vector<std::pair<std::string, std::string>> headers;  ///< Lower-case names.
  std::string body;
};

struct Reply {
  /// How it goes on the wire: as it is, not at all (the connection is closed), or with a body that does not end.
  enum class Delivery { whole, close, endless };

  Reply() = default;
  explicit Reply(int status_) : status(status_) {}
  void add(std::string name, std::string value) { headers.emplace_back(std::move(name), std::move(value)); }
  void remove(std::string_view name);
  /// The first header of that name, whatever its case; empty when there is none.
  std::string_view header(std::string_view name) const;

  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Delivery delivery = Delivery::whole;
  std::chrono::milliseconds after{0};  ///< How long it is held back.
};

}  // namespace culmen::testca
