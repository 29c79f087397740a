#include "storage_url.hpp"

#include <dlfcn.h>

#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "culmen/blocking/storage.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/version.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "storage_module.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

bool is_postgres(const std::string& url) { return url.starts_with("postgresql://") || url.starts_with("postgres://"); }

[[noreturn]] void refuse(const std::string& url) {
  throw Failure(exit_usage, "invalid_argument", "--storage: \"" + printable(shown_url(url)) + "\" is no storage",
                "Give file:/absolute/folder, or postgresql://user@host/database.");
}

/// What libpq would read otherwise than it was meant is refused: parts of a password would be names of hosts.
void check_well_formed(const std::string& url) {
  if (!shown_url(url).ends_with("://***")) return;
  throw Failure(
      exit_usage, "invalid_argument", "--storage: the PostgreSQL URL cannot be read",
      "Percent-encode \"@\", \"/\", \"?\" and \"%\" in user and password, or leave the password out and put it "
      "into ~/.pgpass.");
}

/// Where a module may be: beside the program, as in a build folder, and where it is installed.
std::vector<fs::path> module_folders() {
  std::error_code failed;
  const fs::path own = fs::read_symlink("/proc/self/exe", failed).parent_path();
  return {own, own / CULMEN_MODULE_FOLDER};
}

/// Loaded once, and never unloaded: objects of its classes live as long as the program.
const StorageModule& postgres_module() {
  static const StorageModule& module = []() -> const StorageModule& {
    std::string why;
    for (const fs::path& folder : module_folders()) {
      const fs::path file = folder / "storage-postgres.so";
      std::error_code failed;
      if (!fs::exists(file, failed)) continue;
      void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!handle) {
        why = printable(dlerror(), 1000);
        continue;
      }
      const auto entry = reinterpret_cast<StorageModuleEntry>(dlsym(handle, storage_module_entry));
      const StorageModule* const found = entry ? entry() : nullptr;
      if (!found) {
        why = file.string() + " is no module of culmen";
      } else if (std::string_view(found->version) != CULMEN_VERSION) {
        why = file.string() + " is of culmen " + printable(found->version) + ", and this is culmen " CULMEN_VERSION;
      } else {
        return *found;
      }
    }
    throw Failure(exit_failed, "not_found",
                  "this culmen cannot use PostgreSQL" + (why.empty() ? std::string() : ": " + why),
                  "Install the package culmen-storage-postgres of the same version.");
  }();
  return module;
}

}  // namespace

fs::path folder_of(const std::string& url) {
  if (!url.starts_with("file:")) return {};
  std::string path = url.substr(5);
  if (path.starts_with("///")) path.erase(0, 2);  // file:///path
  if (path.empty() || path.starts_with("//")) refuse(url);
  return remembered_path(path);
}

std::shared_ptr<Storage> open_storage(const std::string& url, bool make,
                                      std::function<void(const std::string&)> on_warning) {
  if (is_postgres(url)) {
    check_well_formed(url);
    return postgres_module().open(url);
  }
  const fs::path folder = folder_of(url);
  if (folder.empty()) refuse(url);
  return file_storage(folder, {.make_folder = make, .on_warning = std::move(on_warning)});
}

void init_storage(const std::string& url) {
  if (!is_postgres(url)) {
    if (folder_of(url).empty()) refuse(url);
    return;
  }
  check_well_formed(url);
  const StorageModule& module = postgres_module();
  blocking::Storage(module.open(url), {}, interrupt_token()).run(module.init(url));
}

}  // namespace culmen::cli
