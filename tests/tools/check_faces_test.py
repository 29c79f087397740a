"""Tests of tools/check_faces.py."""
import unittest

from tool_on_tree import run_tool

ENGINE = "include/culmen/engine.hpp"
AWAITABLE = "include/culmen/asio/acme_client.hpp"
BLOCKING = "include/culmen/blocking/acme_client.hpp"
TEST_AWAITABLE = "tests/unit/faces/acme_client_test.cpp"
TEST_BLOCKING = "tests/unit/faces/blocking_acme_client_test.cpp"

# Faces that keep to every rule, written in the ways that C++ allows.
TREE = {
    ENGINE: """#pragma once
#define CULMEN_LONG(a) \\
  a(b);
namespace culmen {
class Unrelated;
}
namespace culmen::engine {
class Session {
 public:
  struct State;
  explicit Session(State* state) noexcept : state_{state}, retries_{1} { check(); }
  const Directory& directory() const noexcept;
 private:
  State* state_ = nullptr;
  int retries_{0};
};
enum class Kind { send, wait };
/// Flow<Result<Account>> in_a_comment(Session session);
Flow<Result<Session>> connect(std::string directory_url, SessionOptions options = {});
Flow<Result<Account>> new_account(Session session, AccountKey key, AccountOptions options);
Flow<Result<Order>> new_order(Session session, Account account, OrderRequest request);
[[nodiscard]] Flow<Result<Challenge>> trigger(Session session, Account account, std::string response = "{}",
                                              std::optional<std::chrono::seconds> deadline = {});
Flow<Result<void>> revoke(Session session, Bytes der);
Flow<Result<void>> revoke(Session session, Bytes der, int reason);
Flow<Result<std::map<int, std::function<void(int)>>>> get_public(std::string url);
bool is_not_a_verb(const Account& account);
Flow<Result<IssuedCertificate>> issue(Session session, Account account, IssueRequest request,
                                      std::vector<ChallengeSolver*> solvers);
}  // namespace culmen::engine
""",
    AWAITABLE: """#pragma once
namespace culmen {
namespace engine {
class Session;
}
template <class T>
struct Helper { void f(int); };
class CULMEN_API AcmeClient final : private Helper<int> {
 public:
  template <class T>
  using awaitable = boost::asio::awaitable<T>;
  AcmeClient() noexcept = default;
  ~AcmeClient();
  explicit operator bool() const;
  typedef void Listener(int);
  static_assert(sizeof(int) >= 4);
  bool operator==(const AcmeClient& other) const;
  friend void swap(AcmeClient& a, AcmeClient& b);
  enum class Kind : int { now, later };
  static awaitable<AcmeClient> connect(std::string directory_url, ClientOptions options = {});
  template <class Token = boost::asio::deferred_t>
  static auto async_connect(boost::asio::any_io_executor executor, std::string directory_url, ClientOptions options,
                            Token&& token = Token()) {
    return start(std::move(directory_url), std::forward<Token>(token));
  }
  const Directory& directory() const noexcept;
  awaitable<Account> new_account(AccountKey key, AccountOptions options) const;
  template <BOOST_ASIO_COMPLETION_TOKEN_FOR(void(std::exception_ptr, Account)) Token>
  auto async_new_account(AccountKey key, AccountOptions options, Token&& token = boost::asio::deferred) const;
  awaitable<Order> new_order(Account account, OrderRequest request) const;
  awaitable<Order> new_order(Account account, std::vector<Identifier> identifiers) const;
  template <class Token = boost::asio::deferred_t>
  auto async_new_order(Account account, OrderRequest request, Token&& token = {}) const;
  template <class Token = boost::asio::deferred_t>
  auto async_new_order(Account account, std::vector<Identifier> identifiers, Token&& token = {}) const;
  boost::asio::awaitable<culmen::Challenge> trigger(Account account, std::string response = "{}",
      std::optional<std::chrono::seconds> deadline = {}) const;
  template <class Token = boost::asio::deferred_t>
  auto async_trigger(Account account, std::string response, std::optional<std::chrono::seconds> deadline,
                     Token&& token = {}) const;
  awaitable<void> revoke(Bytes der) const;
  awaitable<void> revoke(Bytes der, int reason) const;
  template <class Token = boost::asio::deferred_t>
  auto async_revoke(Bytes der, Token token = {}) const;
  template <class Token = boost::asio::deferred_t>
  auto async_revoke(Bytes der, int reason, Token token = {}) const;
  awaitable<std::map<int, std::function<void(int)>>> get_public(std::string star_url) const;
  template <class Token = boost::asio::deferred_t>
  auto async_get_public(std::string url, Token&& token = {}) const { if (1 < 2) { return; } }
  awaitable<std::string> download_certificate(Account account, std::string certificate_url) const;
  template <class Token = boost::asio::deferred_t>
  CULMEN_RESULT(Token, void(std::string)) async_download_certificate(Account account, std::string certificate_url, Token&& token = {}) const;
  awaitable<Authorization> authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                                     std::optional<std::chrono::seconds> deadline = {}) const;
  template <class Token = boost::asio::deferred_t>
  auto async_authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                       std::optional<std::chrono::seconds> deadline, Token&& token = {}) const;
  awaitable<IssuedCertificate> issue(Account account, IssueRequest request, ChallengeSolver& solver) const;
  awaitable<IssuedCertificate> issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers) const;
  template <class Token = boost::asio::deferred_t>
  auto async_issue(Account account, IssueRequest request, ChallengeSolver& solver, Token&& token = {}) const;
  template <class Token = boost::asio::deferred_t>
  auto async_issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers, Token&& token = {}) const;
  engine::Session session() const;
  template <class T>
  awaitable<T> run(Flow<Result<T>> flow) const {
    return run_on(*this, std::move(flow));
  }
 private:
  class Impl;
  explicit AcmeClient(std::shared_ptr<Impl> impl) noexcept;
  awaitable<void> drive(ExecutionBase& execution);
  std::shared_ptr<Impl> impl_;
};
}  // namespace culmen
""",
    BLOCKING: """#pragma once
namespace culmen::blocking {
class AcmeClient {
 public:
  using Account = culmen::Account;
  explicit AcmeClient(std::string directory_url, ClientOptions options = {});
  const Directory& directory() const noexcept;
  Account new_account(AccountKey key, AccountOptions options, CancelToken cancel = CancelToken::never()) const;
  Order new_order(Account account, OrderRequest request, CancelToken cancel = CancelToken::never()) const;
  Order new_order(Account account, std::vector<Identifier> identifiers, CancelToken cancel = CancelToken::never()) const;
  Challenge trigger(Account account, std::string response = "{}", std::optional<std::chrono::seconds> deadline = {},
                    CancelToken cancel = CancelToken::never()) const;
  void revoke(Bytes der, CancelToken cancel = CancelToken::never()) const;
  void revoke(Bytes der, int reason, CancelToken cancel = CancelToken::never()) const;
  std::map<int, std::function<void(int)>> get_public(std::string url, CancelToken cancel = CancelToken::never()) const;
  std::string download_certificate(Account account, std::string certificate_url, CancelToken cancel = CancelToken::never()) const;
  Authorization authorize(Account account, std::string authorization_url, ChallengeSolver& solver,
                          std::optional<std::chrono::seconds> deadline = {}, CancelToken cancel = CancelToken::never()) const;
  IssuedCertificate issue(Account account, IssueRequest request, ChallengeSolver& solver, CancelToken cancel = CancelToken::never()) const;
  IssuedCertificate issue(Account account, IssueRequest request, std::vector<ChallengeSolver*> solvers,
                          CancelToken cancel = CancelToken::never()) const;
  template <class T>
  T run(Flow<Result<T>> flow) const { return {}; }
};
}  // namespace culmen::blocking
""",
    TEST_AWAITABLE: '#include "culmen/asio/acme_client.hpp"\n' + "AcmeClient::connect(); AcmeClient::async_connect();\n" + "".join(
        f"client.{name}();\nclient->async_{name} ();\n"
        for name in ("new_account", "new_order", "trigger", "revoke", "get_public", "download_certificate", "authorize", "issue")
    ) + "client.directory(); client.session(); client.run(flow);\n",
    TEST_BLOCKING: '#include "culmen/blocking/acme_client.hpp"\n' + "".join(
        f"client.{name}();\n"
        for name in ("new_account", "new_order", "trigger", "revoke", "get_public", "download_certificate", "authorize", "issue",
                     "directory", "run")
    ),
}
RIGHT = (0, "both faces have the 11 verbs\n")


