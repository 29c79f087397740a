// Delegation (RFC 9115): certificates for names that belong to someone else. This is the side of the name delegation
// consumer (NDC). The owner of the names runs the ACME server that the consumer talks to.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/csr.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"

namespace culmen {

/// What a template requires of one value in the CSR (RFC 9115 §4.1). A plain value.
struct TemplateValue {
  enum class Kind {
    absent,     ///< Must not be in the CSR.
    literal,    ///< Must be `text`.
    mandatory,  ///< Required, any value: "**", or {} from some servers.
    optional,   ///< Optional, any value: "*" or null.
  };
  TemplateValue() = default;
  explicit TemplateValue(Kind kind_, std::string text_ = {}) : kind(kind_), text(std::move(text_)) {}
  Kind kind = Kind::absent;
  std::string text;  ///< The value of a literal.
};

/// A key type that a template allows, and the signature algorithm for it. A plain value.
struct TemplateKeyType {
  TemplateKeyType() = default;
  /// The PrivateKey type name, such as "ec:P-256" or "rsa:2048"; empty if culmen does not know it.
  std::string key_type() const;

  std::string public_key_type;  ///< "rsaEncryption" or "id-ecPublicKey".
  std::int64_t key_length = 0;  ///< In bits, for RSA keys.
  std::string named_curve;      ///< Such as "secp256r1".
  std::string signature_type;   ///< Such as "sha256WithRSAEncryption".
};

/// The template for the CSR of a delegated name (RFC 9115 §4). A plain value.
struct CsrTemplate {
  CsrTemplate() = default;

  /// Parses a template. Members that culmen does not understand are not errors; see `not_understood`. Throws Error
  /// (bad_response) if the text is not a JSON object, or is too large.
  static CsrTemplate from_json(std::string_view json);

  std::vector<TemplateKeyType> key_types;  ///< The allowed types; empty: any key.
  TemplateValue country;
  TemplateValue state;
  TemplateValue locality;
  TemplateValue organization;
  TemplateValue organizational_unit;
  TemplateValue common_name;
  TemplateValue email_address;
  std::vector<std::string> key_usage;           ///< Such as "digitalSignature".
  std::vector<std::string> extended_key_usage;  ///< Such as "serverAuth", or an object identifier.
  std::vector<TemplateValue> dns;               ///< subjectAltName, one entry per name.
  std::vector<TemplateValue> emails;
  std::vector<TemplateValue> uris;
  /// Required members that culmen does not support, such as "extensions.foo".
  std::vector<std::string> not_understood;
  std::string json;  ///< As the server sent it.
};

/// A delegation (RFC 9115 §2.3.1.3): the CSRs for which the owner of the names allows certificates. A plain value.
struct Delegation {
  Delegation() = default;
  std::string url;  ///< For OrderRequest::delegation.
  CsrTemplate csr_template;
  /// The CNAME records that the owner creates: the owner's names to the consumer's, fully qualified.
  std::map<std::string, std::string> cname_map;
};

/// A CSR in DER that follows the template, signed by `key` with an algorithm that the template allows.
///
/// `identifiers` are those of the order: every "dns" name that the template fixes, and the names chosen for its
/// mandatory and optional entries. E-mail addresses and URIs that the template fixes are added automatically; chosen
/// ones are identifiers of type "email" and "uri". `subject` has the values that the template leaves open; values that
/// it fixes may be empty there.
///
/// Throws Error (invalid_argument) that names the member of the template that does not match; (crypto_failed).
Bytes build_delegated_csr(const CsrTemplate& csr_template, const std::vector<Identifier>& identifiers,
                          const PrivateKey& key, const CsrSubject& subject = {});

}  // namespace culmen
