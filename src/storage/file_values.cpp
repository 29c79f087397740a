#include "storage/file_values.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/text.hpp"
#include "culmen/certificate.hpp"
#include "culmen/records.hpp"
#include "culmen/result.hpp"
#include "storage/system_error.hpp"

namespace culmen::storage {

namespace {

namespace json = boost::json;
using Kind = Place::Kind;

constexpr const char* storage_member = "storage";
constexpr std::string_view value_mark = "culmen-value 1 ";

Error damaged(const Folder& root, const std::string& path, const std::string& detail) {
  return Error(Errc::io_failed, "reading " + (root.path() / path).string(), detail);
}

Error unfit(const Place& place, const std::string& detail) {
  return Error(Errc::invalid_argument, "storing a value in " + place.folder, detail);
}

const std::string* file_in(const PlaceFiles& files, const std::string& name) {
  const auto found = files.find(name);
  return found == files.end() ? nullptr : &found->second;
}

std::optional<json::object> parsed_members(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

json::object members_of(const Folder& root, const std::string& path, const std::string& contents) {
  std::optional<json::object> members = parsed_members(contents);
  if (!members) throw damaged(root, path, "it is not a JSON object; restore it from a backup, or move it away");
  return std::move(*members);
}

/// The contents of a PEM file, as a text in a value. A file may hold anything.
const std::string& text_of(const Folder& root, const std::string& path, const std::string& contents) {
  boost::system::error_code failed;
  json::parse(json::serialize(json::string(contents)), failed);
  if (failed) throw damaged(root, path, "it is not text; restore it from a backup, or move it away");
  return contents;
}

std::string json_line(const json::object& members) { return json::serialize(members) + "\n"; }

std::string text_member(const json::object& members, std::string_view name) {
  const json::value* const value = members.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// ---- What is kept with a value ----

json::object stamp_members(const Stamp& stamp) {
  json::object members;
  members["revision"] = stamp.revision;
  if (!stamp.lease.empty()) {
    json::object fence;
    fence["lease"] = stamp.lease;
    fence["token"] = stamp.token;
    members["fence"] = std::move(fence);
  }
  return members;
}

/// Takes the stamp out of the members. Files of the program of before have none.
Stamp take_stamp(json::object& members) {
  Stamp stamp;
  const auto found = members.find(storage_member);
  if (found == members.end()) return stamp;
  if (const json::object* const own = found->value().if_object()) {
    stamp.revision = text_member(*own, "revision");
    const json::value* const fence = own->if_contains("fence");
    if (fence && fence->is_object()) {
      stamp.lease = text_member(fence->get_object(), "lease");
      const json::value* const token = fence->get_object().if_contains("token");
      if (token && token->is_int64() && token->get_int64() > 0)
        stamp.token = static_cast<std::uint64_t>(token->get_int64());
    }
  }
  members.stable_erase(found);
  return stamp;
}

/// FNV-1a: to tell versions apart that other programs have made. Their authors may write to the store anyway.
Revision fingerprint(const PlaceFiles& files, const std::string& value) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ 0x100) * 0x100000001b3;
  };
  for (const auto& [name, contents] : files) {
    add(name);
    add(contents);
  }
  add(value);
  std::array<char, 17> digits{};
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), hash, 16);
  return Revision(std::string(digits.data(), written.ptr));
}

FileValue with_revision(const PlaceFiles& files, std::string value, Stamp stamp) {
  FileValue found;
  found.stored.revision = fingerprint(files, value);
  found.stored.value = std::move(value);
  found.stamp = std::move(stamp);
  return found;
}

// ---- Accounts ----

std::optional<FileValue> account_value(const Folder& root, const Place& place, const PlaceFiles& files) {
  if (files.empty()) return std::nullopt;
  const std::string* const key = file_in(files, "account.key");
  const std::string* const next = file_in(files, "account.key.new");
  const std::string* const record = file_in(files, "account.json");
  const std::string key_path = place.folder + "/account.key";
  if (!key || key->empty()) {
    throw damaged(root, key_path,
                  std::string(key ? "it is empty" : "it is missing") +
                      ": restore the account's key from a backup; to begin with a new account, move it away with its "
                      "folder " +
                      place.folder);
  }
  json::object members;
  if (record) members = members_of(root, place.folder + "/account.json", *record);
  Stamp stamp = take_stamp(members);
  members["key"] = text_of(root, key_path, *key);
  if (next) members["next_key"] = text_of(root, key_path + ".new", *next);
  const Result<AccountRecord> account = decode_account(json::serialize(members));
  if (!account) throw damaged(root, place.folder + "/account.json", account.error().detail());
  return with_revision(files, encode(*account), std::move(stamp));
}

