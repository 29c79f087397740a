#include "certificate_store.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

std::string checked_name(const std::string& name) {
  const bool characters_fine = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.front() == '-' || !characters_fine) {
    throw Failure(exit_usage, "invalid_argument",
                  "\"" + name +
                      "\" is not a name for a certificate: letters, digits, '.', '-', '_' and ':' make one, "
                      "and it starts with neither '.' nor '-'");
  }
  return name;
}

// The number of a generation's folder; 0 for any other entry.
unsigned generation_number(const fs::path& entry) {
  const std::string text = entry.filename().string();
  unsigned number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size() ? number : 0;
}

std::vector<fs::path> generations(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (generation_number(entry.path()) != 0) found.push_back(entry.path());
  }
  return found;
}

}  // namespace

CertificateFolder::CertificateFolder(const fs::path& state, const std::string& name)
    : CertificateFolder(state / "certificates" / checked_name(name), name, 0) {
  make_private_folder(state);
  make_private_folder(state / "certificates");
  make_private_folder(folder_);
}

CertificateFolder::CertificateFolder(fs::path folder, std::string name, int)
    : folder_(std::move(folder)), name_(std::move(name)) {}

std::optional<CertificateFolder> CertificateFolder::find(const fs::path& state, const std::string& name) {
  const fs::path folder = state / "certificates" / checked_name(name);
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) return std::nullopt;
  return CertificateFolder(folder, name, 0);
}

std::vector<CertificateFolder> CertificateFolder::all(const fs::path& state) {
  std::vector<CertificateFolder> folders;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(state / "certificates", failed)) {
    if (!fs::is_directory(entry.path(), failed)) continue;
    folders.push_back(CertificateFolder(entry.path(), entry.path().filename().string(), 0));
  }
  std::sort(folders.begin(), folders.end(),
            [](const CertificateFolder& a, const CertificateFolder& b) { return a.name() < b.name(); });
  return folders;
}

std::string CertificateFolder::name_for(const Identifier& first) {
  return first.is_wildcard() ? "_wildcard" + first.value.substr(1) : first.value;
}

FolderLock CertificateFolder::lock() const { return FolderLock(folder_, "the certificate \"" + name_ + "\"", 0); }

std::optional<StoredCertificate> CertificateFolder::live() const {
  const auto chain = read_file(live_path() / "fullchain.pem");
  if (!chain) return std::nullopt;
  StoredCertificate stored;
  stored.folder = live_path();
  stored.fullchain = *chain;
  try {
    stored.leaf = Certificate::from_pem(*chain);
    if (const auto meta = read_json(live_path() / "meta.json")) stored.meta = *meta;
    if (const auto key = read_file(live_path() / "key.pem")) stored.key = PrivateKey::from_pem(*key);
    if (!stored.key) {
      stored.damage = "its key is missing";
    } else if (!stored.leaf.matches(*stored.key)) {
      stored.damage = "its key belongs to another certificate";
    }
  } catch (const Error& error) {
    stored.damage = error.what();
  }
  return stored;
}

StoredCertificate CertificateFolder::install(const std::string& chain_pem, const Certificate& leaf,
                                             const PrivateKey& key, const JsonObject& meta) const {
  const std::vector<Bytes> blocks = pem_to_der(chain_pem);
  if (blocks.empty()) throw Error(Errc::bad_response, "storing the certificate", "the chain is empty");
  std::string rest;
  for (std::size_t i = 1; i < blocks.size(); ++i) rest += der_to_pem(blocks[i]);

  std::error_code ignored;
  const fs::path previous = fs::read_symlink(live_path(), ignored);
  unsigned number = 1;
  for (const fs::path& generation : generations(folder_)) number = std::max(number, generation_number(generation) + 1);
  const fs::path fresh = folder_ / std::to_string(number);
  make_private_folder(fresh);
  write_files_atomically(fresh, {{"key.pem", key.to_pem(), 0600},
                                 {"fullchain.pem", chain_pem, 0644},
                                 {"cert.pem", der_to_pem(blocks.front()), 0644},
                                 {"chain.pem", rest, 0644},
                                 {"meta.json", json_file_text(meta), 0600}});
  switch_link(live_path(), fresh.filename());

  for (const fs::path& generation : generations(folder_)) {
    if (generation != fresh && generation.filename() != previous) fs::remove_all(generation, ignored);
  }
  StoredCertificate stored;
  stored.folder = live_path();
  stored.fullchain = chain_pem;
  stored.leaf = leaf;
  stored.key = key;
  stored.meta = meta;
  return stored;
}

void CertificateFolder::mark(const std::string& member, const std::string& value) const {
  JsonObject meta;
  if (auto present = read_json(live_path() / "meta.json")) meta = std::move(*present);
  meta.set(member, value);
  write_json(live_path() / "meta.json", meta);
}

std::optional<PendingIssuance> CertificateFolder::pending() const {
  auto order = read_json(folder_ / "pending/order.json");
  if (!order) return std::nullopt;
  PendingIssuance pending;
  pending.order = std::move(*order);
  if (const auto key = read_file(folder_ / "pending/key.pem")) pending.key = PrivateKey::from_pem(*key);
  return pending;
}

void CertificateFolder::keep_order(const JsonObject& order) const {
  make_private_folder(folder_ / "pending");
  write_json(folder_ / "pending/order.json", order);
}

void CertificateFolder::keep_key(const PrivateKey& key) const {
  make_private_folder(folder_ / "pending");
  write_file_atomically(folder_ / "pending/key.pem", key.to_pem(), 0600);
}

void CertificateFolder::drop_pending() const { fs::remove_all(folder_ / "pending"); }

}  // namespace culmen::cli
