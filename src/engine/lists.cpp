#include "engine/lists.hpp"

#include <set>

#include "engine/signed_post.hpp"
#include "protocol/response.hpp"

namespace culmen::engine {

namespace {
constexpr std::size_t max_pages = 1000;
constexpr std::size_t max_entries = 100'000;
}  // namespace

Flow<Result<std::vector<std::string>>> whole_list(Session session, Account account, AccountList list) {
  const std::string doing(list.doing);
  std::string page_url = account.*list.url;
  if (page_url.empty()) {
    Result<Account> fresh = co_await get_account(session, account);
    if (!fresh) co_return fresh.error().while_doing(doing);
    page_url = (*fresh).*list.url;
  }
  if (page_url.empty()) co_return Error(Errc::not_offered, doing, std::string(list.missing));
  std::vector<std::string> all;
  std::set<std::string> pages;
  while (pages.size() < max_pages && all.size() <= max_entries && pages.insert(page_url).second) {
    SignedRequest request(account, page_url, "", doing);
    Result<HttpResponse> response = co_await signed_post(session, std::move(request));
    if (!response) co_return response.error();
    Result<std::vector<std::string>> listed = list.parse(*response);
    if (!listed) co_return listed.error();
    all.insert(all.end(), listed->begin(), listed->end());
    const std::vector<std::string> next = protocol::links(*response, "next");
    if (next.empty()) co_return all;
    page_url = next.front();
  }
  co_return Error(Errc::bad_response, doing, "the list has no end");
}

}  // namespace culmen::engine
