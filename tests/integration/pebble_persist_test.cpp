// The blocking face with persistence against Pebble.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "crypto/ca.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/blocking/directory.hpp"
#include "culmen/http01_solver.hpp"
#include "support/pebble.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using pebble_test::Pebble;

TEST_CASE("step by step with a store, and once more from the store") {
  const Pebble pebble;
  const culmen::test::TemporaryFolder folder;
  const ClientOptions options = trusting(pebble);
  const FilePersist persist(folder.path());
  const auto directory = [&] {
    return blocking::DirectoryHandle::from_url(persist, DirectoryUrl::other(pebble.directory_url()), options);
  };
  const blocking::AccountHandle account = directory().account("ops@example.com");
  Http01Solver web(pebble.http_port(), "127.0.0.1");
  web.start_thread();

  blocking::NewOrder order = account.new_order("example.com", {"www.example.com"});
  for (int tries = 0; !order.confirm_validations() && tries < 10; ++tries) {
    for (const blocking::Auth& auth : order.authorizations()) {
      if (!auth.need_challenge()) continue;
      const blocking::ChallengeHandle challenge = auth.http_challenge();
      web.add(challenge.http_token(), challenge.http_proof());
      challenge.validate(500ms);
      web.remove(challenge.http_token());
    }
    order.refresh();
  }
  REQUIRE(order.confirm_validations());
  const blocking::CertOrder issued = order.confirm_validations()->finalize_pkey(create_p384_key(), 500ms);
  CHECK(account.unsaved_order("example.com").has_value());
  const blocking::CertificateWithKey certificate = issued.download_and_save_cert();
  CHECK(certificate.is_matching());
  CHECK(certificate.api_certificate().identifiers.size() == 2);
  const std::vector<culmen::Certificate> chain = read_chain(certificate.certificate());
  REQUIRE(chain.size() >= 2);
  CHECK(crypto::is_signed_by(chain[0].der, chain[1].der));

  const blocking::AccountHandle again = directory().account("ops@example.com");
  CHECK(again.api_account().url == account.api_account().url);
  CHECK_FALSE(again.api_account().created);
  REQUIRE(again.certificate("example.com"));
  CHECK(again.certificate("example.com")->private_key() == certificate.private_key());
  CHECK(again.unsaved_order("example.com") == std::nullopt);
  again.revoke_certificate(certificate, 4);
}

#ifdef CULMEN_SEED_EXAMPLE
TEST_CASE("the example with a store") {
  const Pebble pebble;
  const culmen::test::TemporaryFolder folder;
  const std::string command = "cd '" + folder.path().string() + "' && timeout 90 " CULMEN_SEED_EXAMPLE " " +
                              pebble.directory_url() + " example.com " + std::to_string(pebble.http_port()) + " " +
                              pebble.root_file() + " > ";
  REQUIRE(std::system((command + "first").c_str()) == 0);
  REQUIRE(std::system((command + "second").c_str()) == 0);
  const std::string first = read_file(folder / "first").value();
  CHECK(read_chain(first).front().identifiers.size() == 2);
  CHECK(read_file(folder / "second") == first);  // from the store
}
#endif
