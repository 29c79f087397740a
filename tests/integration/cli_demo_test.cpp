// culmen demo: the whole story in one command, and nothing left behind.
#include <doctest/doctest.h>

#include <chrono>

#include "culmen/verify_chain.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;

TEST_CASE("demo: a certificate is issued, shown and verified, and everything is removed") {
  const culmen::test::TemporaryFolder folder;
  const Outcome outcome = run({culmen_path(), "demo"}, {"TMPDIR=" + folder.path().string()});
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "OpenSSL verifies the chain"));
  CHECK(contains(outcome.out, "The certificate is the same."));
  CHECK(contains(outcome.out, "  demo.culmen.test\n"));
  CHECK(fs::is_empty(folder.path()));
  const Outcome json = run({culmen_path(), "demo", "--json", "-d", "a.example"}, {"TMPDIR=" + folder.path().string()});
  CHECK(json.exit_code == 0);
  CHECK(json.json().at("verified").as_bool());
}

TEST_CASE("demo: what it leaves when it is asked to") {
  const culmen::test::TemporaryFolder folder;
  const fs::path kept = folder.path() / "kept";
  const Outcome outcome = run({culmen_path(), "demo", "--keep", kept.string()});
  CHECK(outcome.exit_code == 0);
  CHECK(culmen::chain_fault(contents(kept / "chain.pem"), contents(kept / "root.pem"), "demo.culmen.test",
                            std::chrono::system_clock::now()) == "");
  CHECK(mode_of(kept / "key.pem") == 0600);
  CHECK(fs::exists(kept / "state" / "certificates" / "demo.culmen.test" / "live" / "fullchain.pem"));
}

TEST_CASE("demo: a name that cannot be had is refused, and nothing stays") {
  const culmen::test::TemporaryFolder folder;
  const Outcome outcome = run({culmen_path(), "demo", "-d", "*.a.example"}, {"TMPDIR=" + folder.path().string()});
  CHECK(outcome.exit_code == 2);
  CHECK(fs::is_empty(folder.path()));
}
