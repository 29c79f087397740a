// A curl multi handle with the exchanges on it. Not thread-safe.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <curl/curl.h>

#include "culmen/asks.hpp"
#include "http/curl_options.hpp"
#include "http/exchange.hpp"
#include "http/transport.hpp"

namespace culmen::http {

/// How connections are used: a request that is alone at its server takes HTTP/1.1, which costs both sides half as much
/// CPU time. One that comes while others are in progress takes HTTP/2, where any number share a connection. So there
/// are two pools: curl would open more connections than it needs if it found both kinds in one.
class Multi {
 public:
  /// Called with a socket that curl opened for a connection, just before it is closed. Must not call libcurl.
  using Closing = std::function<void(curl_socket_t)>;

  /// `transport` must outlive it, and what `closing` uses as well: ~Multi closes connections. Throws Error.
  explicit Multi(Transport& transport, Closing closing = {});
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  CURLM* handle() const noexcept { return handle_.get(); }

  /// Starts it on behalf of `owner`; an Error when that is refused at once.
  std::optional<Error> start(SendAsk& ask, void* owner);
  /// Forgets what is in progress: one ask, or all of an owner.
  void withdraw(const SendAsk& ask) noexcept;
  void withdraw_all(const void* owner) noexcept;

  struct Finished {
    Finished(SendAsk& ask_, void* owner_, Result<HttpResponse> answer_)
        : ask(ask_), owner(owner_), answer(std::move(answer_)) {}
    SendAsk& ask;
    void* owner;
    Result<HttpResponse> answer;
  };
  /// An exchange that is over; nullopt: none at present. Starts others that waited for it.
  std::optional<Finished> next_finished();

  /// Whether next_finished() has something although libcurl may have nothing to do: a request that could not be given
  /// to it.
  bool has_failed() const noexcept { return !failed_.empty(); }

  /// Whether `closing` will be called for the socket. It is not for those by which curl's resolver reports.
  bool is_connection(curl_socket_t socket) const { return sockets_.contains(socket); }

 private:
  enum class Pool { alone, shared };
  struct Entry;
  /// A server, with one trust and one client certificate.
  struct Server {
    std::size_t running = 0;
    bool alone_is_busy = false;   // the connection in Pool::alone
    bool speaks_http2 = true;     // or it is not known yet
    bool refuses_http1 = false;   // in the TLS handshake
    std::list<Entry*> waiting{};  // for those that run
    bool is_idle() const noexcept { return running == 0 && waiting.empty(); }
  };
  struct Entry {
    Entry(Transport& transport, SendAsk& ask_, void* owner_)
        : ask(ask_), owner(owner_), exchange(transport, ask_.request) {}
    SendAsk& ask;
    void* owner;
    Exchange exchange;
    Server* server = nullptr;
    std::list<Entry*>* list = nullptr;  // server->waiting, failed_ or none
    std::list<Entry*>::iterator place{};
    std::optional<Error> failed;  // could not be given to curl
    Pool pool = Pool::shared;
    EasyHandle easy;  // while curl has it
  };
  struct CloseMulti {
    void operator()(CURLM* handle) const noexcept { curl_multi_cleanup(handle); }
  };
  struct CloseShare {
    void operator()(CURLSH* share) const noexcept { curl_share_cleanup(share); }
  };
  using Idle = std::vector<EasyHandle>;

  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static int on_close(void* self, curl_socket_t socket) noexcept;

  /// Puts it at the end of its server's queue.
  void enqueue(Entry& entry);
  void admit(Server& server) noexcept;
  void launch(Entry& entry);
  /// The opposite of launch().
  void land(Entry& entry) noexcept;
  void erase(Entry& entry) noexcept;
  std::optional<Result<HttpResponse>> result_of(Entry& entry, CURLcode code);
  Idle& idle_handles(Pool pool, HttpTrust trust) noexcept;
  EasyHandle take_handle(Pool pool, HttpTrust trust);

  Transport& transport_;
  const Closing closing_;
  const std::size_t max_connections_;
  std::unordered_set<curl_socket_t> sockets_;
  // In this order: the easy handles go first, and the pools of connections that they used after them.
  std::unique_ptr<CURLSH, CloseShare> alone_pool_;
  std::unique_ptr<CURLM, CloseMulti> handle_;
  std::array<Idle, 4> idle_;
  std::unordered_map<std::string, Server> servers_;
  std::unordered_map<const SendAsk*, Entry> entries_;
  std::set<std::pair<const void*, const SendAsk*>> by_owner_;
  std::list<Entry*> failed_;
};

}  // namespace culmen::http
