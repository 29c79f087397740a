#include "protocol/response.hpp"

#include <algorithm>

#include "base/link.hpp"
#include "base/name.hpp"
#include "base/time.hpp"
#include "protocol/json_reader.hpp"

namespace culmen::protocol {

namespace {
constexpr std::size_t max_nonce_length = 1024;

std::optional<Problem> problem_in(const HttpResponse& response) {
  // Some servers label problem documents as text/html or as plain JSON: the body decides, not its label.
  Result<json::object> object = parse_object(response.body, "reading an error");
  // The type counts also when the detail is not UTF-8.
  if (!object) object = parse_object(response.body, "reading an error", TextOctets::any);
  if (!object) return std::nullopt;
  if (text_member(*object, "type").empty() && text_member(*object, "detail").empty()) return std::nullopt;
  return read_problem(*object);
}
}  // namespace

bool is_success(const HttpResponse& response) noexcept { return response.status >= 200 && response.status < 300; }

bool is_readable(const HttpResponse& response, std::string_view accept) noexcept {
  const std::string_view body = response.body;
  if (accept == "application/pem-certificate-chain") return body.find("-----BEGIN ") != std::string_view::npos;
  if (accept != "application/json") return true;
  constexpr std::string_view space = " \t\r\n";
  const std::size_t first = body.find_first_not_of(space);
  return first != std::string_view::npos && body[first] == '{' && body[body.find_last_not_of(space)] == '}';
}

Error error_from(const HttpResponse& response, std::string_view doing, TimePoint now) {
  if (std::optional<Problem> problem = problem_in(response)) {
    if (problem->status == 0) problem->status = response.status;
    const std::vector<std::string> terms = links(response, "terms-of-service");
    if (!terms.empty()) problem->terms_of_service = terms.front();
    return Error(std::move(*problem), doing)
        .with_http_status(response.status)
        .with_retry_after(retry_after(response, now));
  }
  std::string detail = "HTTP status " + std::to_string(response.status) + " without a problem document";
  return Error(Errc::http_status, doing, detail)
      .with_http_status(response.status)
      .with_retry_after(retry_after(response, now));
}

std::optional<std::string> replay_nonce(const HttpResponse& response) {
  const std::optional<std::string_view> nonce = response.header("replay-nonce");
  // RFC 8555 §6.5.1: "Clients MUST ignore invalid Replay-Nonce values."
  if (!nonce || nonce->size() > max_nonce_length || !base::is_token(*nonce)) return std::nullopt;
  return std::string(*nonce);
}

std::optional<std::chrono::seconds> retry_after(const HttpResponse& response, TimePoint now) {
  const std::optional<std::string_view> value = response.header("retry-after");
  if (!value) return std::nullopt;
  return base::parse_retry_after(*value, response.header("date").value_or(""), now);
}

std::vector<std::string> links(const HttpResponse& response, std::string_view relation) {
  std::vector<std::string> targets;
  for (const std::string_view value : response.all_headers("link")) {
    for (base::Link& link : base::parse_link(value, response.url)) {
      if (std::ranges::find(link.relations, relation) != link.relations.end())
        targets.push_back(std::move(link.target));
    }
  }
  return targets;
}

std::optional<std::string> location(const HttpResponse& response) {
  const std::optional<std::string_view> value = response.header("location");
  if (!value || value->empty()) return std::nullopt;
  // An absolute URL is kept byte for byte: the account URL is compared as a string (RFC 8555 §6.2).
  if (base::parse_http_url(*value)) return std::string(*value);
  return base::resolve_url(response.url, *value);
}

std::string absolute_url(const HttpResponse& response, std::string url) {
  if (url.empty() || url.starts_with("https://") || url.starts_with("http://")) return url;
  return base::resolve_url(response.url, url).value_or(url);
}

}  // namespace culmen::protocol
