// What is looked at before a CA is asked.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "culmen/atomic_file.hpp"
#include "culmen/deployment.hpp"
#include "storage/account_names.hpp"

namespace culmen {

namespace fs = std::filesystem;

namespace {

using Problems = std::vector<DeploymentProblem>;

DeploymentProblem problem(Errc code, std::string text, std::string advice) {
  DeploymentProblem problem;
  problem.code = code;
  problem.text = std::move(text);
  problem.advice = std::move(advice);
  return problem;
}

std::optional<DeploymentProblem> check_output(const std::string& name, const std::string& path) {
  if (path.empty()) return std::nullopt;
  std::error_code failed;
  const fs::path folder = fs::path(path).parent_path();
  const fs::file_status status = fs::status(path, failed);
  if (fs::is_directory(status))
    return problem(Errc::invalid_argument, name + ": " + path + " is a folder", "Name a file in it.");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return problem(Errc::invalid_argument, name + ": " + path + " is not a regular file",
                   "Name another file: it is replaced.");
  }
  if (!fs::is_directory(folder, failed)) {
    return problem(Errc::not_found, name + ": there is no folder " + folder.string(),
                   "Make it first: mkdir -p " + folder.string());
  }
  if (access(folder.c_str(), W_OK | X_OK) == 0) return std::nullopt;
  return problem(Errc::io_failed, name + ": this user cannot write to the folder " + folder.string(),
                 "Change its mode or owner, name another file, or run culmen as another user.");
}

/// root may give files to any group.
bool may_give_to(gid_t group) {
  if (geteuid() == 0 || getegid() == group) return true;
  std::vector<gid_t> own(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(own.size()), own.data());
  own.resize(static_cast<std::size_t>(std::max(count, 0)));
  return std::find(own.begin(), own.end(), group) != own.end();
}

std::optional<DeploymentProblem> check_group(const std::string& name, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::optional<gid_t> group = storage::find_group(text);
  if (!group) {
    return problem(Errc::not_found, name + ": there is no group \"" + printable(text) + "\" on this machine",
                   "Create it with groupadd, or use another group.");
  }
  if (may_give_to(*group)) return std::nullopt;
  return problem(
      Errc::io_failed,
      name + ": this user is not a member of the group " + printable(text) + ", so it cannot give files to it",
      "Add the user to the group (" + storage::join_command(*group) + "), or run culmen as root.");
}

Problems check_same_files(const std::vector<std::pair<std::string, std::string>>& outputs,
                          const std::vector<std::string>& written, const std::vector<std::string>& needed) {
  Problems problems;
  for (auto one = outputs.begin(); one != outputs.end(); ++one) {
    for (auto other = one + 1; other != outputs.end(); ++other) {
      if (one->second.empty() || other->second.empty()) continue;
      if (replaced_file(one->second) != replaced_file(other->second)) continue;
      problems.push_back(problem(Errc::invalid_argument,
                                 one->first + " and " + other->first + " name the same file, " + one->second,
                                 "For key and chain in one file there is " + outputs.back().first + "."));
    }
  }
  for (const std::string& path : written) {
    for (const std::string& other : needed) {
      if (replaced_file(path) != replaced_file(other)) continue;
      problems.push_back(problem(Errc::invalid_argument,
                                 path + " would be overwritten, and the same certificate needs it as " + other,
                                 "Name another file for the output."));
    }
  }
  return problems;
}

}  // namespace

std::vector<std::string> output_files(const DeploymentSettings& settings) {
  std::vector<std::string> files = {settings.out, settings.cert_key_is_input ? std::string() : settings.cert_key,
                                    settings.combined};
  std::erase(files, std::string());
  return files;
}

std::optional<DeploymentProblem> check_program(const std::string& name, const std::string& program) {
  const std::string why = obstacle_of_program(program);
  if (why.empty()) return std::nullopt;
  return problem(Errc::not_found, name + ": " + printable(program) + " cannot be run: " + why,
                 program.find(' ') == std::string::npos
                     ? ""
                     : "Hooks are programs without arguments: put the command into a script, and name that.");
}

Problems check_deployment(const DeploymentSettings& settings, const std::vector<std::string>& needed,
                          const SettingNames& names) {
  const auto name = [&names](const char* member) { return names ? names(member) : std::string(member); };
  Problems problems;
  const auto add = [&problems](std::optional<DeploymentProblem> found) {
    if (found) problems.push_back(std::move(*found));
  };
  add(check_output(name("out"), settings.out));
  if (!settings.cert_key_is_input) add(check_output(name("cert_key"), settings.cert_key));
  add(check_output(name("combined"), settings.combined));
  const Problems same = check_same_files(
      {{name("out"), settings.out}, {name("cert_key"), settings.cert_key}, {name("combined"), settings.combined}},
      output_files(settings), needed);
  problems.insert(problems.end(), same.begin(), same.end());
  add(check_group(name("key_group"), settings.key_group));
  const std::pair<const char*, const std::vector<std::string>*> hooks[] = {{"deploy_hooks", &settings.deploy_hooks},
                                                                           {"pre_hooks", &settings.pre_hooks},
                                                                           {"post_hooks", &settings.post_hooks},
                                                                           {"failure_hooks", &settings.failure_hooks}};
  for (const auto& [member, programs] : hooks) {
    for (const std::string& program : *programs) add(check_program(name(member), program));
  }
  return problems;
}

}  // namespace culmen
