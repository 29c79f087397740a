// CSR templates (RFC 9115 §4), the side of the names' owner.
#pragma once

#include <boost/json/object.hpp>

#include "crypto/ca.hpp"

namespace culmen::testca {

/// Holds a CSR against the template of its delegation. Throws Refusal (403, badCSR) that says where it differs.
void judge_delegated_csr(const boost::json::object& csr_template, const crypto::Csr& csr);

}  // namespace culmen::testca
