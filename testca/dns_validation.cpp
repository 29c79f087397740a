#include "testca/dns_validation.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/base64.hpp"
#include "crypto/random.hpp"
#include "culmen/error.hpp"
#include "testca/dns_message.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;

namespace {

using Clock = std::chrono::steady_clock;
constexpr int max_tries = 3;  // of one question by UDP, which may lose it
constexpr std::size_t max_values = 100;

Problem failure(int status, std::string_view type, const std::string& what) { return make_problem(status, type, what); }

udp::endpoint read_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  boost::system::error_code error;
  asio::ip::address address;
  unsigned port = 0;
  bool good = colon != std::string::npos;
  if (good) {
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    address = asio::ip::make_address(host, error);
    const char* end = text.data() + text.size();
    good = !error && std::from_chars(text.data() + colon + 1, end, port).ptr == end && port > 0 && port < 65536;
  }
  if (!good)
    throw Error(Errc::invalid_argument, "setting up a test CA",
                "dns_server must be ADDRESS:PORT, and is \"" + printable(text, 100) + "\"");
  return udp::endpoint(address, static_cast<unsigned short>(port));
}

std::string record_name(const ValidationJob& job) {
  const std::string& domain = job.identifier.value;
  if (job.type == "dns-persist-01") return "_validation-persist." + domain;
  if (job.type == "dns-01") return "_acme-challenge." + domain;
  // draft-ietf-acme-dns-account-label: base32 of the first ten octets of the account URL's SHA-256.
  const Bytes digest = crypto::sha256(as_bytes(job.account_url));
  return "_" + base::base32_encode_lower(ByteView(digest).first(10)) + "._acme-challenge." + domain;
}

/// RFC 8555 §8.4: "Verify that the contents of one of the TXT records match the digest value."
std::optional<Problem> judge_digest(const ValidationJob& job, const std::string& name,
                                    const std::vector<std::string>& values) {
  const std::string wanted = base::base64url_encode(crypto::sha256(as_bytes(job.key_authorization)));
  if (std::ranges::find(values, wanted) != values.end()) return std::nullopt;
  if (values.empty()) return failure(403, "unauthorized", "there is no TXT record at " + name);
  std::string found;
  for (const std::string& value : values) found += (found.empty() ? "\"" : ", \"") + printable(value, 60) + "\"";
  return failure(403, "unauthorized",
                 "no TXT record at " + name + " has the value for this challenge; found " + printable(found, 300));
}

}  // namespace

void DnsValidator::check(const TestCaOptions& options) {
  if (!options.dns_server.empty()) (void)read_endpoint(options.dns_server);
}

class DnsValidator::Impl {
 public:
  explicit Impl(const TestCaOptions& options)
      : has_server_(!options.dns_server.empty()),
        limit_(std::min<std::chrono::seconds>(options.validation_timeout, max_validation_timeout)),
        work_(asio::make_work_guard(context_)) {
    if (has_server_) server_ = read_endpoint(options.dns_server);
    thread_ = std::thread([this] { context_.run(); });
  }

  ~Impl() {
    context_.stop();
    thread_.join();
  }

  void validate(const ValidationJob& job, ValidationDone done) {
    asio::co_spawn(context_, run(job, std::move(done)), asio::detached);
  }

 private:
  /// What an exchange gives: an answer, or why there is none.
  struct Outcome {
    Outcome() = default;
    std::optional<TxtAnswer> answer;
    std::string why;
  };

  asio::awaitable<void> run(ValidationJob job, ValidationDone done) {
    std::optional<Problem> outcome;
    try {
      outcome = co_await look(job);
    } catch (const std::exception& error) {
      outcome = failure(500, "serverInternal", error.what());
    }
    done(std::move(outcome));
  }

  asio::awaitable<std::optional<Problem>> look(ValidationJob job) {
    if (!has_server_)
      co_return failure(500, "serverInternal",
                        "this test CA was given no DNS server to look at (dns_server, --dns-server)");
    const std::string first = record_name(job);
    const auto deadline = Clock::now() + limit_;
    std::string name = first;
    std::vector<std::string> values;
    for (int aliases = 0;; ++aliases) {
      if (aliases > max_aliases) co_return failure(400, "dns", first + " leads from alias to alias without end");
      Outcome outcome = co_await ask(name, deadline);
      if (!outcome.answer) co_return failure(400, "dns", "looking up " + name + ": " + outcome.why);
      const int rcode = outcome.answer->rcode;
      if (rcode != 0 && rcode != 3)
        co_return failure(400, "dns",
                          "looking up " + name + ": the DNS server answered with code " + std::to_string(rcode));
      values = std::move(outcome.answer->values);
      if (!outcome.answer->alias) break;
      name = *outcome.answer->alias;
    }
    if (values.size() > max_values) values.resize(max_values);
    if (job.type == "dns-persist-01") co_return judge_persist_records(job, values, job.now);
    co_return judge_digest(job, first, values);
  }

