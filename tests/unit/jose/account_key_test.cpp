#include "culmen/account_key.hpp"

#include <doctest/doctest.h>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/random.hpp"
#include "culmen/account.hpp"
#include "culmen/error.hpp"
#include "unit/jose/vectors.hpp"

using namespace culmen;

TEST_CASE("the key authorization is the token, a dot and the thumbprint") {
  const AccountKey key = AccountKey::from_jwk(vectors::k1_private);
  const std::string authorization = key.key_authorization("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA");
  CHECK(authorization == "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  const Bytes digest = crypto::sha256(as_bytes(authorization));
  CHECK(base::hex_encode(digest) == "940576f75777ef6c725d5119458f63d8543c8354d8a4e689afadb40a26a178f0");
  CHECK(base::base64url_encode(digest) == "lAV291d372xyXVEZRY9j2FQ8g1TYpOaJr620CiahePA");
  CHECK(Account("https://ca.test/acme/acct/1", key).key_authorization("t") == "t." + key.thumbprint());
}

TEST_CASE("no account key: a default one, and one that was moved from, alone and in an account") {
  AccountKey key = AccountKey::generate();
  Account account("https://ca.test/1", key);
  const AccountKey taken = std::move(key);
  const Account taken_account = std::move(account);
  CHECK(taken_account.thumbprint() == taken.thumbprint());
  for (const AccountKey& none : {AccountKey(), key, account.key}) {
    CHECK(none.thumbprint().empty());
    CHECK(none.alg().empty());
    CHECK_FALSE(none.private_key());
    CHECK_THROWS_WITH_AS(none.key_authorization("t"), doctest::Contains("there is no account key"), Error);
    CHECK_THROWS_AS(none.to_pem(), Error);
  }
  CHECK(account.thumbprint().empty());
  CHECK(account.status == AccountStatus::valid);
  CHECK_THROWS_AS(account.key_authorization("t"), Error);
  key = taken;  // and it can be used again
  CHECK(key.key_authorization("t") == "t." + taken.thumbprint());
}

TEST_CASE("an account key survives PEM") {
  for (const std::string type : {"ec:P-256", "rsa:2048", "ed25519"}) {
    const AccountKey key = AccountKey::generate(type);
    const AccountKey again = AccountKey::from_pem(key.to_pem());
    CHECK(again.thumbprint() == key.thumbprint());
    CHECK(again.alg() == key.alg());
    CHECK(again.private_key().same_key_as(key.private_key()));
  }
  CHECK(AccountKey::generate().alg() == "ES256");
  CHECK(AccountKey::generate().thumbprint() != AccountKey::generate().thumbprint());
}

TEST_CASE("MAC keys of external accounts are read in every form CAs hand out") {
  // 0xfb 0xef 0xff… shows both alphabets: - and _, + and /.
  const Bytes expected = {0xfb, 0xef, 0xff, 0xfe, 0x00};
  for (const std::string text : {"--___gA", "--___gA=", "++///gA", "++///gA=", " ++//\n/gA= \n"}) {
    CAPTURE(text);
    const EabOptions eab = EabOptions::from_text("kid", text, "HS384");
    CHECK(eab.hmac_key == expected);
    CHECK(eab.kid == "kid");
    CHECK(eab.alg == "HS384");
  }
  CHECK(EabOptions::from_text("kid", "AAAA").alg == "HS256");
}

TEST_CASE("a MAC key that cannot be read is an error that does not repeat it") {
  for (const std::string text : {"", "  ", "not base64!", "A"}) {
    CAPTURE(text);
    try {
      EabOptions::from_text("kid", text);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::jose_failed);
      CHECK(std::string(error.what()).find("base64!") == std::string::npos);
    }
  }
}
