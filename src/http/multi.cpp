#include "http/multi.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace culmen::http {

namespace {

Error refused_by_curl(CURLMcode code) {
  return Error(Errc::io_failed, "starting an HTTP request", curl_multi_strerror(code));
}

}  // namespace

Multi::Multi(Transport& transport) : transport_(transport), handle_(curl_multi_init()) {
  if (!handle_) throw std::bad_alloc();
  const long connections = std::max(1L, transport.options().max_connections);
  curl_multi_setopt(handle_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  curl_multi_setopt(handle_, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
  curl_multi_setopt(handle_, CURLMOPT_MAXCONNECTS, connections);
}

Multi::~Multi() {
  withdraw_if([](const Entry&) { return true; });
  curl_multi_cleanup(handle_);
}

std::optional<Error> Multi::start(SendAsk& ask, void* owner) {
  auto exchange = std::make_unique<Exchange>(transport_, ask.request);
  if (std::optional<Error> refused = exchange->prepare()) return refused;
  CURL* const easy = exchange->handle();
  entries_.emplace(easy, Entry(ask, owner, std::move(exchange)));
  const CURLMcode code = curl_multi_add_handle(handle_, easy);
  if (code == CURLM_OK) return {};
  entries_.erase(easy);
  return refused_by_curl(code);
}

void Multi::withdraw(const SendAsk& ask) {
  withdraw_if([&ask](const Entry& entry) { return &entry.ask == &ask; });
}

void Multi::withdraw_all(const void* owner) {
  withdraw_if([owner](const Entry& entry) { return entry.owner == owner; });
}

std::optional<Multi::Finished> Multi::next_finished() {
  int more = 0;
  while (const CURLMsg* message = curl_multi_info_read(handle_, &more)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    curl_multi_remove_handle(handle_, easy);
    const auto found = entries_.find(easy);
    std::optional<Result<HttpResponse>> answer = found->second.exchange->finished(code);
    if (!answer) {
      const CURLMcode added = curl_multi_add_handle(handle_, easy);
      if (added == CURLM_OK) continue;
      answer.emplace(refused_by_curl(added));
    }
    Finished finished(found->second.ask, found->second.owner, std::move(*answer));
    entries_.erase(found);
    return finished;
  }
  return {};
}

template <class Predicate>
void Multi::withdraw_if(Predicate predicate) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (predicate(entry->second)) {
      curl_multi_remove_handle(handle_, entry->first);
      entry = entries_.erase(entry);
    } else {
      ++entry;
    }
  }
}

}  // namespace culmen::http
