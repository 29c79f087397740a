#include "deployment/hook_records.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <string_view>
#include <system_error>
#include <vector>

#include "culmen/atomic_file.hpp"
#include "culmen/deployment.hpp"
#include "culmen/error.hpp"
#include "culmen/storage.hpp"
#include "storage/durable_files.hpp"

namespace culmen::deployment {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr int hook_record_format = 1;
constexpr std::size_t longest_path = 4096, longest_error = 2000;

std::optional<json::object> read_object(const fs::path& file) {
  const std::optional<std::string> text = read_file(file);
  if (!text) return std::nullopt;
  boost::system::error_code failed;
  json::value value = json::parse(*text, failed);
  if (failed || !value.is_object())
    throw Error(Errc::io_failed, "reading " + file.string(), "it is not a JSON object; move it away to start over");
  return std::move(value.get_object());
}

std::optional<std::int64_t> integer(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  if (!value || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}

std::vector<std::string> texts(const json::object& object, std::string_view name) {
  std::vector<std::string> found;
  const json::value* const value = object.if_contains(name);
  if (!value || !value->is_array()) return found;
  for (const json::value& text : value->get_array()) {
    if (text.is_string()) found.emplace_back(text.get_string());
  }
  return found;
}

void write_object(const fs::path& file, const json::object& object) {
  const fs::path folder = file.parent_path(), local = folder.parent_path();
  std::error_code failed;
  if (!fs::is_directory(local.parent_path(), failed))
    throw Error(Errc::io_failed, "writing " + file.string(), "there is no folder " + local.parent_path().string());
  storage::make_store_folder(local);
  storage::make_store_folder(folder);
  remove_unfinished_files(folder, std::chrono::seconds(0));
  storage::write_owners_file(file, json::serialize(object) + "\n", 0600);
}

}  // namespace

std::string recorded_name(const std::string& program) { return printable(program, longest_path); }

fs::path hook_record_file(const fs::path& local, const std::string& id) {
  return local / "deployed" / (storage_part(id) + ".json");
}

fs::path late_record_file(const fs::path& local, const std::string& id) {
  return local / "late" / (storage_part(id) + ".json");
}

std::optional<HookRecord> read_hook_record(const fs::path& file) {
  const std::optional<json::object> object = read_object(file);
  if (!object) return std::nullopt;
  HookRecord record;
  if (const json::value* const serial = object->if_contains("serial"); serial && serial->is_string())
    record.serial = std::string(serial->get_string());
  const json::value* const failed = object->if_contains("hooks_failed");
  record.hooks_failed = failed && failed->is_bool() && failed->get_bool();
  if (!record.hooks_failed) return record;
  record.tried = integer(*object, "tried").value_or(0);
  record.since = integer(*object, "since").value_or(record.tried);
  record.tries = static_cast<int>(integer(*object, "tries").value_or(1));
  const std::vector<std::string> programs = texts(*object, "failed"), errors = texts(*object, "errors");
  for (std::size_t i = 0; i < std::min(programs.size(), errors.size()); ++i) record.errors[programs[i]] = errors[i];
  return record;
}

void write_record(const fs::path& file, const HookRecord& record) {
  json::object object;
  object["format"] = hook_record_format;
  object["serial"] = record.serial;
  if (record.hooks_failed) {
    object["hooks_failed"] = true;
    object["tried"] = record.tried;
    object["since"] = record.since;
    object["tries"] = record.tries;
    json::array& programs = object["failed"].emplace_array();
    for (const auto& [program, error] : record.errors) programs.emplace_back(program);
    json::array& errors = object["errors"].emplace_array();
    for (const auto& [program, error] : record.errors) errors.emplace_back(printable(error, longest_error));
  }
  write_object(file, object);
}

std::optional<LateRecord> read_late_record(const fs::path& file) {
  const std::optional<json::object> object = read_object(file);
  if (!object) return std::nullopt;
  LateRecord record;
  record.since = integer(*object, "since");
  record.told = integer(*object, "told").value_or(0);
  return record;
}

void write_record(const fs::path& file, const LateRecord& record) {
  json::object object;
  object["format"] = hook_record_format;
  if (record.since) object["since"] = *record.since;
  if (record.told != 0) object["told"] = record.told;
  write_object(file, object);
}

}  // namespace culmen::deployment

namespace culmen {

namespace {

void check_done(const std::string& doing, const std::error_code& failed) {
  if (failed && failed != std::errc::no_such_file_or_directory)
    throw Error(Errc::io_failed, doing, failed.message()).with_system_code(failed);
}

}  // namespace

void rename_hook_records(const std::filesystem::path& local, const std::string& from, const std::string& to) {
  for (const auto& file_of : {deployment::hook_record_file, deployment::late_record_file}) {
    std::error_code failed;
    std::filesystem::rename(file_of(local, from), file_of(local, to), failed);
    check_done("renaming " + file_of(local, from).string(), failed);
  }
}

void remove_hook_records(const std::filesystem::path& local, const std::string& id) {
  for (const auto& file_of : {deployment::hook_record_file, deployment::late_record_file}) {
    std::error_code failed;
    std::filesystem::remove(file_of(local, id), failed);
    check_done("removing " + file_of(local, id).string(), failed);
  }
}

}  // namespace culmen
