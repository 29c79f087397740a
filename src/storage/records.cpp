#include "culmen/records.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <optional>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "culmen/error.hpp"
#include "culmen/storage.hpp"

namespace culmen {

namespace {

namespace json = boost::json;

std::optional<json::object> object_of(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

/// The members of a record that is being read. Those that are known are taken out; what is left is kept as it is.
class MembersRead {
 public:
  MembersRead(std::string_view value, const std::string& doing) : doing_(doing) {
    std::optional<json::object> members = object_of(value);
    if (members) members_ = std::move(*members);
    if (!members) fail("it is not a JSON object");
    const json::value format = take("format").value_or(record_format);  // files of older versions have none
    if (!format.is_int64() || format.get_int64() < 1) {
      fail("its format is not a positive number");
    } else if (format.get_int64() > record_format) {
      fail(base::newer_format_text(static_cast<std::uint64_t>(format.get_int64()), record_format));
    }
  }

  // What does not exist is empty.
  void read(std::string_view name, std::string& text) {
    const std::optional<json::value> value = take(name);
    if (!value) return;
    if (!value->is_string()) return fail_member(name, "a text");
    text = std::string(value->get_string());
  }
  void read(std::string_view name, bool& flag) {
    const std::optional<json::value> value = take(name);
    if (!value) return;
    if (!value->is_bool()) return fail_member(name, "true or false");
    flag = value->get_bool();
  }
  void read(std::string_view name, std::vector<std::string>& texts) {
    const std::optional<json::value> value = take(name);
    if (!value) return;
    if (!value->is_array()) return fail_member(name, "a list");
    for (const json::value& text : value->get_array()) {
      if (!text.is_string()) return fail_member(name, "a list of texts");
      texts.emplace_back(text.get_string());
    }
  }
  /// The text of a member that is an object.
  void read_object(std::string_view name, std::string& text) {
    const std::optional<json::value> value = take(name);
    if (!value) return;
    if (!value->is_object()) return fail_member(name, "an object");
    text = json::serialize(*value);
  }
  /// What is left, as the text of an object.
  void read_rest(std::string& text) {
    if (!members_.empty()) text = json::serialize(members_);
  }

  /// The record, or the first error.
  template <class Record>
  Result<Record> finished(Record record) const {
    if (error_) return *error_;
    return record;
  }

 private:
  void fail(const std::string& detail) {
    if (!error_) error_ = Error(Errc::io_failed, doing_, detail);
  }
  void fail_member(std::string_view name, const std::string& wanted) {
    fail("its member \"" + std::string(name) + "\" is not " + wanted);
  }
  std::optional<json::value> take(std::string_view name) {
    const auto found = members_.find(name);
    if (found == members_.end()) return std::nullopt;
    json::value value = std::move(found->value());
    members_.stable_erase(found);
    return value;
  }

  std::string doing_;
  json::object members_;
  std::optional<Error> error_;
};

/// The members of a record that is being written: its format first. Throws what cannot be read again.
class MembersWritten {
 public:
  MembersWritten() { write_value("format", json::value(record_format)); }
  void write(std::string_view name, std::string_view text) { write_value(name, json::value(text)); }
  void write(std::string_view name, bool flag) { write_value(name, json::value(flag)); }
  void write(std::string_view name, const std::vector<std::string>& texts) {
    write_value(name, json::array(texts.begin(), texts.end()));
  }
  void write_object(std::string_view name, std::string_view text) { write_value(name, parsed(text, name)); }
  /// Without an empty text.
  void write_if_any(std::string_view name, std::string_view text) {
    known_.insert(name);
    if (!text.empty()) write(name, text);
  }
  /// What was read and not known.
  void write_rest(std::string_view text) {
    if (text.empty()) return;
    for (json::key_value_pair& member : parsed(text, "unknown")) {
      if (known_.contains(member.key()))
        refuse("its unknown members contain \"" + std::string(member.key()) + "\", which is known");
      members_.emplace(member.key(), std::move(member.value()));
    }
  }
  std::string finished() const {
    std::string text = json::serialize(members_);
    if (!object_of(text)) refuse("it is nested too deeply, or a text in it is not UTF-8");
    return text;
  }

 private:
  [[noreturn]] static void refuse(const std::string& detail) {
    throw Error(Errc::invalid_argument, "writing a record", detail);
  }
  static json::object parsed(std::string_view text, std::string_view name) {
    std::optional<json::object> object = object_of(text);
    if (object) return std::move(*object);
    refuse("its " + std::string(name) + " is not a JSON object");
  }
  void write_value(std::string_view name, json::value value) {
    known_.insert(name);
    members_[name] = std::move(value);
  }
  json::object members_;
  std::set<std::string_view> known_;  // literals
};

/// The name of the folder of a CA below accounts/.
std::string server_folder(std::string_view directory_url) {
  constexpr std::string_view https = "https://";
  if (directory_url.starts_with(https)) directory_url.remove_prefix(https.size());
  std::string name;
  for (const char c : directory_url) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       (c == '.' && !name.empty());
    if (plain) {
      name += c;
    } else if (c == '/') {
      name += '_';
    } else {
      constexpr char digits[] = "0123456789ABCDEF";
      const auto octet = static_cast<unsigned char>(c);
      name += {'%', digits[octet >> 4], digits[octet & 15]};
    }
  }
  return name;
}

}  // namespace

std::string encode(const AccountRecord& record) {
  MembersWritten members;
  members.write("key", record.key_pem);
  members.write_if_any("next_key", record.next_key_pem);
  members.write_if_any("url", record.url);
  members.write_if_any("server", record.directory_url);
  members.write_rest(record.unknown);
  return members.finished();
}

Result<AccountRecord> decode_account(std::string_view value) {
  MembersRead members(value, "reading the record of an account");
  AccountRecord record;
  members.read("key", record.key_pem);
  members.read("next_key", record.next_key_pem);
  members.read("url", record.url);
  members.read("server", record.directory_url);
  members.read_rest(record.unknown);
  return members.finished(std::move(record));
}

std::string encode(const Generation& generation) {
  MembersWritten members;
  members.write_if_any("key", generation.key_pem);
  members.write("chain", generation.chain_pem);
  members.write_object("meta", generation.meta);
  return members.finished();
}

Result<Generation> decode_generation(std::string_view value) {
  MembersRead members(value, "reading a stored certificate");
  Generation generation;
  members.read("key", generation.key_pem);
  members.read("chain", generation.chain_pem);
  members.read_object("meta", generation.meta);
  return members.finished(std::move(generation));
}

std::string encode(const PendingOrder& order) {
  MembersWritten members;
  members.write("server", order.server);
  members.write("account", order.account);
  members.write("names", order.names);
  members.write("key_type", order.key_type);
  members.write("profile", order.profile);
  members.write("must_staple", order.must_staple);
  members.write_if_any("replaces", order.replaces);
  members.write("url", order.order_url);
  members.write_if_any("key", order.key_pem);
  members.write_rest(order.unknown);
  return members.finished();
}

Result<PendingOrder> decode_pending_order(std::string_view value) {
  MembersRead members(value, "reading the record of an order in progress");
  PendingOrder order;
  members.read("server", order.server);
  members.read("account", order.account);
  members.read("names", order.names);
  members.read("key_type", order.key_type);
  members.read("profile", order.profile);
  members.read("must_staple", order.must_staple);
  members.read("replaces", order.replaces);
  members.read("url", order.order_url);
  members.read("key", order.key_pem);
  members.read_rest(order.unknown);
  return members.finished(std::move(order));
}

std::string server_part(std::string_view directory_url) { return storage_part(server_folder(directory_url)); }

std::string account_lease(std::string_view directory_url) { return "accounts/" + server_part(directory_url); }
std::string account_key_of(std::string_view directory_url) { return account_lease(directory_url) + "/account"; }

std::string certificate_lease(std::string_view id) { return "certificates/" + storage_part(id); }
std::string certificate_record_key(std::string_view id) { return certificate_lease(id) + "/record"; }
std::string pending_order_key(std::string_view id) { return certificate_lease(id) + "/pending"; }
std::string generation_key(std::string_view id, std::uint64_t number) {
  return certificate_lease(id) + "/" + std::to_string(number);
}

std::string challenge_key(std::string_view type, std::string_view token) {
  return "challenges/" + storage_part(type) + "/" + storage_part(token);
}

std::string rates_key(std::string_view directory_url, std::string_view account_url) {
  return "rates/" + server_part(directory_url) + "/" + storage_part(account_url);
}

std::string unused_key_of(std::string_view time, std::string_view thumbprint) {
  return "keys/unused/" + storage_part(base::to_lower(std::string(time) + "-" + std::string(thumbprint)));
}

}  // namespace culmen
