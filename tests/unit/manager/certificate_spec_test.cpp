// The one reader and writer of specs, and what is wrong with a spec.
#include "culmen/certificate_spec.hpp"

#include <doctest/doctest.h>

using namespace culmen;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

namespace {

CertificateSpec read(std::string_view json, SpecSource source = SpecSource::user) {
  const Result<CertificateSpec> spec = spec_from_json(json, source);
  if (!spec) FAIL(spec.error().what());
  return *spec;
}

/// What the reader says is wrong.
std::string fault_of(std::string_view json, SpecSource source = SpecSource::user) {
  const Result<CertificateSpec> spec = spec_from_json(json, source);
  if (spec) return "";
  CHECK(spec.error().code() == Errc::invalid_argument);
  return spec.error().detail();
}

CertificateSpec with_names(Texts names) { return CertificateSpec(std::move(names)); }

}  // namespace

TEST_CASE("spec: every member is written and read again, a default is left out") {
  CertificateSpec spec({"a.test", "b.test"});
  CHECK(spec_to_json(spec) == R"({"names":["a.test","b.test"]})");
  CHECK(read(spec_to_json(spec)) == spec);

  spec.id = "main";
  spec.cas = {"letsencrypt", "https://ca.test/dir"};
  spec.key_types = {"ec:P-384", "rsa:2048"};
  spec.challenge = "http-01";
  spec.challenge_options = {{"webroot", "/srv/www \n ü"}, {"port", "8080"}};
  spec.profile = "shortlived";
  spec.profile_required = true;
  spec.preferred_chain = "ISRG Root X1";
  spec.must_staple = true;
  spec.allow_subset = true;
  spec.reuse_key = true;
  spec.renew_before = 86'400s;
  spec.use_renewal_info = false;
  CHECK(read(spec_to_json(spec)) == spec);
  CHECK(read(spec_to_json(spec), SpecSource::stored) == spec);
}

TEST_CASE("spec: a member that is not known is an error of a user, with the nearest name, and ignored when stored") {
  CHECK(fault_of(R"({"nmaes":["a.test"]})") == R"(nmaes: there is no such member; did you mean "names"?)");
  CHECK(fault_of(R"({"names":["a.test"],"key_type":["ec:P-256"]})") ==
        R"(key_type: there is no such member; did you mean "key_types"?)");
  CHECK(fault_of(R"({"names":["a.test"],"Must-Staple":true})") ==
        R"(Must-Staple: there is no such member; did you mean "must_staple"?)");
  CHECK(read(R"({"names":["a.test"],"new":{"deep":[1]}})", SpecSource::stored) == with_names({"a.test"}));
}

TEST_CASE("spec: a member of another type is an error that names it") {
  struct Row {
    const char *json, *fault;
  };
  for (const Row& row :
       {Row{"[]", "the specification is not a JSON object"},
        Row{R"({"names":"a.test"})", "names: it is not a list of texts"},
        Row{R"({"names":["a.test",1]})", "names: it is not a list of texts"},
        Row{R"({"names":["a.test"],"id":1})", "id: it is not a text"},
        Row{R"({"names":["a.test"],"must_staple":"yes"})", "must_staple: it is not true or false"},
        Row{R"({"names":["a.test"],"renew_before":"30d"})", "renew_before: it is not a whole number of seconds"},
        Row{R"({"names":["a.test"],"renew_before":1.5})", "renew_before: it is not a whole number of seconds"},
        Row{R"({"names":["a.test"],"challenge_options":{"port":80}})",
            "challenge_options: it is not an object of texts"}}) {
    CAPTURE(row.json);
    CHECK(fault_of(row.json) == row.fault);
    CHECK(fault_of(row.json, SpecSource::stored) == row.fault);
  }
  CHECK(fault_of("{").starts_with("the specification is not JSON: "));
}

