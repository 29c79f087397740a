// What this host records of hooks: in deployed/ and late/ of its own folder, a JSON file for each certificate.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace culmen::deployment {

/// Of deploy hooks. A plain value.
struct HookRecord {
  HookRecord() = default;
  bool operator==(const HookRecord&) const = default;
  std::string serial;         ///< Of the certificate that they ran for.
  bool hooks_failed = false;  ///< The rest is for that alone.
  std::int64_t tried = 0;     ///< Unix time of the last try.
  std::int64_t since = 0;     ///< Unix time of the first.
  int tries = 1;
  std::map<std::string, std::string> errors;  ///< By program, as printable(). Empty: it is not known which failed.
};
/// A program as records name it.
std::string recorded_name(const std::string& program);

/// Of programs for late certificates. A plain value.
struct LateRecord {
  LateRecord() = default;
  std::optional<std::int64_t> since;  ///< Unix time.
  std::int64_t told = 0;              ///< Unix time; 0: in vain.
};

std::filesystem::path hook_record_file(const std::filesystem::path& local, const std::string& id);
std::filesystem::path late_record_file(const std::filesystem::path& local, const std::string& id);

/// nullopt: there is none. Members with another type count as missing. Throws Error (io_failed) if the file cannot be
/// read, or is not a JSON object.
std::optional<HookRecord> read_hook_record(const std::filesystem::path& file);
std::optional<LateRecord> read_late_record(const std::filesystem::path& file);
/// Makes the folder of the file and the one above it if they are missing. Throws Error (io_failed).
void write_record(const std::filesystem::path& file, const HookRecord& record);
void write_record(const std::filesystem::path& file, const LateRecord& record);

}  // namespace culmen::deployment
