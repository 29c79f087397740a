// A test CA in this process, and a client with an account there.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/test_ca.hpp"
#include "support/temporary_folder.hpp"

/// `options` as the test wants them; the CA serves when this is made.
struct LocalCa {
  explicit LocalCa(culmen::TestCaOptions options = {}) : ca(std::move(options)) { ca.start(); }
  culmen::blocking::AcmeClient client() {
    root = std::make_unique<culmen::test::TemporaryFile>(ca.root_pem());
    culmen::ClientOptions options;
    options.session.nonce_retries = 10;
    options.transport.extra_root_file = root->path();
    return culmen::blocking::AcmeClient(ca.directory_url(), options);
  }
  culmen::TestCa ca;
  std::unique_ptr<culmen::test::TemporaryFile> root;
};

inline culmen::Account registered(culmen::blocking::AcmeClient& client) {
  return client.new_account(culmen::AccountKey::generate("ec:P-256"), culmen::AccountOptions());
}
