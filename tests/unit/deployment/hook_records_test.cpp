// What is recorded of hooks, and what hooks are told in the environment.
#include "deployment/hook_records.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "culmen/deployment.hpp"
#include "culmen/error.hpp"
#include "deployment/hook_variable.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace culmen::deployment;
namespace fs = std::filesystem;

TEST_CASE("hook records: what is written is read, for owners alone") {
  const test::TemporaryFolder folder;
  const fs::path file = hook_record_file(folder / "local", "a.example");
  CHECK(file == folder / "local" / "deployed" / "a.example.json");
  CHECK_FALSE(read_hook_record(file));
  HookRecord record;
  record.serial = "0a1b";
  write_record(file, record);
  CHECK(read_hook_record(file) == record);
  CHECK(test::mode_of(file) == 0600);
  CHECK(test::mode_of(file.parent_path()) == 0700);
  record.hooks_failed = true;
  record.tried = 1'800'000'100;
  record.since = 1'800'000'000;
  record.tries = 3;
  record.errors = {{"/bin/reload", "it failed"}, {"/bin/tell", "it was killed"}};
  write_record(file, record);
  CHECK(read_hook_record(file) == record);
  CHECK(test::file_text(file) ==
        R"({"format":1,"serial":"0a1b","hooks_failed":true,"tried":1800000100,"since":1800000000,"tries":3,)"
        R"("failed":["/bin/reload","/bin/tell"],"errors":["it failed","it was killed"]})"
        "\n");
}

TEST_CASE("hook records: those of earlier programs, and members of another type") {
  const test::TemporaryFolder folder;
  HookRecord record = *read_hook_record(folder.write("old", R"({"serial":"01","hooks_failed":true,"tried":5})"));
  CHECK(record.serial == "01");
  CHECK(record.hooks_failed);
  CHECK(record.since == 5);
  CHECK(record.tries == 1);
  CHECK(record.errors.empty());
  record = *read_hook_record(folder.write("odd", R"({"serial":1,"hooks_failed":"yes","tries":"many"})"));
  CHECK(record == HookRecord());
}

TEST_CASE("hook records: a file that is something else is an error that names it") {
  const test::TemporaryFolder folder;
  for (const std::string text : {"", "{", "[]", "x"}) {
    CAPTURE(text);
    const std::string file = folder.write("record", text);
    const std::string why = thrown_by([&] { (void)read_hook_record(file); });
    CHECK(contains(why, file));
    CHECK(contains(why, "move it away to start over"));
    CHECK(contains(thrown_by([&] { (void)read_late_record(file); }), file));
  }
}

TEST_CASE("hook records: texts that are not UTF-8 leave a record that can be read") {
  const test::TemporaryFolder folder;
  HookRecord record;
  record.hooks_failed = true;
  record.errors[recorded_name("/bin/a\xff")] = "said \xff\x1b[31m";
  const fs::path file = hook_record_file(folder / "local", "a");
  write_record(file, record);
  CHECK(read_hook_record(file)->errors == std::map<std::string, std::string>{{"/bin/a?", "said ??[31m"}});
}

TEST_CASE("hook records: a state folder that is gone is not made again") {
  const test::TemporaryFolder folder;
  const fs::path file = hook_record_file(folder / "state" / "local", "a");
  CHECK(contains(thrown_by([&] { write_record(file, HookRecord()); }), (folder / "state").string()));
  CHECK_FALSE(fs::exists(folder / "state"));
}

TEST_CASE("late records: what is written is read") {
  const test::TemporaryFolder folder;
  const fs::path file = late_record_file(folder / "local", "*.a.example");
  CHECK_FALSE(read_late_record(file));
  LateRecord record;
  record.since = 1'800'000'000;
  write_record(file, record);
  CHECK(read_late_record(file)->since == record.since);
  CHECK(read_late_record(file)->told == 0);
  record.told = 1'800'000'009;
  write_record(file, record);
  CHECK(read_late_record(file)->told == record.told);
}

TEST_CASE("hook records: they follow a certificate that is renamed, and are removed with it") {
  const test::TemporaryFolder folder;
  const fs::path local = folder / "local";
  rename_hook_records(local, "a", "b");  // nothing is recorded
  remove_hook_records(local, "a");
  HookRecord record;
  record.serial = "01";
  write_record(hook_record_file(local, "a"), record);
  write_record(late_record_file(local, "a"), LateRecord());
  rename_hook_records(local, "a", "b");
  CHECK(read_hook_record(hook_record_file(local, "b")) == record);
  CHECK(read_late_record(late_record_file(local, "b")));
  CHECK_FALSE(fs::exists(hook_record_file(local, "a")));
  remove_hook_records(local, "b");
  CHECK_FALSE(fs::exists(hook_record_file(local, "b")));
  CHECK_FALSE(fs::exists(late_record_file(local, "b")));
  fs::create_directories(hook_record_file(local, "c") / "x");
  CHECK(contains(thrown_by([&] { remove_hook_records(local, "c"); }), hook_record_file(local, "c").string()));
}

TEST_CASE("hooks: a variable of very many texts is short enough for Linux, and says that it was cut") {
  CHECK(hook_variable({}).empty());
  CHECK(hook_variable({"a.example", "b.example"}) == "a.example b.example");
  const std::string cut = hook_variable(std::vector<std::string>(20000, "name.example"));
  CHECK(cut.size() < 100000);
  CHECK(cut.starts_with("name.example name.example "));
  CHECK(cut.ends_with(" name.example …"));
}