PlaceFiles account_files(const Place& place, const std::string& value, const Stamp& stamp) {
  const Result<AccountRecord> account = decode_account(value);
  if (!account) throw unfit(place, account.error().detail());
  if (account->key_pem.empty()) throw unfit(place, "the account has no key");
  json::object members = *parsed_members(encode(*account));
  members.erase("key");
  members.erase("next_key");
  members[storage_member] = stamp_members(stamp);
  PlaceFiles files;
  files["account.key"] = account->key_pem;
  if (!account->next_key_pem.empty()) files["account.key.new"] = account->next_key_pem;
  files["account.json"] = json_line(members);
  return files;
}

// ---- Orders in progress ----

std::optional<FileValue> pending_value(const Folder& root, const Place& place, const PlaceFiles& files) {
  const std::string* const order = file_in(files, "order.json");
  if (!order) return std::nullopt;  // a key alone is left when the program was killed while it removed both
  const std::string path = place.folder + "/order.json";
  json::object members = members_of(root, path, *order);
  Stamp stamp = take_stamp(members);
  if (const std::string* const key = file_in(files, "key.pem"))
    members["key"] = text_of(root, place.folder + "/key.pem", *key);
  const Result<PendingOrder> pending = decode_pending_order(json::serialize(members));
  if (!pending) throw damaged(root, path, pending.error().detail());
  return with_revision(files, encode(*pending), std::move(stamp));
}

PlaceFiles pending_files(const Place& place, const std::string& value, const Stamp& stamp) {
  const Result<PendingOrder> pending = decode_pending_order(value);
  if (!pending) throw unfit(place, pending.error().detail());
  json::object members = *parsed_members(encode(*pending));
  members.erase("key");
  members[storage_member] = stamp_members(stamp);
  PlaceFiles files;
  files["order.json"] = json_line(members);
  if (!pending->key_pem.empty()) files["key.pem"] = pending->key_pem;
  return files;
}

// ---- Generations ----

std::string certificate_of(const Place& generation) {
  return generation.folder.substr(0, generation.folder.rfind('/'));
}

std::optional<FileValue> generation_value(const Folder& root, const Place& place, const PlaceFiles& files) {
  const std::string* const meta = file_in(files, "meta.json");
  const std::string* const chain = file_in(files, "fullchain.pem");
  const std::string* const key = file_in(files, "key.pem");
  const bool is_live = (!meta || files.empty()) && live_generation(root, certificate_of(place)) == place.generation;
  // The program writes meta.json last: without it a generation is unfinished.
  if (!meta && !is_live) return std::nullopt;
  const auto missing = [&](const std::string& name) {
    return damaged(
        root, place.folder + "/" + name,
        "it is missing: restore it from a backup, or point " + certificate_of(place) + "/live to another generation");
  };
  if (!meta) throw missing("meta.json");
  json::object members = members_of(root, place.folder + "/meta.json", *meta);
  const json::value* const own = members.if_contains(storage_member);
  const json::value* const has_key = own && own->is_object() ? own->get_object().if_contains("key") : nullptr;
  const bool key_is_elsewhere = has_key && has_key->is_bool() && !has_key->get_bool();
  Stamp stamp = take_stamp(members);
  if (!chain) throw missing("fullchain.pem");
  if (!key && !key_is_elsewhere) throw missing("key.pem");
  if (key && key->empty()) throw damaged(root, place.folder + "/key.pem", "it is empty: restore it from a backup");
  Generation generation;
  generation.chain_pem = text_of(root, place.folder + "/fullchain.pem", *chain);
  if (key) generation.key_pem = text_of(root, place.folder + "/key.pem", *key);
  generation.meta = json::serialize(members);
  return with_revision(files, encode(generation), std::move(stamp));
}

PlaceFiles generation_files(const Place& place, const std::string& value, const Stamp& stamp) {
  const Result<Generation> generation = decode_generation(value);
  if (!generation) throw unfit(place, generation.error().detail());
  std::optional<json::object> members = parsed_members(generation->meta);
  if (!members) throw unfit(place, "its meta is not a JSON object");
  const std::vector<Bytes> blocks = pem_to_der(generation->chain_pem);
  if (blocks.empty()) throw unfit(place, "its chain is not PEM");
  json::object own = stamp_members(stamp);
  if (generation->key_pem.empty()) own["key"] = false;
  (*members)[storage_member] = std::move(own);
  PlaceFiles files;
  if (!generation->key_pem.empty()) files["key.pem"] = generation->key_pem;
  files["fullchain.pem"] = generation->chain_pem;
  files["cert.pem"] = der_to_pem(blocks.front());
  for (std::size_t i = 1; i < blocks.size(); ++i) files["chain.pem"] += der_to_pem(blocks[i]);
  files.try_emplace("chain.pem");
  files["meta.json"] = json_line(*members);
  return files;
}

