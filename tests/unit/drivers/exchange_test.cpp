// The exchange ask, on real sockets: answers, loss, garbage, truncation, refusal.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "culmen/nursery.hpp"
#include "unit/drivers/each_driver.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::with_each;
using Transport = ExchangeRequest::Transport;

namespace {

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }
std::string text_of(const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); }

/// A socket on a free port of the loopback address, and a thread that serves it until the end.
class ExchangeServer {
 public:
  ExchangeServer(Transport transport, std::function<void(int socket)> serve, const char* address = "127.0.0.1")
      : address_(address) {
    const bool is_v6 = address_.find(':') != std::string::npos;
    socket_ = ::socket(is_v6 ? AF_INET6 : AF_INET, transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    v6.sin6_family = AF_INET6;
    v4.sin_family = AF_INET;
    ::inet_pton(AF_INET6, address, &v6.sin6_addr);
    ::inet_pton(AF_INET, address, &v4.sin_addr);
    auto* const where = is_v6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
    socklen_t size = is_v6 ? sizeof v6 : sizeof v4;
    REQUIRE(::bind(socket_, where, size) == 0);
    REQUIRE(::getsockname(socket_, where, &size) == 0);
    port_ = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
    if (transport == Transport::tcp) REQUIRE(::listen(socket_, 10) == 0);
    thread_ = std::thread([this, serve = std::move(serve)] {
      while (!stop_) {
        pollfd ready{socket_, POLLIN, 0};
        if (::poll(&ready, 1, 10) > 0) serve(socket_);
      }
    });
  }
  ~ExchangeServer() {
    stop_ = true;
    thread_.join();
    ::close(socket_);
  }
  ExchangeServer(const ExchangeServer&) = delete;
  ExchangeServer& operator=(const ExchangeServer&) = delete;

  ExchangeRequest request(Transport transport, std::string_view message, std::chrono::milliseconds limit = 5s) const {
    ExchangeRequest request(transport, address_, port_, bytes_of(message));
    request.time_limit = limit;
    return request;
  }

 private:
  std::string address_;
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

/// Receives one datagram, and sends `answers` back.
std::function<void(int)> answering_datagrams(std::vector<std::string> answers) {
  return [answers = std::move(answers)](int socket) {
    char buffer[70000];
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    if (::recvfrom(socket, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size) < 0) return;
    for (const std::string& answer : answers) {
      (void)::sendto(socket, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  };
}

/// Accepts a connection, reads one message with its length, and writes the pieces.
std::function<void(int)> answering_streams(std::vector<std::string> pieces, std::string* received = nullptr) {
  return [pieces = std::move(pieces), received](int socket) {
    const int connection = ::accept(socket, nullptr, nullptr);
    std::string message;
    char byte = 0;
    while ((message.size() < 2 ||
            message.size() < 2 + std::size_t(std::uint8_t(message[0])) * 256 + std::uint8_t(message[1])) &&
           ::recv(connection, &byte, 1, 0) == 1) {
      message += byte;
    }
    if (received) *received = message;
    for (const std::string& piece : pieces) {
      (void)::send(connection, piece.data(), piece.size(), MSG_NOSIGNAL);
      std::this_thread::sleep_for(5ms);
    }
    ::close(connection);
  };
}

std::string framed(std::string_view message) {
  return std::string(1, static_cast<char>(message.size() >> 8)) +
         std::string(1, static_cast<char>(message.size() & 0xff)) + std::string(message);
}

Flow<Result<Bytes>> exchanging(ExchangeRequest request) {
  Result<Bytes> answer = co_await exchange_message(std::move(request));
  co_return answer;
}

Flow<Result<std::vector<Result<Bytes>>>> exchanging_all(std::vector<ExchangeRequest> requests) {
  std::vector<Flow<Result<Bytes>>> flows;
  for (ExchangeRequest& request : requests) flows.push_back(exchanging(std::move(request)));
  std::vector<Result<Bytes>> answers = co_await all(std::move(flows));
  co_return answers;
}

void check_answer(const Result<Bytes>& answer, std::string_view expected) {
  REQUIRE_MESSAGE(answer, answer.error().what());
  CHECK(text_of(*answer) == expected);
}

void check_failure(const Result<Bytes>& answer, Errc expected) {
  REQUIRE_FALSE(answer);
  CHECK_MESSAGE(answer.error().code() == expected, answer.error().what());
}

}  // namespace

TEST_CASE("exchange: a datagram out and one back, over IPv4 and IPv6") {
  for (const char* address : {"127.0.0.1", "::1"}) {
    CAPTURE(address);
    const ExchangeServer server(Transport::udp, answering_datagrams({"answer"}), address);
    with_each(
        [&](auto& driver) { check_answer(driver.run(exchanging(server.request(Transport::udp, "q"))), "answer"); });
  }
}

TEST_CASE("exchange: lost datagrams are a time-out, not a hang") {
  const ExchangeServer server(Transport::udp, answering_datagrams({}));
  with_each([&](auto& driver) {
    check_failure(driver.run(exchanging(server.request(Transport::udp, "q", 50ms))), Errc::timeout);
  });
}

TEST_CASE("exchange: datagrams that are not the answer are passed over") {
  const ExchangeServer server(Transport::udp,
                              answering_datagrams({"forged", "", std::string(600, 'f'), "late", "right", "more"}));
  const ExchangeServer only_garbage(Transport::udp, answering_datagrams({"forged", "late"}));
  const auto accepts = [](ByteView bytes) { return as_text(bytes) == "right"; };
  with_each([&](auto& driver) {
    ExchangeRequest request = server.request(Transport::udp, "q");
    request.accepts = accepts;
    request.max_response_bytes = 512;  // a forged datagram may be longer
    check_answer(driver.run(exchanging(std::move(request))), "right");
    ExchangeRequest vain = only_garbage.request(Transport::udp, "q", 50ms);
    vain.accepts = accepts;
    check_failure(driver.run(exchanging(std::move(vain))), Errc::timeout);
  });
}

TEST_CASE("exchange: a function that throws while it looks at the answer is an error") {
  const ExchangeServer server(Transport::udp, answering_datagrams({"answer"}));
  with_each([&](auto& driver) {
    ExchangeRequest request = server.request(Transport::udp, "q");
    request.accepts = [](ByteView) -> bool { throw std::runtime_error("not parsed"); };
    check_failure(driver.run(exchanging(std::move(request))), Errc::solver_failed);
  });
}

TEST_CASE("exchange: answers up to the limit, and none beyond it") {
  const ExchangeServer datagrams(Transport::udp, answering_datagrams({std::string(512, 'x')}));
  const ExchangeServer streams(Transport::tcp, answering_streams({framed(std::string(512, 'x'))}));
  with_each([&](auto& driver) {
    for (const Transport transport : {Transport::udp, Transport::tcp}) {
      const ExchangeServer& server = transport == Transport::udp ? datagrams : streams;
      ExchangeRequest exact = server.request(transport, "q");
      exact.max_response_bytes = 512;
      check_answer(driver.run(exchanging(std::move(exact))), std::string(512, 'x'));
      ExchangeRequest less = server.request(transport, "q");
      less.max_response_bytes = 511;
      check_failure(driver.run(exchanging(std::move(less))), Errc::response_too_large);
    }
  });
}

TEST_CASE("exchange: nobody listens there") {
  with_each([](auto& driver) {
    for (const Transport transport : {Transport::udp, Transport::tcp}) {
      check_failure(driver.run(exchanging(ExchangeRequest(transport, "127.0.0.1", 1, bytes_of("q")))),
                    Errc::connection_failed);
    }
  });
}

TEST_CASE("exchange: over TCP, with the length before the message, in whatever pieces") {
  std::string received;
  const ExchangeServer whole(Transport::tcp, answering_streams({framed("answer")}, &received));
  const std::string answer = framed(std::string(20000, 'y'));
  const ExchangeServer pieces(Transport::tcp,
                              answering_streams({answer.substr(0, 1), answer.substr(1, 1), answer.substr(2, 10),
                                                 answer.substr(12, 9000), answer.substr(9012)}));
  with_each([&](auto& driver) {
    check_answer(driver.run(exchanging(whole.request(Transport::tcp, "question"))), "answer");
    CHECK(received == framed("question"));
    check_answer(driver.run(exchanging(pieces.request(Transport::tcp, std::string(60000, 'q')))),
                 std::string(20000, 'y'));
  });
}

TEST_CASE("exchange: over TCP, an answer that ends early, is none, or never comes") {
  const ExchangeServer early(Transport::tcp, answering_streams({framed("answer").substr(0, 5)}));
  const ExchangeServer nothing(Transport::tcp, answering_streams({}));
  const ExchangeServer other(Transport::tcp, answering_streams({framed("other")}));
  std::atomic<bool> over = false;
  const ExchangeServer silent(Transport::tcp, [&over](int socket) {
    const int connection = ::accept(socket, nullptr, nullptr);
    while (!over) std::this_thread::sleep_for(5ms);
    ::close(connection);
  });
  with_each([&](auto& driver) {
    check_failure(driver.run(exchanging(early.request(Transport::tcp, "q"))), Errc::connection_failed);
    check_failure(driver.run(exchanging(nothing.request(Transport::tcp, "q"))), Errc::connection_failed);
    ExchangeRequest request = other.request(Transport::tcp, "q");
    request.accepts = [](ByteView bytes) { return as_text(bytes) == "answer"; };
    check_failure(driver.run(exchanging(std::move(request))), Errc::bad_response);
    check_failure(driver.run(exchanging(silent.request(Transport::tcp, "q", 50ms))), Errc::timeout);
  });
  over = true;
}

TEST_CASE("exchange: what cannot be sent is refused") {
  with_each([](auto& driver) {
    check_failure(driver.run(exchanging(ExchangeRequest(Transport::udp, "ns.example", 53, bytes_of("q")))),
                  Errc::invalid_argument);
    check_failure(driver.run(exchanging(ExchangeRequest(Transport::tcp, "127.0.0.1", 53, Bytes(65536)))),
                  Errc::invalid_argument);
    check_failure(driver.run(exchanging(ExchangeRequest(Transport::udp, "127.0.0.1", 53, Bytes(70000)))),
                  Errc::connection_failed);
  });
}

TEST_CASE("exchange: many side by side, some of them lost") {
  std::atomic<int> seen = 0;
  const ExchangeServer server(Transport::udp, [&seen](int socket) {
    char buffer[100];
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t length = ::recvfrom(socket, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 0 || ++seen % 5 == 0) return;
    (void)::sendto(socket, buffer, static_cast<std::size_t>(length), 0, reinterpret_cast<sockaddr*>(&from), size);
  });
  with_each([&](auto& driver) {
    std::vector<ExchangeRequest> requests;
    for (int i = 0; i < 50; ++i) requests.push_back(server.request(Transport::udp, std::to_string(i), 300ms));
    const auto answers = driver.run(exchanging_all(std::move(requests)));
    REQUIRE(answers);
    int lost = 0;
    for (std::size_t i = 0; i < answers->size(); ++i) {
      const Result<Bytes>& answer = (*answers)[i];
      if (!answer) {
        CHECK(answer.error().code() == Errc::timeout);
        ++lost;
      } else {
        CHECK(text_of(*answer) == std::to_string(i));
      }
    }
    CHECK(lost == 10);
  });
}

TEST_CASE("exchange: cancelled while it waits") {
  const ExchangeServer server(Transport::udp, answering_datagrams({}));
  with_each([&](auto& driver) {
    const Result<Bytes> answer = driver.run_and_cancel(exchanging(server.request(Transport::udp, "q", 3600s)),
                                                       [] { std::this_thread::sleep_for(30ms); });
    check_failure(answer, Errc::cancelled);
  });
}

TEST_CASE("exchange: the function that looks at the answer may cancel its flow, and others") {
  struct Body {
    static Flow<Result<void>> resting() {
      Result<void> rested = co_await wait(3600s);
      co_return rested;
    }
    static Flow<Result<void>> exchanging(Nursery* nursery, ExchangeRequest request, bool accepted) {
      request.accepts = [nursery, accepted](ByteView) {
        nursery->cancel_all();
        return accepted;
      };
      Result<Bytes> answer = co_await exchange_message(std::move(request));
      if (!answer) co_return answer.error();
      co_return Result<void>();
    }
    static Flow<Result<void>> cancels_itself(ExchangeRequest request, bool accepted) {
      Nursery nursery = co_await open_nursery();
      nursery.spawn(exchanging(&nursery, std::move(request), accepted));
      nursery.spawn(resting());
      Result<void> joined = co_await nursery.join();
      co_return joined;
    }
    static Flow<Result<void>> cancels_another(ExchangeRequest request) {
      Nursery nursery = co_await open_nursery();
      nursery.spawn(resting());
      request.accepts = [&nursery](ByteView) {
        nursery.cancel_all();
        return false;
      };
      std::vector<Flow<Result<void>>> parts;
      parts.push_back(nursery.join());
      parts.push_back(exchanged(std::move(request)));
      First<Result<void>> first = co_await first_of(std::move(parts));
      co_return first.result;
    }
    static Flow<Result<void>> exchanged(ExchangeRequest request) {
      Result<Bytes> answer = co_await exchange_message(std::move(request));
      if (!answer) co_return answer.error();
      co_return Result<void>();
    }
  };
  const ExchangeServer datagrams(Transport::udp, answering_datagrams({"answer", "another"}));
  const ExchangeServer streams(Transport::tcp, answering_streams({framed("answer")}));
  with_each([&](auto& driver) {
    for (const bool accepted : {true, false}) {
      for (const ExchangeRequest& request :
           {datagrams.request(Transport::udp, "q"), streams.request(Transport::tcp, "q")}) {
        const Result<void> ended = driver.run(Body::cancels_itself(request, accepted));
        REQUIRE_FALSE(ended);
        CHECK(ended.error().code() == Errc::cancelled);
      }
    }
    const Result<void> ended = driver.run(Body::cancels_another(datagrams.request(Transport::udp, "q", 3600s)));
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code() == Errc::cancelled);
  });
}

TEST_CASE("perform_blocking: every kind of ask, for a driver that knows none of them") {
  struct Body {
    static Flow<Result<std::string>> run(ExchangeRequest request) {
      std::string log;
      Result<HttpResponse> response = co_await send(HttpRequest(HttpMethod::get, "http://127.0.0.1:1/"));
      log += response ? "?" : std::string(to_string(response.error().code())) + " ";
      Result<void> waited = co_await wait(1ms);
      log += waited ? "waited " : "?";
      std::function<Result<void>()> function = [&log]() -> Result<void> {
        log += "called ";
        return {};
      };
      Result<void> called = co_await call(function);
      log += called ? "" : "?";
      std::function<void(AwaitAsk::Done)> start = [](const AwaitAsk::Done& done) { done(Result<void>()); };
      Result<void> reported = co_await await_done(start);
      log += reported ? "reported " : "?";
      Result<Bytes> answer = co_await exchange_message(std::move(request));
      if (answer) log += text_of(*answer);
      co_return log;
    }
  };
  const ExchangeServer server(Transport::udp, answering_datagrams({"answer"}));
  Execution<Result<std::string>> execution(Body::run(server.request(Transport::udp, "q")), &drivers::instant_now);
  while (Ask* ask = execution.next()) perform_blocking(execution, *ask);
  REQUIRE(execution.done());
  CHECK(execution.result().value() == "connection_failed waited called reported answer");
}
