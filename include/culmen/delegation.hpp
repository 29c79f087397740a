// Delegation (RFC 9115): certificates for names of somebody else, who lets us have them. The side of the name
// delegation consumer; the owner of the names runs the ACME server that all of this is said to.
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

/// What a template says of one value of the CSR (RFC 9115 §4.1).
struct TemplateValue {
  enum class Kind {
    absent,     ///< It may not be in the CSR.
    literal,    ///< It must be `text`.
    mandatory,  ///< It must be there, and is ours to choose: "**", or {} as some servers write it.
    optional,   ///< It may be there, and is ours to choose: "*", or null.
  };
  TemplateValue() = default;
  explicit TemplateValue(Kind kind_, std::string text_ = {}) : kind(kind_), text(std::move(text_)) {}
  Kind kind = Kind::absent;
  std::string text;  ///< Of a literal.
};

/// A kind of key that a template allows, and how its CSR is to be signed.
struct TemplateKeyType {
  TemplateKeyType() = default;
  /// As PrivateKey names it, "ec:P-256" or "rsa:2048"; empty when it is none that culmen knows.
  std::string key_type() const;

  std::string public_key_type;  ///< "rsaEncryption" or "id-ecPublicKey".
  std::int64_t key_length = 0;  ///< Bits of an RSA key.
  std::string named_curve;      ///< As "secp256r1".
  std::string signature_type;   ///< As "sha256WithRSAEncryption".
};

/// What the CSR for a delegated name must look like (RFC 9115 §4). A plain value.
struct CsrTemplate {
  CsrTemplate() = default;

  /// Reads a template's JSON. What culmen does not understand does not fail it: see `not_understood`. Throws Error
  /// (bad_response) when it is no JSON object, or of a size that no template has.
  static CsrTemplate from_json(std::string_view json);

  std::vector<TemplateKeyType> key_types;  ///< One of them; none: the template says nothing of keys.
  TemplateValue country;
  TemplateValue state;
  TemplateValue locality;
  TemplateValue organization;
  TemplateValue organizational_unit;
  TemplateValue common_name;
  TemplateValue email_address;
  std::vector<std::string> key_usage;           ///< As "digitalSignature".
  std::vector<std::string> extended_key_usage;  ///< As "serverAuth", or an object identifier.
  std::vector<TemplateValue> dns;               ///< subjectAltName: one name each.
  std::vector<TemplateValue> emails;
  std::vector<TemplateValue> uris;
  /// Members that are not optional and that culmen cannot follow, as "extensions.foo".
  std::vector<std::string> not_understood;
  std::string json;  ///< As the server sent it.
};

/// A delegation (RFC 9115 §2.3.1.3): which CSRs its owner lets us have certificates for. A plain value.
struct Delegation {
  Delegation() = default;
  std::string url;  ///< What an order names: OrderRequest::delegation.
  CsrTemplate csr_template;
  /// The owner's names to ours, fully qualified: the CNAME records that the owner sets up.
  std::map<std::string, std::string> cname_map;
};

/// A CSR in DER that follows the template, signed by `key` in the way the template wants.
///
/// `identifiers` are the order's: "dns", one for each name of the template that is not left to choose, and for those
/// that are. E-mail addresses and URIs that the template has are put in by themselves; those that it leaves to choose
/// are identifiers of the types "email" and "uri". `subject` has what the template leaves to choose; what the template
/// itself says may be left empty there.
///
/// Throws Error (invalid_argument) that names the member of the template that does not fit, (crypto_failed).
Bytes build_delegated_csr(const CsrTemplate& csr_template, const std::vector<Identifier>& identifiers,
                          const PrivateKey& key, const CsrSubject& subject = {});

}  // namespace culmen
