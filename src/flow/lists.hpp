// Lists that come in pages (RFC 8555 §7.1.2.1, RFC 9115 §2.3.1.2).
#pragma once

#include <string>
#include <vector>

#include "culmen/engine.hpp"

namespace culmen::engine {

using PageParser = Result<std::vector<std::string>> (*)(const HttpResponse& response);

/// Everything from `first_url` on, page after page by Link next.
Flow<Result<std::vector<std::string>>> all_pages(Session session, Account account, std::string first_url,
                                                 PageParser parse, std::string doing);

}  // namespace culmen::engine
