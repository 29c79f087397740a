// The processes that tests start end with the test, however that ends.
#include <doctest/doctest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <system_error>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"

TEST_CASE("a test program that ends without destructors takes its servers along") {
  const culmen::test::TemporaryFolder folder;
  int held_open[2];  // by the server: the other end sees when it is gone
  REQUIRE(pipe(held_open) == 0);
  const pid_t test_program = fork();
  REQUIRE(test_program >= 0);
  if (test_program == 0) {
    setenv("TMPDIR", folder.path().c_str(), 1);
    cli_test::Process server({"sleep", "60"});
    _exit(server.running() ? 0 : 1);
  }
  close(held_open[1]);
  int status = -1;
  REQUIRE(waitpid(test_program, &status, 0) == test_program);
  CHECK(status == 0);
  pollfd gone{held_open[0], POLLIN, 0};
  CHECK(poll(&gone, 1, 5000) == 1);
  close(held_open[0]);
}

TEST_CASE("a program that does not exist is an error of the test") {
  CHECK_THROWS_AS(cli_test::Process({"/nonexistent/program"}), std::system_error);
}