TEST_CASE("spec: what is wrong with its values is said of the member") {
  struct Row {
    const char *json, *part;
  };
  for (const Row& row : {
           Row{"{}", "names: there is none"},
           Row{R"({"names":[]})", "names: there is none"},
           Row{R"({"names":["a test"]})", R"(names: "a test": )"},
           Row{R"({"names":["a.test","A.TEST."]})", R"(names: "A.TEST." is there twice (as a.test))"},
           Row{R"({"names":["2001:db8::1","2001:DB8:0::1"]})", "is there twice (as 2001:db8::1)"},
           Row{R"({"names":["a.test"],"key_types":[]})", "key_types: there is none"},
           Row{R"({"names":["a.test"],"key_types":["rsa:2084"]})",
               R"(key_types: "rsa:2084" is not a key type; did you mean "rsa:2048"?)"},
           Row{R"({"names":["a.test"],"key_types":["ec:P-256","EC:p-256"]})",
               R"(key_types: "EC:p-256" is there twice)"},
           Row{R"({"names":["a.test"],"cas":["letsencript"]})", R"(did you mean "letsencrypt"?)"},
           Row{R"({"names":["a.test"],"cas":[""]})", "cas: "},
           Row{R"({"names":["a.test"],"cas":["letsencrypt","https://acme-v02.api.letsencrypt.org/directory"]})",
               "is there twice"},
           Row{R"({"names":["*.a.test"],"challenge":"http-01"})", "cannot validate the wildcard name *.a.test"},
           Row{R"({"names":["*.a.test"],"challenge":"tls-alpn-01"})", "CAs require dns-01"},
           Row{R"({"names":["192.0.2.1"],"challenge":"dns-01"})", "cannot validate the IP address 192.0.2.1"},
           Row{R"({"names":["192.0.2.1"],"challenge":"dns-persist-01"})", "use http-01 or tls-alpn-01"},
           Row{R"({"names":["a.test"],"profile":" x"})", "profile: \" x\" begins or ends with a blank"},
           Row{R"({"names":["a.test"],"profile":"a\u001bb"})", "profile: \"a?b\" has control characters"},
           Row{R"({"names":["a.test"],"profile_required":true})", "profile_required: there is no profile"},
           Row{R"({"names":["a.test"],"renew_before":0})", "renew_before: it must be at least one second"},
           Row{R"({"names":["a.test"],"id":"a/b"})", "id: "},
           Row{R"({"names":["a.test"],"id":"../b"})", "id: "},
           Row{R"({"names":["a.test"],"id":"-rf"})", "id: "},
           Row{R"({"names":["a.test"],"id":"a\nb"})", "id: "},
       }) {
    CAPTURE(row.json);
    const std::string fault = fault_of(row.json);
    CAPTURE(fault);
    CHECK(fault.find(row.part) != fault.npos);
  }
  for (const char* json : {R"({"names":["*.a.test"],"challenge":"dns-01"})", R"({"names":["*.a.test"]})",
                           R"({"names":["192.0.2.1","a.test"],"challenge":"http-01"})",
                           R"({"names":["bücher.test"],"id":"Bücher","profile":"classic"})",
                           R"({"names":["a.test"],"cas":["zerossl","http://127.0.0.1:14000/dir"]})"}) {
    CAPTURE(json);
    CHECK(fault_of(json).empty());
  }
}

TEST_CASE("spec: the id must fit into a key of storage, with what a key type adds to it") {
  CertificateSpec spec({"a.test"});
  spec.id = std::string(255, 'a');
  CHECK(check_spec(spec).has_value());
  spec.key_types = {"ec:P-256", "rsa:2048"};
  CHECK_FALSE(check_spec(spec).has_value());
  spec.id = std::string(251, 'a');
  CHECK(check_spec(spec).has_value());
  spec.id = std::string(90, 'A');  // three octets each
  CHECK_FALSE(check_spec(spec).has_value());
  const Result<void> checked = check_spec(spec);
  CHECK(std::string(checked.error().what()).find("too long for storage") != std::string::npos);
}

TEST_CASE("spec: the id comes from the first name") {
  CHECK(id_of(with_names({"B.test", "a.test"})) == "b.test");
  CHECK(id_of(with_names({"*.example.com"})) == "_wildcard.example.com");
  CHECK(id_of(with_names({"2001:DB8::1"})) == "2001:db8::1");
  CHECK(id_of(CertificateSpec()).empty());
  CertificateSpec spec({"a.test"});
  spec.id = "mine";
  CHECK(id_of(spec) == "mine");
}

TEST_CASE("spec: one certificate for each key type, with ids that stay when a type is added") {
  CertificateSpec spec({"a.test"});
  CHECK(certificate_ids(spec) == Texts{"a.test"});
  spec.key_types = {"ec:P-256", "rsa:2048"};
  CHECK(certificate_ids(spec) == Texts{"a.test", "a.test@rsa"});
  spec.key_types = {"ec:P-256", "RSA:2048", "rsa:4096", "ec:P-384", "ed25519", "ec:P-521"};
  CHECK(certificate_ids(spec) ==
        Texts{"a.test", "a.test@rsa", "a.test@rsa:4096", "a.test@ec", "a.test@ed25519", "a.test@ec:p-521"});
}

TEST_CASE("spec: names that resemble nothing get no suggestion, and members that are there twice are named") {
  CHECK(fault_of(R"({"names":["a.test"],"key_types":["dsa"]})").find("did you mean") == std::string::npos);
  CHECK(fault_of(R"({"names":["a.test"],"key_types":["dsa"]})").find("use one of: ") != std::string::npos);
  CHECK(fault_of(R"({"names":["a.test"],"cas":[""]})").find("did you mean") == std::string::npos);
  CHECK(fault_of("{\"" + std::string(1'000'000, 'z') + "\":1}").find("did you mean") == std::string::npos);
  CHECK(fault_of(R"({"names":["a.test"],"challenge":"http-01","challenge":"http01"})") ==
        "challenge: the member is there twice");
  CHECK(fault_of(R"({"names":["a.test"],"n\u0061mes":["b.test"]})") == "names: the member is there twice");
  CHECK(fault_of(R"({"names":["a.test"],"challenge_options":{"a\"":"1", "a\"" : "2"}})") ==
        "a\": the member is there twice");
  CHECK(fault_of(R"({"names":["a.test"],"challenge_options":{"names":"names","a":"a"}})") == "");
}
