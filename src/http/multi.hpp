// A curl multi handle with the exchanges on it. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include <curl/curl.h>

#include "culmen/asks.hpp"
#include "http/transport.hpp"

namespace culmen::http {

class Multi {
 public:
  /// `transport` must outlive it.
  explicit Multi(Transport& transport);
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  CURLM* handle() const noexcept { return handle_; }

  /// Starts it on behalf of `owner`; an Error when that is refused at once.
  std::optional<Error> start(SendAsk& ask, void* owner);
  /// Forgets what is in progress: one ask, or all of an owner.
  void withdraw(const SendAsk& ask);
  void withdraw_all(const void* owner);

  struct Finished {
    Finished(SendAsk& ask_, void* owner_, Result<HttpResponse> answer_)
        : ask(ask_), owner(owner_), answer(std::move(answer_)) {}
    SendAsk& ask;
    void* owner;
    Result<HttpResponse> answer;
  };
  /// An exchange that is over; nullopt: none at present.
  std::optional<Finished> next_finished();

 private:
  struct Entry {
    Entry(SendAsk& ask_, void* owner_, std::unique_ptr<Exchange> exchange_)
        : ask(ask_), owner(owner_), exchange(std::move(exchange_)) {}
    SendAsk& ask;
    void* owner;
    std::unique_ptr<Exchange> exchange;
  };
  template <class Predicate>
  void withdraw_if(Predicate predicate);

  Transport& transport_;
  CURLM* handle_;
  std::unordered_map<CURL*, Entry> entries_;
};

}  // namespace culmen::http
