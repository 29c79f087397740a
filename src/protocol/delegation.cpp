#include "protocol/delegation.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/request.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/response.hpp"

namespace culmen {
namespace {

using namespace protocol;
using Kind = TemplateValue::Kind;

constexpr std::string_view reading = "reading a CSR template";
constexpr std::size_t max_template = 64 * 1024;
constexpr std::size_t max_entries = 100;
constexpr std::size_t max_text = 1024;

Error too_large(std::string_view member) {
  return Error(Errc::bad_response, reading, "\"" + printable(member, 100) + "\" is larger than in any template");
}

/// The optional wildcard: "*", or null.
bool is_optional(const json::value& value) {
  const json::string* text = value.if_string();
  return value.is_null() || (text && *text == "*");
}

/// Reads one template. Unsupported members go into `not_understood`.
class TemplateReader {
 public:
  explicit TemplateReader(CsrTemplate& out) : out_(out) {}

  void read(const json::object& object) {
    read_key_types(object);
    if (const json::object* subject = part(object, "subject", "subject")) read_subject(*subject);
    if (const json::object* extensions = part(object, "extensions", "extensions")) read_extensions(*extensions);
  }

 private:
  void cannot_follow(const std::string& member) {
    if (out_.not_understood.size() == max_entries) throw too_large(member);
    out_.not_understood.push_back(printable(member, 200));
  }

  /// A member that is an object; nullptr if it is missing or not supported.
  const json::object* part(const json::object& object, std::string_view name, const std::string& path) {
    const json::value* value = object.if_contains(name);
    if (!value || is_optional(*value)) return nullptr;
    if (!value->is_object()) cannot_follow(path);
    return value->if_object();
  }

  const json::array* list(const json::object& object, std::string_view name, const std::string& path) {
    const json::value* value = object.if_contains(name);
    if (!value || is_optional(*value)) return nullptr;
    const json::array* array = value->if_array();
    if (!array) cannot_follow(path);
    if (array && array->size() > max_entries) throw too_large(path);
    return array;
  }

  TemplateValue read_value(const json::value& value, const std::string& path) {
    if (is_optional(value)) return TemplateValue(Kind::optional);
    const json::object* object = value.if_object();
    const json::string* text = value.if_string();
    if ((object && object->empty()) || (text && *text == "**")) return TemplateValue(Kind::mandatory);
    if (text && text->size() > max_text) throw too_large(path);
    if (text && !text->empty()) return TemplateValue(Kind::literal, std::string(*text));
    cannot_follow(path);
    return {};
  }

  void read_key_types(const json::object& object) {
    const json::array* types = list(object, "keyTypes", "keyTypes");
    if (!types) return;
    for (const json::value& value : *types) {
      TemplateKeyType type;
      if (const json::object* member = value.if_object()) {
        type.public_key_type = text_member(*member, "PublicKeyType").substr(0, max_text);
        type.key_length = number_member(*member, "PublicKeyLength", 0);
        type.named_curve = text_member(*member, "namedCurve").substr(0, max_text);
        type.signature_type = text_member(*member, "SignatureType").substr(0, max_text);
      }
      out_.key_types.push_back(std::move(type));
    }
  }

  void read_subject(const json::object& subject) {
    constexpr std::array<std::pair<std::string_view, TemplateValue CsrTemplate::*>, 7> members = {{
        {"country", &CsrTemplate::country},
        {"stateOrProvince", &CsrTemplate::state},
        {"locality", &CsrTemplate::locality},
        {"organization", &CsrTemplate::organization},
        {"organizationalUnit", &CsrTemplate::organizational_unit},
        {"commonName", &CsrTemplate::common_name},
        {"emailAddress", &CsrTemplate::email_address},
    }};
    for (const auto& entry : subject) {
      const std::string path = "subject." + std::string(entry.key());
      bool known = false;
      for (const auto& [name, member] : members) {
        if (name != entry.key()) continue;
        out_.*member = read_value(entry.value(), path);
        known = true;
      }
      if (!known && !is_optional(entry.value())) cannot_follow(path);
    }
  }

  void read_extensions(const json::object& extensions) {
    read_usages(extensions, "keyUsage", crypto::is_key_usage, out_.key_usage);
    read_usages(extensions, "extendedKeyUsage", crypto::is_extended_key_usage, out_.extended_key_usage);
    if (const json::object* names = part(extensions, "subjectAltName", "extensions.subjectAltName")) {
      read_names(*names, "DNS", out_.dns);
      read_names(*names, "Email", out_.emails);
      read_names(*names, "URI", out_.uris);
      leave_others(*names, "extensions.subjectAltName.", {"DNS", "Email", "URI"});
    }
    leave_others(extensions, "extensions.", {"keyUsage", "extendedKeyUsage", "subjectAltName"});
  }

