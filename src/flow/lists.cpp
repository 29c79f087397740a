#include "flow/lists.hpp"

#include "flow/signed_post.hpp"
#include "protocol/response.hpp"

namespace culmen::engine {

namespace {
constexpr int max_pages = 1000;
}  // namespace

Flow<Result<std::vector<std::string>>> all_pages(Session session, Account account, std::string first_url,
                                                 PageParser parse, std::string doing) {
  std::vector<std::string> all;
  std::string page_url = std::move(first_url);
  for (int page = 0; page < max_pages; ++page) {
    SignedRequest request(account, page_url, "", doing);
    Result<HttpResponse> response = co_await signed_post(session, std::move(request));
    if (!response) co_return response.error();
    Result<std::vector<std::string>> listed = parse(*response);
    if (!listed) co_return listed.error();
    all.insert(all.end(), listed->begin(), listed->end());
    const std::vector<std::string> next = protocol::links(*response, "next");
    if (next.empty()) co_return all;
    page_url = next.front();
  }
  co_return Error(Errc::bad_response, doing, "the list has no end");
}

}  // namespace culmen::engine
