#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/name.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/http01_solver.hpp"

namespace culmen {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes age_of_litter{10};  // no writer takes so long: it was killed

/// Creates the missing folders of `folder`, readable for the web server regardless of the umask.
void make_folders(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  if (folder.has_parent_path()) make_folders(folder.parent_path());
  if (fs::create_directory(folder)) {
    fs::permissions(folder, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                fs::perms::others_read | fs::perms::others_exec);
  }
}

Result<void> put(const fs::path& root, const fs::path& folder, std::once_flag& swept, const ChallengeContext& context) {
  const std::string doing = "presenting http-01 in " + folder.string();
  try {
    if (!fs::is_directory(root)) {
      return Error(Errc::io_failed, doing, "the web root " + root.string() + " is not a folder");
    }
    make_folders(folder);
    std::call_once(swept, [&folder] { remove_unfinished_files(folder, age_of_litter); });
    // The web server's user can often write here, and may know the token: no link may lead this elsewhere.
    write_file_atomically(folder / context.token, context.key_authorization, 0644, Links::replace);
  } catch (const fs::filesystem_error& error) {
    return Error(Errc::io_failed, doing, error.what()).with_system_code(error.code());
  } catch (const Error& error) {
    return error.while_doing(doing);
  }
  return {};
}

Result<void> take_away(const fs::path& folder, const std::string& token) {
  std::error_code why;
  fs::remove(folder / token, why);
  if (!why) return {};
  return Error(Errc::io_failed, "removing " + (folder / token).string(), why.message()).with_system_code(why);
}

}  // namespace

WebrootSolver::WebrootSolver(std::filesystem::path root)
    : folder_(std::move(root) / ".well-known" / "acme-challenge"), swept_(std::make_shared<std::once_flag>()) {}

bool WebrootSolver::can_solve(const Identifier&, bool wildcard) const { return !wildcard; }

Flow<Result<void>> WebrootSolver::present(ChallengeContext context) {
  if (!base::is_token(context.token)) {  // it becomes a file name
    co_return Error(Errc::invalid_argument, "presenting http-01 in a web root",
                    "\"" + printable(context.token) + "\" is not a token: those are made of A-Z a-z 0-9 - _");
  }
  std::function<Result<void>()> write = [folder = folder_, swept = swept_, context] {
    return put(folder.parent_path().parent_path(), folder, *swept, context);
  };
  Result<void> written = co_await call(std::move(write));
  co_return written;
}

Flow<Result<void>> WebrootSolver::cleanup(ChallengeContext context) {
  if (!base::is_token(context.token)) co_return Result<void>();  // present() wrote nothing
  std::function<Result<void>()> remove = [folder = folder_, token = context.token] { return take_away(folder, token); };
  Result<void> removed = co_await call(std::move(remove));
  co_return removed;
}

}  // namespace culmen