// ---- Records ----

std::int64_t unix_seconds(std::chrono::system_clock::time_point time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// Sets what the record says about its live generation, from the files of that generation.
void describe_live(const Folder& root, const std::string& folder, std::uint64_t live, json::object& record) {
  const std::string path = folder + "/" + std::to_string(live);
  const std::optional<Folder> generation = root.find(path);
  const std::optional<FileRead> chain = generation ? generation->read("fullchain.pem") : std::nullopt;
  if (!chain) {
    throw damaged(
        root, path + "/fullchain.pem",
        "it is missing, and " + folder + "/live points there: restore it, or point live to another generation");
  }
  Certificate leaf;
  try {
    leaf = Certificate::from_pem(chain->contents);
  } catch (const Error& error) {
    throw damaged(root, path + "/fullchain.pem", error.detail());
  }
  json::object meta, renewal;
  if (const std::optional<FileRead> file = generation->read("meta.json"))
    meta = members_of(root, path + "/meta.json", file->contents);
  if (const std::optional<FileRead> file = generation->read("renewal.json"))
    renewal = parsed_members(file->contents).value_or(json::object());  // not worth an error: the CA can be asked again

  record["live"] = live;
  json::array names;
  for (const Identifier& identifier : leaf.identifiers) names.emplace_back(identifier.value);
  record["names"] = std::move(names);
  for (const char* const name : {"key_type", "server", "account", "revoked"}) record[name] = text_member(meta, name);
  record["not_before"] = unix_seconds(leaf.not_before);
  record["not_after"] = unix_seconds(leaf.not_after);
  record["certificate_id"] =
      leaf.authority_key_identifier.empty()
          ? std::string()
          : base::base64url_encode(leaf.authority_key_identifier) + "." + base::base64url_encode(leaf.serial);
  if (const json::value* const dice = renewal.if_contains("dice"); dice && dice->is_int64()) record["dice"] = *dice;
  record["renewal"] = std::move(renewal);
  for (const char* const name : {"last_error", "emergency"}) record[name] = "";
  record["key_compromised"] = false;
}

std::uint64_t number_member(const json::object& members, std::string_view name) {
  const json::value* const value = members.if_contains(name);
  return value && value->is_int64() && value->get_int64() > 0 ? static_cast<std::uint64_t>(value->get_int64()) : 0;
}

std::string fault_of_record(const json::object& record) {
  if (const json::value* const format = record.if_contains("format")) {
    if (!format->is_int64() || format->get_int64() < 1) return "its format is not a positive number";
    if (format->get_int64() > record_format) {
      return base::newer_format_text(static_cast<std::uint64_t>(format->get_int64()), record_format);
    }
  }
  const json::value* const live = record.if_contains("live");
  if (live && (!live->is_int64() || live->get_int64() < 0)) return "its live is not the number of a generation";
  return {};
}

std::optional<FileValue> record_value(const Folder& root, const Place& place, const PlaceFiles& files) {
  if (files.empty()) return std::nullopt;
  const std::string path = place.folder + "/record.json";
  const std::string* const contents = file_in(files, "record.json");
  const std::string* const link = file_in(files, live_link);
  json::object record;
  if (contents) record = members_of(root, path, *contents);
  Stamp stamp = take_stamp(record);
  if (const std::string fault = fault_of_record(record); !fault.empty()) throw damaged(root, path, fault);
  const std::uint64_t recorded = number_member(record, "live");
  const std::optional<std::uint64_t> live = link ? generation_number(*link) : std::nullopt;
  if (link && !live) {
    throw damaged(
        root, place.folder + "/live",
        "it points to \"" + printable(*link, 100) + "\", which is not a generation; point it to the one that counts");
  }
  if (!link && recorded != 0) {
    throw damaged(root, place.folder + "/live",
                  "it is missing, and record.json names generation " + std::to_string(recorded) +
                      "; make it again: ln -s " + std::to_string(recorded) + " " +
                      (root.path() / place.folder / "live").string());
  }
  if (!live) return with_revision(files, json::serialize(record), std::move(stamp));

  const std::optional<Folder> generation = root.find(place.folder + "/" + *link);
  if (!generation) {
    throw damaged(root, place.folder + "/live",
                  "it points to generation " + *link +
                      ", which does not exist; restore that folder, or point it to one that exists");
  }
  if (recorded != *live) {  // an older version of the program renewed it, or somebody turned the link: the link counts
    if (!record.contains("format")) record["format"] = record_format;
    const std::uint64_t largest = largest_generation(root, place.folder);
    record["live"] = *live;
    record["last_generation"] = std::max({number_member(record, "last_generation"), largest, *live});
    describe_live(root, place.folder, *live, record);
  } else if (text_member(record, "revoked").empty()) {
    const std::optional<FileRead> file = generation->read("meta.json");  // where the program notes a revocation
    const json::object meta = file ? parsed_members(file->contents).value_or(json::object()) : json::object();
    if (const std::string revoked = text_member(meta, "revoked"); !revoked.empty()) record["revoked"] = revoked;
  }
  return with_revision(files, json::serialize(record), std::move(stamp));
}

PlaceFiles record_files(const Place& place, const std::string& value, const Stamp& stamp) {
  std::optional<json::object> record = parsed_members(value);
  if (!record) throw unfit(place, "the record is not a JSON object");
  if (const std::string fault = fault_of_record(*record); !fault.empty()) throw unfit(place, fault);
  (*record)[storage_member] = stamp_members(stamp);
  PlaceFiles files;
  files["record.json"] = json_line(*record);
  if (const std::uint64_t live = number_member(*record, "live"); live != 0) files[live_link] = std::to_string(live);
  return files;
}

// ---- All others: a line with what is kept with the value, then its octets ----

std::string value_text(const std::string& value, const Stamp& stamp) {
  const std::string expires = stamp.expires_at ? std::to_string(unix_seconds(*stamp.expires_at)) : "-";
  const std::string fence = stamp.lease.empty() ? "-" : std::to_string(stamp.token) + "@" + stamp.lease;
  return std::string(value_mark) + stamp.revision + ' ' + expires + ' ' + fence + ' ' + std::to_string(value.size()) +
         '\n' + value;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<FileValue> value_of_text(std::string_view text) {
  if (!text.starts_with(value_mark)) return std::nullopt;
  text.remove_prefix(value_mark.size());
  std::string_view words[4];
  for (std::string_view& word : words) {
    const std::size_t end = text.find(&word == &words[3] ? '\n' : ' ');
    if (end == std::string_view::npos) return std::nullopt;
    word = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  FileValue found;
  found.stamp.revision = std::string(words[0]);
  if (words[1] != "-") {
    const std::optional<std::int64_t> seconds = number_of<std::int64_t>(words[1]);
    if (!seconds) return std::nullopt;
    found.stamp.expires_at = std::chrono::system_clock::time_point(std::chrono::seconds(*seconds));
  }
  if (words[2] != "-") {
    const std::size_t at = words[2].find('@');
    const std::optional<std::uint64_t> token = number_of<std::uint64_t>(words[2].substr(0, at));
    if (!token || at == std::string_view::npos) return std::nullopt;
    found.stamp.token = *token;
    found.stamp.lease = std::string(words[2].substr(at + 1));
  }
  if (number_of<std::size_t>(words[3]) != text.size()) return std::nullopt;
  found.stored.value = std::string(text);
  found.stored.revision = Revision(found.stamp.revision);
  return found;
}

std::optional<FileValue> other_value(const Folder& root, const Place& place, const PlaceFiles& files) {
  if (files.empty()) return std::nullopt;
  std::optional<FileValue> found = value_of_text(files.begin()->second);
  if (found) return found;
  throw damaged(root, place.folder + "/" + place.file,
                "it is not as culmen left it; restore it from a backup, or move it away");
}

std::vector<std::string> names_of(const Place& place) {
  switch (place.kind) {
    case Kind::account: return {"account.key", "account.json", "account.key.new"};
    case Kind::record: return {"record.json"};
    case Kind::pending: return {"order.json", "key.pem"};
    case Kind::generation: return {"key.pem", "fullchain.pem", "cert.pem", "chain.pem", "meta.json"};
    case Kind::unused_key:
    case Kind::other: return {place.file};
  }
  return {};
}

}  // namespace

bool holds_key(const std::string& name) { return name == "key.pem" || name.starts_with("account.key"); }

Stamp make_stamp(const std::optional<Lease>& fence) {
  std::array<std::uint8_t, 8> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw_errno("storing a value", "getting random numbers");
  Stamp stamp;
  stamp.revision = base::hex_encode(random);
  if (fence) {
    stamp.lease = fence->name;
    stamp.token = fence->token;
  }
  return stamp;
}

/// Tools that follow links make a folder of `live`. If it has what a generation has, it stands for that one; empty: it
/// does not.
std::string generation_in(const Folder& certificate) {
  const std::optional<Folder> live = certificate.find(live_link);
  if (!live) return {};
  const auto same = [&](const Folder& generation) {
    for (const char* const name : {"key.pem", "fullchain.pem"}) {
      const std::optional<FileRead> one = live->read(name), other = generation.read(name);
      if (!one || !other || one->contents != other->contents) return false;
    }
    return true;
  };
  for (const std::string& name : certificate.names()) {
    if (!generation_number(name)) continue;
    const std::optional<Folder> generation = certificate.find(name);
    if (generation && same(*generation)) return name;
  }
  return {};
}

bool is_copy_of_generation(const Folder& root, const Place& place) {
  const std::optional<Folder> folder = root.find(place.folder);
  if (!folder) return false;
  const std::optional<struct stat> live = folder->status(live_link);
  return live && S_ISDIR(live->st_mode) && !generation_in(*folder).empty();
}

PlaceFiles read_place(const Folder& root, const Place& place, const Warn& warn) {
  PlaceFiles files;
  const std::optional<Folder> folder = root.find(place.folder);
  if (!folder) return files;
  for (const std::string& name : names_of(place)) {
    std::optional<FileRead> file = folder->read(name);
    if (!file) continue;
    if (holds_key(name) && (file->status.st_mode & S_IROTH) != 0)
      warn((folder->path() / name).string() +
           " holds a private key, and every user of this machine can read it; to end that: chmod o-rwx " +
           (folder->path() / name).string());
    files[name] = std::move(file->contents);
  }
  if (place.kind != Kind::record) return files;
  const std::optional<struct stat> live = folder->status(live_link);
  if (live && S_ISDIR(live->st_mode)) {
    if (std::string generation = generation_in(*folder); !generation.empty()) {
      files[live_link] = std::move(generation);
      return files;
    }
    throw damaged(root, place.folder + "/live",
                  "it is a folder, and must be a link to a generation; rename it to a number, such as 1, and make the "
                  "link: ln -s 1 live");
  }
  if (std::optional<std::string> link = folder->read_link(live_link)) files[live_link] = std::move(*link);
  return files;
}

PlaceFiles readable_files(const Folder& root, const Place& place) {
  PlaceFiles files;
  const std::optional<Folder> folder = root.find(place.folder);
  if (!folder) return files;
  for (const std::string& name : names_of(place)) {
    const Result<std::optional<FileRead>> file = result_of([&] { return folder->read(name); });
    if (file && *file) files[name] = (*file)->contents;
  }
  if (place.kind != Kind::record) return files;
  const Result<std::optional<std::string>> link = result_of([&] { return folder->read_link(live_link); });
  if (link && *link) files[live_link] = **link;
  return files;
}

std::optional<FileValue> value_of(const Folder& root, const Place& place, const PlaceFiles& files) {
  switch (place.kind) {
    case Kind::account: return account_value(root, place, files);
    case Kind::record: return record_value(root, place, files);
    case Kind::pending: return pending_value(root, place, files);
    case Kind::generation: return generation_value(root, place, files);
    case Kind::unused_key:
    case Kind::other: return other_value(root, place, files);
  }
  return std::nullopt;
}

PlaceFiles files_of(const Place& place, const std::string& value, const Stamp& stamp) {
  switch (place.kind) {
    case Kind::account: return account_files(place, value, stamp);
    case Kind::record: return record_files(place, value, stamp);
    case Kind::pending: return pending_files(place, value, stamp);
    case Kind::generation: return generation_files(place, value, stamp);
    case Kind::unused_key:
    case Kind::other: return PlaceFiles{{place.file, value_text(value, stamp)}};
  }
  return {};
}

std::optional<std::uint64_t> live_generation(const Folder& root, const std::string& folder) {
  const std::optional<Folder> certificate = root.find(folder);
  if (!certificate) return std::nullopt;
  const std::optional<struct stat> live = certificate->status(live_link);
  if (live && S_ISDIR(live->st_mode)) return generation_number(generation_in(*certificate));
  const std::optional<std::string> link = certificate->read_link(live_link);
  return link ? generation_number(*link) : std::nullopt;
}

std::uint64_t largest_generation(const Folder& root, const std::string& folder) {
  std::uint64_t largest = 0;
  const std::optional<Folder> certificate = root.find(folder);
  if (!certificate) return largest;
  for (const std::string& name : certificate->names()) {
    largest = std::max(largest, generation_number(name).value_or(0));
  }
  return largest;
}

mode_t mode_of_file(const std::string& name) {
  return name == "fullchain.pem" || name == "cert.pem" || name == "chain.pem" ? 0644 : 0600;
}

}  // namespace culmen::storage
