// CSR templates of delegations (RFC 9115), from the parser to a CSR that follows them, and to the CA's judgement of
// one.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "crypto/ca.hpp"
#include "culmen/delegation.hpp"
#include "culmen/error.hpp"
#include "testca/delegation.hpp"
#include "testca/problem.hpp"

using namespace culmen;

namespace {

/// What the template asks for, as far as it says so.
std::vector<Identifier> wanted_names(const CsrTemplate& read) {
  std::vector<Identifier> names;
  for (const TemplateValue& value : read.dns) {
    const bool literal = value.kind == TemplateValue::Kind::literal;
    names.emplace_back("dns", literal ? value.text : "ours" + std::to_string(names.size()) + ".example");
  }
  return names;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const PrivateKey key = PrivateKey::generate("ec:P-256");
  static const crypto::Csr usual = crypto::parse_csr(build_csr({"a.example"}, key));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const CsrTemplate read = CsrTemplate::from_json(text);
    CsrSubject subject;
    if (read.state.kind == TemplateValue::Kind::mandatory) subject.state = "x";
    (void)build_delegated_csr(read, wanted_names(read), key, subject);
  } catch (const Error&) {
  }
  boost::system::error_code failure;
  const boost::json::value value = boost::json::parse(text, failure);
  if (failure || !value.is_object()) return 0;
  try {
    testca::judge_delegated_csr(value.get_object(), usual);
  } catch (const testca::Refusal&) {
  }
  return 0;
}
