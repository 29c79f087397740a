// Folders as other clients leave them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "culmen/imports.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_certificates.hpp"

namespace imports_test {

namespace fs = std::filesystem;
using namespace culmen;

inline const std::string letsencrypt = "https://acme-v02.api.letsencrypt.org/directory";
inline const std::string account_url = "https://acme-v02.api.letsencrypt.org/acme/acct/1";

inline void put(const fs::path& file, const std::string& contents) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << contents;
}

inline fs::path put_program(const fs::path& file, fs::perms mode = fs::perms::owner_all) {
  put(file, "#!/bin/sh\n");
  fs::permissions(file, mode);
  return file;
}

/// `san` as "DNS:a.example,DNS:b.example".
inline void put_pair(const fs::path& chain, const fs::path& key, const std::string& san) {
  const test::Identity made = test::make_identity("x", san, nullptr);
  put(chain, "text before\n" + made.certificate_pem());
  put(key, made.key_pem());
}

inline const FoundCertificate& certificate(const FoundState& found, const std::string& name) {
  for (const FoundCertificate& one : found.certificates) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no certificate " + name);
}

inline const FoundAccount& account(const FoundState& found, const std::string& name) {
  for (const FoundAccount& one : found.accounts) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no account " + name);
}

/// The texts with that remedy, one a line.
inline std::string notes(const std::vector<ImportNote>& notes, ImportNote::Remedy remedy) {
  std::string texts;
  for (const ImportNote& note : notes) {
    if (note.remedy == remedy) texts += note.text + "\n";
  }
  return texts;
}

/// What is wrong with it; empty: nothing.
template <class Found>
std::string wrong(const Found& found) {
  return found.wrong ? found.wrong->what() : "";
}

}  // namespace imports_test
