// What the HTTP reader buffers, on a connection that is a function.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include "testca/http_wire.hpp"

using namespace culmen::testca;
namespace asio = boost::asio;

namespace {

/// Sends `head`, then `repeated` until `limit` octets are out.
class EndlessPeer final : public Stream {
 public:
  EndlessPeer(std::string head, std::string repeated, std::size_t limit)
      : pending_(std::move(head)), repeated_(std::move(repeated)), limit_(limit) {}

  asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& error) override {
    while (pending_.size() < into.size() && sent + pending_.size() < limit_) pending_ += repeated_;
    const std::size_t count = asio::buffer_copy(into, asio::buffer(pending_));
    pending_.erase(0, count);
    sent += count;
    error = count == 0 ? error_code(asio::error::eof) : error_code();
    co_return count;
  }
  asio::awaitable<void> write(std::string_view, error_code&) override { co_return; }
  void expires_after(std::chrono::seconds) override {}

  std::size_t sent = 0;

 private:
  std::string pending_, repeated_;
  std::size_t limit_;
};

struct Outcome {
  error_code error;
  Request request;
};

asio::awaitable<void> read_one(EndlessPeer& peer, Outcome& outcome) {
  HttpReader reader(peer);
  bool keep_alive = false;
  outcome.request = co_await reader.request(1 << 20, keep_alive, outcome.error);
}

Outcome read_from(EndlessPeer& peer) {
  Outcome outcome;
  asio::io_context context;
  asio::co_spawn(context, read_one(peer, outcome), asio::detached);
  context.run();
  return outcome;
}

const std::string chunked = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("wire: a chunk extension without an end is not buffered without an end") {
  EndlessPeer peer(chunked + "1;a=", "xxxxxxxx", 50'000'000);
  CHECK(read_from(peer).error);
  CHECK(peer.sent < 200'000);
}

TEST_CASE("wire: nor are the trailer after the last chunk, and the header") {
  EndlessPeer trailer(chunked + "0\r\n", "a: b\r\n", 50'000'000);
  CHECK(read_from(trailer).error);
  CHECK(trailer.sent < 200'000);
  EndlessPeer header("POST /x HTTP/1.1\r\n", "a: b\r\n", 50'000'000);
  CHECK(read_from(header).error);
  CHECK(header.sent < 200'000);
}

TEST_CASE("wire: chunk extensions that end are skipped, and bodies larger than the bound of one line pass") {
  const std::string chunk(40'000, 'b');
  std::string body = chunked;
  for (int i = 0; i < 5; ++i) body += "9c40;a=" + std::string(1000, 'x') + "\r\n" + chunk + "\r\n";
  EndlessPeer peer(body + "0\r\n\r\n", "", 0);
  const Outcome outcome = read_from(peer);
  CHECK_FALSE(outcome.error);
  CHECK(outcome.request.body == chunk + chunk + chunk + chunk + chunk);
}