  asio::awaitable<Outcome> ask(std::string name, Clock::time_point deadline) {
    const auto id = static_cast<std::uint16_t>(random_());
    Outcome outcome;
    Result<Bytes> question = txt_query(name, id);
    if (!question) {
      outcome.why = question.error().detail();
      co_return outcome;
    }
    for (int tries = 1; tries <= max_tries && Clock::now() < deadline; ++tries) {
      const auto patience = tries == max_tries ? deadline : std::min(deadline, Clock::now() + limit_ / max_tries);
      outcome = co_await exchange_udp(*question, name, id, patience);
      if (outcome.answer) break;
    }
    if (outcome.answer && outcome.answer->truncated) outcome = co_await exchange_tcp(*question, name, id, deadline);
    co_return outcome;
  }

  asio::awaitable<Outcome> exchange_udp(Bytes question, std::string name, std::uint16_t id,
                                        Clock::time_point deadline) {
    Outcome outcome;
    const auto socket = std::make_shared<udp::socket>(context_);
    asio::steady_timer timer(context_, deadline);
    timer.async_wait([socket](boost::system::error_code cancelled) {
      boost::system::error_code ignored;
      if (!cancelled) socket->close(ignored);
    });
    boost::system::error_code error;
    socket->open(server_.protocol(), error);
    if (!error) socket->connect(server_, error);
    if (!error) co_await socket->async_send(asio::buffer(question), asio::redirect_error(asio::use_awaitable, error));
    while (!error) {
      std::array<std::uint8_t, 4096> buffer;
      const std::size_t size =
          co_await socket->async_receive(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      Result<TxtAnswer> answer = read_txt_answer(ByteView(buffer.data(), size), name, id);
      if (answer) {
        outcome.answer = std::move(*answer);
        break;
      }
      outcome.why = answer.error().detail();  // a late answer to something else, perhaps: the right one may follow
    }
    if (!outcome.answer && outcome.why.empty())
      outcome.why = Clock::now() >= deadline ? "the DNS server does not answer" : error.message();
    co_return outcome;
  }

  asio::awaitable<Outcome> exchange_tcp(Bytes question, std::string name, std::uint16_t id,
                                        Clock::time_point deadline) {
    Outcome outcome;
    const auto socket = std::make_shared<tcp::socket>(context_);
    asio::steady_timer timer(context_, deadline);
    timer.async_wait([socket](boost::system::error_code cancelled) {
      boost::system::error_code ignored;
      if (!cancelled) socket->close(ignored);
    });
    // RFC 1035 §4.2.2: two octets of length go before the message.
    Bytes framed(question.size() + 2);
    framed[0] = static_cast<std::uint8_t>(question.size() >> 8);
    framed[1] = static_cast<std::uint8_t>(question.size() & 255);
    std::ranges::copy(question, framed.begin() + 2);
    const tcp::endpoint server(server_.address(), server_.port());
    std::array<std::uint8_t, 2> length = {};
    Bytes message;
    boost::system::error_code error;
    co_await socket->async_connect(server, asio::redirect_error(asio::use_awaitable, error));
    if (!error)
      co_await asio::async_write(*socket, asio::buffer(framed), asio::redirect_error(asio::use_awaitable, error));
    if (!error)
      co_await asio::async_read(*socket, asio::buffer(length), asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      message.resize(std::size_t{length[0]} * 256 + length[1]);
      co_await asio::async_read(*socket, asio::buffer(message), asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) {
      outcome.why = "by TCP: " + error.message();
      co_return outcome;
    }
    Result<TxtAnswer> answer = read_txt_answer(message, name, id);
    if (answer) {
      outcome.answer = std::move(*answer);
    } else {
      outcome.why = answer.error().detail();
    }
    co_return outcome;
  }

  bool has_server_;
  std::chrono::seconds limit_;
  udp::endpoint server_;
  std::mt19937 random_{std::random_device{}()};
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

DnsValidator::DnsValidator(const TestCaOptions& options) : impl_(std::make_unique<Impl>(options)) {}
DnsValidator::~DnsValidator() = default;

void DnsValidator::validate(const ValidationJob& job, ValidationDone done) { impl_->validate(job, std::move(done)); }

}  // namespace culmen::testca