def run_on(files):
    return run_tool("check_faces.py", files)


class CheckFaces(unittest.TestCase):
    maxDiff = None

    def changed(self, file, old, new):
        self.assertEqual(TREE[file].count(old), 1, old)
        return run_on({**TREE, file: TREE[file].replace(old, new)})

    def wrong(self, file, old, new, *expected, at=None):
        """This change brings these complaints and no others, the first of them at the line of `at`."""
        code, out = self.changed(file, old, new)
        self.assertEqual(code, 1, out)
        lines = out.splitlines()
        self.assertEqual(len(lines), len(expected), out)
        for line, text in zip(lines, expected):
            self.assertRegex(line, r"^[\w/.]+:\d+: ")
            self.assertIn(text, line)
        if at:
            text = TREE[file].replace(old, new)
            self.assertTrue(lines[0].startswith(f"{file}:{text.count(chr(10), 0, text.index(at)) + 1}: "), lines[0])

    def test_faces_as_they_should_be(self):
        self.assertEqual(run_on(TREE), RIGHT)

    def test_what_makes_no_difference(self):
        self.assertEqual(self.changed(BLOCKING, "Bytes der, CancelToken", "culmen::Bytes other_name, CancelToken"), RIGHT)
        self.assertEqual(self.changed(BLOCKING, "std::string certificate_url", "std::string"), RIGHT)
        self.assertEqual(self.changed(BLOCKING, "  void revoke(Bytes der, CancelToken", "  virtual constexpr void revoke(Bytes der, CancelToken"),
                         RIGHT)
        self.assertEqual(self.changed(BLOCKING, "Bytes der, int reason", "Bytes, /* why */ int"), RIGHT)

    def test_a_new_verb_of_the_engine(self):
        self.wrong(ENGINE, "bool is_not", "Flow<Result<Order>> get_order(Session session, std::string url);\nbool is_not",
                   f"{AWAITABLE}:1: get_order(std::string) is missing; it is in {ENGINE}:27",
                   f"{BLOCKING}:1: get_order(std::string) is missing; it is in {ENGINE}:27")

    def test_a_verb_that_the_engine_does_not_have(self):
        self.wrong(BLOCKING, "  template <class T>", "  Order more(int a);\n  template <class T>",
                   f"more(int): is not in {ENGINE}", "more: no test in tests/unit/faces calls it", at="Order more")
        self.wrong(AWAITABLE, "  engine::Session session", "  Order trigger();\n  engine::Session session",
                   f"trigger(): is not in {ENGINE}", at="Order trigger()")

    def test_parameters(self):
        self.wrong(BLOCKING, "new_account(AccountKey key, AccountOptions options,", "new_account(AccountKey key,",
                   f"new_account(AccountKey, CancelToken = CancelToken::never()): its parameters differ from {ENGINE}:20: "
                   "new_account(AccountKey, AccountOptions)", at="Account new_account")
        self.wrong(BLOCKING, "Bytes der, int reason", "int reason, Bytes der", "its parameters differ", at="int reason")
        self.wrong(BLOCKING, "Bytes der, int reason", "const Bytes& der, int reason", "revoke(const Bytes&, int, CancelToken")

    def test_results(self):
        self.wrong(BLOCKING, "  void revoke(Bytes der, CancelToken", "  bool revoke(Bytes der, CancelToken", "returns bool, not void")
        self.wrong(AWAITABLE, "  awaitable<void> revoke(Bytes der) const", "  awaitable<bool> revoke(Bytes der) const",
                   "returns awaitable<bool>, not awaitable<void>", at="awaitable<bool>")
        # What is not awaitable needs no twin, but is the wrong result; its twin is one of nothing then.
        self.wrong(AWAITABLE, "  awaitable<void> revoke(Bytes der) const", "  void revoke(Bytes der) const",
                   "async_revoke(Bytes, Token = {}): there is no awaitable function", "returns void, not awaitable<void>")

    def test_defaults(self):
        self.wrong(BLOCKING, 'response = "{}"', 'response = "[]"', 'the default of std::string is "[]", not "{}"')
        self.wrong(BLOCKING, "response = \"{}\", std::optional<std::chrono::seconds> deadline = {}",
                   "response = \"{}\", std::optional<std::chrono::seconds> deadline", "the default of std::optional<std::chrono::seconds> is none, not {}")
        self.wrong(AWAITABLE, "OrderRequest request) const", "OrderRequest request = {}) const", "is {}, not none")

    def test_const_and_cancel_token(self):
        self.wrong(BLOCKING, "Bytes der, int reason, CancelToken cancel = CancelToken::never()) const", "Bytes der, int reason, CancelToken cancel = CancelToken::never())",
                   "is not const")
        self.wrong(BLOCKING, "Bytes der, int reason, CancelToken cancel = CancelToken::never()", "Bytes der, int reason, CancelToken cancel",
                   "does not end in CancelToken cancel = CancelToken::never()")
        self.wrong(BLOCKING, "Bytes der, int reason, CancelToken cancel = CancelToken::never()", "Bytes der, int reason",
                   "revoke(Bytes, int): does not end in CancelToken cancel = CancelToken::never()")
        self.wrong(AWAITABLE, "get_public(std::string star_url) const", "get_public(std::string star_url)", "is not const")
        self.wrong(AWAITABLE, "std::string star_url", "std::string star_url, CancelToken cancel = CancelToken::never()", "there is no async_get_public",
                   "there is no awaitable function", "its parameters differ")

    def test_twins(self):
        self.wrong(AWAITABLE, "auto async_get_public(", "auto get_public_async(",
                   "get_public(std::string): there is no async_get_public(std::string, token)",
                   "get_public_async(std::string, Token&& = {}): is not in", "get_public_async: no test")
        self.wrong(AWAITABLE, "auto async_get_public(", "auto async_public(", "there is no async_get_public(std::string, token)",
                   "async_public(std::string, Token&& = {}): there is no awaitable function", "async_public: no test")
        self.wrong(AWAITABLE, "async_revoke(Bytes der, int reason,", "async_revoke(Bytes der, long reason,",
                   "there is no async_revoke(Bytes, int, token)", "async_revoke(Bytes, long, Token = {}): there is no awaitable")
        self.wrong(AWAITABLE, "static auto async_connect(", "auto async_connect(",
                   "is not static, unlike connect", "async_connect: no test", at="auto async_connect")
        self.wrong(AWAITABLE, "Token&& token = boost::asio::deferred)", "Token&& token = use_awaitable)",
                   "its token is not boost::asio::deferred unless given")
        self.wrong(AWAITABLE, "Token&& token = boost::asio::deferred)", "Token&& token)", "unless given")
        self.wrong(AWAITABLE, "Token&& token = boost::asio::deferred)", "Other token = boost::asio::deferred)", "is not a completion token")
        self.wrong(AWAITABLE, "Token&& token = boost::asio::deferred) const", "Token&& token = boost::asio::deferred)", "is not const")

    def test_verbs_that_only_the_faces_have(self):
        self.wrong(BLOCKING, "std::string download_certificate(", "std::string download_pem(",
                   "1: download_certificate(Account, std::string) is missing; it is in EXTRA_VERBS",
                   "download_pem(Account, std::string, CancelToken = CancelToken::never()): is not in", "download_pem: no test")

    def test_calls(self):
        self.wrong(TEST_BLOCKING, "client.trigger();", "// client.trigger();", "trigger: no test in tests/unit/faces calls it")
        self.wrong(TEST_BLOCKING, "client.trigger();", '"client.trigger();"', "trigger: no test")
        self.wrong(TEST_BLOCKING, "client.trigger();", "client.retrigger(); client.trigger; trigger();", "trigger: no test")
        self.wrong(TEST_AWAITABLE, "->async_issue ()", "", "async_issue: no test")
        self.wrong(TEST_AWAITABLE, "AcmeClient::connect()", "engine::connect()", "connect: no test")
        # The other face's test is no test of this face.
        self.wrong(TEST_BLOCKING, "blocking/acme_client", "asio/acme_client", "tests/unit/faces:1: no test includes culmen/blocking/")

    def test_only_public_functions_count(self):
        code, out = self.changed(BLOCKING, " public:\n", " protected:\n")
        self.assertEqual(code, 1)
        self.assertIn(f"{BLOCKING}:1: class AcmeClient has no public function", out)
        self.assertEqual(self.changed(BLOCKING, "T run(Flow<Result<T>> flow) const { return {}; }\n",
                                      "T run(Flow<Result<T>> flow) const { return {}; }\n private:\n  int secret();\n"), RIGHT)

    def test_what_is_missing_or_unreadable(self):
        for file in (ENGINE, AWAITABLE, BLOCKING):
            code, out = run_on({name: text for name, text in TREE.items() if name != file})
            self.assertEqual(code, 1)
            self.assertIn(f"{file}:1: cannot be read: ", out)
        self.assertIn(f"{ENGINE}:1: no verb was found", run_on({**TREE, ENGINE: "namespace culmen {}\n"})[1])
        self.assertIn(f"{BLOCKING}:1: cannot be read: {{ is never closed", self.changed(BLOCKING, "return {}; }", "return {};")[1])

    def test_the_awaitable_face_at_its_first_place(self):
        old = "include/culmen/acme_client.hpp"
        files = {(old if name == AWAITABLE else name): text for name, text in TREE.items()}
        files[TEST_AWAITABLE] = files[TEST_AWAITABLE].replace("culmen/asio/", "culmen/")
        self.assertEqual(run_on(files), RIGHT)


if __name__ == "__main__":
    unittest.main()
