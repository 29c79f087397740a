// Lists that come in pages (RFC 8555 §7.1.2.1, RFC 9115 §2.3.1.2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culmen/engine.hpp"

namespace culmen::engine {

using PageParser = Result<std::vector<std::string>> (*)(const HttpResponse& response);

/// A list that an account has.
struct AccountList {
  std::string Account::*url;
  PageParser parse;
  std::string_view doing;
  std::string_view missing;  ///< What to say when the CA has no such list.
};

/// The list, page after page by Link next. An account that comes without its URL is fetched first.
Flow<Result<std::vector<std::string>>> whole_list(Session session, Account account, AccountList list);

}  // namespace culmen::engine
