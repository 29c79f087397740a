// A certificate signing request as the openssl program reads it.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "culmen/bytes.hpp"
#include "culmen/certificate.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

/// Checks the request's own signature as well.
inline std::string as_openssl_sees(const culmen::Bytes& csr) {
  const culmen::test::TemporaryFile file(culmen::der_to_pem(csr, "CERTIFICATE REQUEST"));
  const auto run = run_program("openssl req -noout -verify -text -nameopt RFC2253 -in " + file.path());
  CHECK(run.status == 0);
  CHECK(contains(run.output, "verify OK"));
  return run.output;
}