  void read_usages(const json::object& extensions, std::string_view name, bool (*is_known)(std::string_view) noexcept,
                   std::vector<std::string>& usages) {
    const std::string path = "extensions." + std::string(name);
    const json::array* array = list(extensions, name, path);
    if (!array) return;
    for (const json::value& value : *array) {
      const json::string* text = value.if_string();
      if (text && is_known(*text))
        usages.emplace_back(*text);
      else if (!is_optional(value))
        cannot_follow(text ? path + "." + std::string(*text) : path);
    }
  }

  void read_names(const json::object& names, std::string_view name, std::vector<TemplateValue>& values) {
    const std::string path = "extensions.subjectAltName." + std::string(name);
    const json::array* array = list(names, name, path);
    if (!array) return;
    for (const json::value& value : *array) {
      TemplateValue read = read_value(value, path);
      if (read.kind != Kind::absent) values.push_back(std::move(read));
    }
  }

  void leave_others(const json::object& object, const std::string& path, const std::array<std::string_view, 3>& known) {
    for (const auto& entry : object) {
      if (std::ranges::find(known, std::string_view(entry.key())) != known.end() || is_optional(entry.value()))
        continue;
      cannot_follow(path + std::string(entry.key()));
    }
  }

  CsrTemplate& out_;
};

CsrTemplate read_template(const json::object& object) {
  CsrTemplate read;
  read.json = json::serialize(object);
  if (read.json.size() > max_template) throw too_large("csr-template");
  TemplateReader(read).read(object);
  return read;
}

}  // namespace

std::string TemplateKeyType::key_type() const {
  if (public_key_type == "rsaEncryption" && key_length > 0) return "rsa:" + std::to_string(key_length);
  if (public_key_type != "id-ecPublicKey") return {};
  if (named_curve == "secp256r1") return "ec:P-256";
  if (named_curve == "secp384r1") return "ec:P-384";
  if (named_curve == "secp521r1") return "ec:P-521";
  return {};
}

CsrTemplate CsrTemplate::from_json(std::string_view text) {
  if (text.size() > max_template) throw too_large("csr-template");
  CsrTemplate read = read_template(parse_object(text, reading).value());
  read.json = std::string(text);
  return read;
}

}  // namespace culmen

namespace culmen::protocol {

namespace {
constexpr std::size_t max_page = 1000;
constexpr std::size_t max_cnames = 1000;
}  // namespace

Result<void> check_delegation(const std::string& delegation, bool allow_certificate_get, const DirectoryMeta& meta,
                              std::string_view doing) {
  if (delegation.empty()) {
    if (allow_certificate_get && !meta.allow_certificate_get) {
      return Error(Errc::not_offered, doing,
                   "this CA does not hand out certificates without an account (no allow-certificate-get in its "
                   "directory)");
    }
    return {};
  }
  if (!meta.delegation_enabled) {
    return Error(Errc::not_offered, doing,
                 "a delegation was given, but the server has none (no delegation-enabled in its directory)");
  }
  if (!allow_certificate_get) {
    // The certificate is at a CA where we have no account.
    return Error(Errc::invalid_argument, doing,
                 "a delegation was given without allow_certificate_get, which is how its certificate is fetched");
  }
  return {};
}

Result<std::vector<std::string>> parse_delegations_page(const HttpResponse& response) {
  constexpr std::string_view doing = "reading the list of delegations";
  Result<json::object> object = parse_object(response.body, doing);
  if (!object) return object.error();
  std::vector<std::string> urls = texts_member(*object, "delegations");
  if (urls.size() > max_page) return Error(Errc::bad_response, doing, "a page has more than 1000 of them");
  for (std::string& url : urls) url = absolute_url(response, std::move(url));
  return urls;
}

Result<Delegation> parse_delegation(const HttpResponse& response, std::string url) {
  constexpr std::string_view doing = "fetching a delegation";
  Result<json::object> object = parse_object(response.body, doing);
  if (!object) return object.error();
  const json::object* csr_template = object_member(*object, "csr-template");
  if (!csr_template) return Error(Errc::bad_response, doing, "the answer has no \"csr-template\"");
  Delegation delegation;
  delegation.url = std::move(url);
  Result<CsrTemplate> read = result_of([&] { return read_template(*csr_template); });
  if (!read) return read.error().while_doing(doing);
  delegation.csr_template = std::move(*read);
  if (const json::object* names = object_member(*object, "cname-map")) {
    if (names->size() > max_cnames) return Error(Errc::bad_response, doing, "cname-map has more than 1000 names");
    for (const auto& entry : *names) {
      if (std::string target = text_member(*names, entry.key()); !target.empty())
        delegation.cname_map[std::string(entry.key())] = std::move(target);
    }
  }
  return delegation;
}

}  // namespace culmen::protocol
