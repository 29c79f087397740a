// culmen on an event loop of your own: what a driver has to do.
//
// The protocol is written as flows (engine.hpp) that ask and are answered. This loop takes the asks from an Execution
// and answers them with libcurl and a condition variable. Yours would start each of them and answer from its callbacks;
// the Execution must only ever be touched by one thread at a time.
//
//   05_own_event_loop DIRECTORY_URL NAME HTTP_PORT ROOT_FILE
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include <curl/curl.h>

#include "culmen/driver.hpp"
#include "culmen/engine.hpp"
#include "culmen/http01_solver.hpp"

using namespace culmen;
using Clock = std::chrono::steady_clock;

namespace {

Result<HttpResponse> perform(CURL* curl, const HttpRequest& request, const std::string& root_file);

class Loop {
 public:
  explicit Loop(std::string root_file) : root_file_(std::move(root_file)), curl_(curl_easy_init()) {}
  ~Loop() { curl_easy_cleanup(curl_); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  template <class T>
  T run(Flow<Result<T>> flow) {
    Execution<Result<T>> execution(std::move(flow),
                                   [] { return Instant(std::chrono::system_clock::now(), Clock::now()); });
    while (!execution.done()) {
      while (Ask* ask = execution.next()) take(execution, *ask);
      if (!execution.done()) turn(execution);
    }
    return execution.result().value();
  }

 private:
  struct Timer {
    Clock::time_point due;
    WaitAsk* ask;
  };
  struct Report {
    AwaitAsk* ask;
    Result<void> result;
  };

  // Starts what was asked for; nothing here waits.
  void take(ExecutionBase& execution, Ask& ask) {
    switch (ask.kind()) {
      case Ask::Kind::send: sends_.push_back(static_cast<SendAsk*>(&ask)); break;
      case Ask::Kind::wait: {
        auto& wait_ask = static_cast<WaitAsk&>(ask);
        timers_.push_back({Clock::now() + wait_ask.duration, &wait_ask});
        break;
      }
      case Ask::Kind::call: {  // may block: a loop that must not would use another thread
        auto& call_ask = static_cast<CallAsk&>(ask);
        execution.answer(call_ask, call_function(call_ask));
        break;
      }
      case Ask::Kind::await: {
        auto& await_ask = static_cast<AwaitAsk&>(ask);
        await_ask.start([this, &await_ask](Result<void> result) {  // from any thread
          const std::lock_guard lock(mutex_);
          reports_.push_back({&await_ask, std::move(result)});
          reported_.notify_one();
        });
        break;
      }
      default: perform_blocking(execution, ask); break;
    }
  }

  // One turn of the loop: answers one ask, or waits until there is something to answer.
  void turn(ExecutionBase& execution) {
    if (!sends_.empty()) {
      SendAsk* ask = sends_.front();
      sends_.pop_front();
      execution.answer(*ask, perform(curl_, ask->request, root_file_));
      return;
    }
    const auto next =
        std::min_element(timers_.begin(), timers_.end(), [](const Timer& a, const Timer& b) { return a.due < b.due; });
    std::unique_lock lock(mutex_);
    const auto has_report = [this] { return !reports_.empty(); };
    if (next == timers_.end()) {
      reported_.wait(lock, has_report);
    } else if (!reported_.wait_until(lock, next->due, has_report)) {
      WaitAsk* ask = next->ask;
      timers_.erase(next);
      execution.answer(*ask, Result<void>());
      return;
    }
    const Report report = std::move(reports_.front());
    reports_.pop_front();
    lock.unlock();
    execution.answer(*report.ask, report.result);
  }

  std::string root_file_;
  CURL* curl_;
  std::deque<SendAsk*> sends_;
  std::vector<Timer> timers_;
  std::mutex mutex_;
  std::condition_variable reported_;
  std::deque<Report> reports_;
};

// ---- One HTTP exchange with libcurl ----

std::size_t append_body(char* data, std::size_t, std::size_t size, void* response) {
  std::string& body = static_cast<HttpResponse*>(response)->body;
  if (body.size() + size > 1 << 20) return 0;  // no answer of a CA is that long
  body.append(data, size);
  return size;
}

std::size_t append_header(char* data, std::size_t, std::size_t size, void* response) {
  std::string name(data, size);
  const auto colon = name.find(':');
  if (colon == std::string::npos) return size;
  std::string value = name.substr(colon + 1);
  name.erase(colon);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  value.erase(0, value.find_first_not_of(" \t"));
  value.erase(value.find_last_not_of(" \t\r\n") + 1);
  static_cast<HttpResponse*>(response)->headers.emplace_back(std::move(name), std::move(value));
  return size;
}

Result<HttpResponse> perform(CURL* curl, const HttpRequest& request, const std::string& root_file) {
  HttpResponse response;
  response.url = request.url;
  curl_slist* headers = nullptr;
  if (!request.content_type.empty())
    headers = curl_slist_append(headers, ("Content-Type: " + request.content_type).c_str());
  if (!request.accept.empty()) headers = curl_slist_append(headers, ("Accept: " + request.accept).c_str());

  curl_easy_reset(curl);  // keeps the connection
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_CAINFO, root_file.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "own-event-loop/1.0");  // RFC 8555 §6.1 wants one
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, append_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &response);
  if (request.method == HttpMethod::head) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (request.method == HttpMethod::post) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  const CURLcode failed = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (failed != CURLE_OK) return Error(Errc::connection_failed, "asking " + request.url, curl_easy_strerror(failed));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  return response;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) throw std::invalid_argument("usage: 05_own_event_loop DIRECTORY_URL NAME HTTP_PORT ROOT_FILE");
  Loop loop(argv[4]);
  engine::Session session = loop.run(engine::connect(argv[1]));
  AccountOptions agreed;
  agreed.agree_tos = true;
  Account account = loop.run(engine::new_account(session, AccountKey::generate(), agreed));

  Http01Solver solver(static_cast<std::uint16_t>(std::atoi(argv[3])));
  solver.start_thread();
  IssueRequest request(std::vector<std::string>{argv[2]});
  std::cout << loop.run(engine::issue(session, account, request, {&solver})).chain_pem;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
