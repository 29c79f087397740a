#include "http/multi.hpp"

#include <algorithm>
#include <exception>
#include <new>

#include <sys/socket.h>
#include <unistd.h>

namespace culmen::http {

namespace {

// More streams than this do not make a connection faster. curl itself is given no more: what it cannot run it keeps in
// a list, and walks that at the end of each transfer.
constexpr std::size_t streams_of_a_connection = 100;
constexpr std::size_t max_idle_handles = 64;
constexpr std::size_t max_idle_servers = 64;

Error not_started(std::string_view why) { return Error(Errc::io_failed, "starting an HTTP request", why); }

template <class Handle>
Handle* required(Handle* handle) {
  if (!handle) throw std::bad_alloc();
  return handle;
}

/// "https://host:port"
std::string_view origin_text(std::string_view url) {
  const std::size_t slashes = url.find("//");
  return url.substr(0, url.find_first_of("/?#", slashes == std::string_view::npos ? 0 : slashes + 2));
}

}  // namespace

Multi::Multi(Transport& transport, Closing closing)
    : transport_(transport),
      closing_(std::move(closing)),
      max_connections_(static_cast<std::size_t>(transport.options().max_connections)),
      alone_pool_(required(curl_share_init())),
      handle_(required(curl_multi_init())) {
  const CURLSHcode shared = curl_share_setopt(alone_pool_.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
  if (shared != CURLSHE_OK) throw not_started(curl_share_strerror(shared));
  const auto set = [this](CURLMoption option, const char* name, long value) {
    require_option(curl_multi_setopt(handle_.get(), option, value), name);
  };
  const long connections = transport.options().max_connections;
  set(CURLMOPT_PIPELINING, "CURLMOPT_PIPELINING", CURLPIPE_MULTIPLEX);
  set(CURLMOPT_MAX_CONCURRENT_STREAMS, "CURLMOPT_MAX_CONCURRENT_STREAMS", streams_of_a_connection);
  // Of each pool; that for requests which are alone has one.
  set(CURLMOPT_MAX_HOST_CONNECTIONS, "CURLMOPT_MAX_HOST_CONNECTIONS", std::max(1L, connections - 1));
  set(CURLMOPT_MAXCONNECTS, "CURLMOPT_MAXCONNECTS", connections);
  for (Idle& idle : idle_) idle.reserve(max_idle_handles);
#if LIBCURL_VERSION_NUM >= 0x081400
  // The threads of the resolver belong to the multi handle there: see Transport::new_handle().
  if (curl_library().version_num >= 0x081400) set(CURLMOPT_QUICK_EXIT, "CURLMOPT_QUICK_EXIT", 1);
#endif
}

Multi::~Multi() {
  for (auto& [ask, entry] : entries_) {  // the asks may be gone
    if (entry.easy) curl_multi_remove_handle(handle_.get(), entry.easy.get());
    entry.exchange.detach();
  }
}

std::optional<Error> Multi::start(SendAsk& ask, void* owner) {
  if (servers_.size() > max_idle_servers) {
    std::erase_if(servers_, [](const auto& server) { return server.second.is_idle(); });
  }
  const auto [found, is_new] = entries_.try_emplace(&ask, transport_, ask, owner);
  if (!is_new) return not_started("it is in progress already");
  Entry& entry = found->second;
  try {
    by_owner_.emplace(owner, &ask);
    entry.failed = entry.exchange.refused();
    if (!entry.failed) {
      enqueue(entry);
      admit(*entry.server);
    }
  } catch (...) {
    erase(entry);
    throw;
  }
  std::optional<Error> failed = entry.failed;
  if (failed) erase(entry);
  return failed;
}

void Multi::withdraw(const SendAsk& ask) noexcept {
  const auto found = entries_.find(&ask);
  if (found == entries_.end()) return;
  Server* const server = found->second.server;
  erase(found->second);
  if (server) admit(*server);
}

void Multi::withdraw_all(const void* owner) noexcept {
  auto next = by_owner_.lower_bound({owner, nullptr});
  if (next == by_owner_.end() || next->first != owner) return;
  while (next != by_owner_.end() && next->first == owner) erase(entries_.find((next++)->second)->second);
  for (auto& [key, server] : servers_) admit(server);
}

std::optional<Multi::Finished> Multi::next_finished() {
  for (;;) {
    if (!failed_.empty()) {
      Entry& entry = *failed_.front();
      Finished finished(entry.ask, entry.owner, *entry.failed);
      erase(entry);
      return finished;
    }
    int more = 0;
    const CURLMsg* const message = curl_multi_info_read(handle_.get(), &more);
    if (!message) return {};
    if (message->msg != CURLMSG_DONE) continue;
    char* data = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
    Entry& entry = *reinterpret_cast<Entry*>(data);
    Server& server = *entry.server;
    std::optional<Result<HttpResponse>> result = result_of(entry, message->data.result);
    if (!result) {
      admit(server);
      if (entry.server) admit(*entry.server);  // where a redirect leads, unless it has just failed
      continue;
    }
    Finished finished(entry.ask, entry.owner, std::move(*result));
    erase(entry);
    admit(server);
    return finished;
  }
}

/// nullopt: it has been queued once more.
std::optional<Result<HttpResponse>> Multi::result_of(Entry& entry, CURLcode code) {
  Server& server = *entry.server;
  try {
    const bool was_refused = code == CURLE_SSL_CONNECT_ERROR && entry.pool == Pool::alone;
    if (was_refused && !entry.exchange.was_sent() && !std::exchange(server.refuses_http1, true)) {
      land(entry);
      enqueue(entry);
      return {};
    }
    std::optional<Result<HttpResponse>> result = entry.exchange.finished(code);
    if (code == CURLE_OK && entry.pool == Pool::shared) {
      long version = 0;
      curl_easy_getinfo(entry.easy.get(), CURLINFO_HTTP_VERSION, &version);
      server.speaks_http2 = version >= CURL_HTTP_VERSION_2_0;
    }
    land(entry);
    if (!result) enqueue(entry);
    return result;
  } catch (const std::exception& error) {
    land(entry);
    return not_started(error.what());
  }
}

void Multi::enqueue(Entry& entry) {
  std::string key(origin_text(entry.exchange.url()));
  key += entry.exchange.trust() == HttpTrust::system ? "\nsystem\n" : "\n";
  if (const HttpClientCertificate* identity = entry.exchange.client_certificate()) key += identity->certificate_pem;
  const auto [found, is_new] = servers_.try_emplace(std::move(key));
  Server& server = found->second;
  if (is_new) server.speaks_http2 = scheme_of(entry.exchange.url()) == "https";
  entry.place = server.waiting.insert(server.waiting.end(), &entry);
  entry.list = &server.waiting;
  entry.server = &server;
}

void Multi::admit(Server& server) noexcept {
  const std::size_t most = server.speaks_http2 ? streams_of_a_connection : max_connections_;
  while (!server.waiting.empty() && server.running < most) {
    Entry& entry = *server.waiting.front();
    try {
      launch(entry);
      server.waiting.pop_front();
      entry.list = nullptr;
      continue;
    } catch (const Error& error) {
      entry.failed = error;
    } catch (const std::exception& error) {
      entry.failed = not_started(error.what());
    }
    failed_.splice(failed_.end(), server.waiting, entry.place);
    entry.list = &failed_;
    entry.server = nullptr;
  }
}

void Multi::launch(Entry& entry) {
  Server& server = *entry.server;
  const bool may_be_alone = max_connections_ > 1 && !server.alone_is_busy && !server.refuses_http1;
  entry.pool = may_be_alone && (server.running == 0 || !server.speaks_http2) ? Pool::alone : Pool::shared;
  EasyHandle easy = take_handle(entry.pool, entry.exchange.trust());
  try {
    entry.exchange.attach(easy.get(), entry.pool == Pool::shared && server.speaks_http2);
    set_option(easy.get(), CURLOPT_PRIVATE, static_cast<void*>(&entry));
    const CURLMcode code = curl_multi_add_handle(handle_.get(), easy.get());
    if (code != CURLM_OK) throw not_started(curl_multi_strerror(code));
  } catch (...) {
    entry.exchange.detach();
    throw;
  }
  entry.easy = std::move(easy);
  ++server.running;
  if (entry.pool == Pool::alone) server.alone_is_busy = true;
}

void Multi::land(Entry& entry) noexcept {
  if (!entry.easy) return;
  curl_multi_remove_handle(handle_.get(), entry.easy.get());
  entry.exchange.detach();
  --entry.server->running;
  if (entry.pool == Pool::alone) entry.server->alone_is_busy = false;
  EasyHandle easy = std::move(entry.easy);
  Idle& idle = idle_handles(entry.pool, entry.exchange.trust());
  if (idle.size() < max_idle_handles) idle.push_back(std::move(easy));  // within its capacity
}

void Multi::erase(Entry& entry) noexcept {
  land(entry);
  if (entry.list) entry.list->erase(entry.place);
  const SendAsk* const ask = &entry.ask;
  by_owner_.erase({entry.owner, ask});
  entries_.erase(ask);
}

Multi::Idle& Multi::idle_handles(Pool pool, HttpTrust trust) noexcept {
  return idle_[(pool == Pool::alone ? 2 : 0) + (trust == HttpTrust::system ? 1 : 0)];
}

EasyHandle Multi::take_handle(Pool pool, HttpTrust trust) {
  Idle& idle = idle_handles(pool, trust);
  if (!idle.empty()) {
    EasyHandle taken = std::move(idle.back());
    idle.pop_back();
    return taken;
  }
  EasyHandle made = transport_.new_handle(trust);
  const bool is_alone = pool == Pool::alone;
  set_option(made.get(), CURLOPT_HTTP_VERSION,
             static_cast<long>(is_alone ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  if (is_alone) set_option(made.get(), CURLOPT_SHARE, alone_pool_.get());
  set_option(made.get(), CURLOPT_OPENSOCKETFUNCTION, &Multi::on_open);
  set_option(made.get(), CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  set_option(made.get(), CURLOPT_CLOSESOCKETFUNCTION, &Multi::on_close);
  set_option(made.get(), CURLOPT_CLOSESOCKETDATA, static_cast<void*>(this));
  return made;
}

curl_socket_t Multi::on_open(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  // Programs that the process starts meanwhile must not hold connections open.
  const int socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (socket < 0) return CURL_SOCKET_BAD;
  try {
    static_cast<Multi*>(self)->sockets_.insert(socket);
    return socket;
  } catch (...) {
    ::close(socket);
    return CURL_SOCKET_BAD;
  }
}

int Multi::on_close(void* self, curl_socket_t socket) noexcept {
  auto& multi = *static_cast<Multi*>(self);
  multi.sockets_.erase(socket);
  try {
    if (multi.closing_) multi.closing_(socket);
  } catch (...) {
    // The socket is closed in any case, and there is no one to tell.
  }
  return ::close(socket);
}

}  // namespace culmen::http
