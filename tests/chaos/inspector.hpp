// What a killed program left: on disk as a web server sees it, in storage, and at the CA.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/flow.hpp"
#include "culmen/private_key.hpp"
#include "culmen/storage.hpp"
#include "culmen/test_ca.hpp"
#include "drivers/blocking_driver.hpp"

namespace chaos {

constexpr std::size_t most_faults = 20;

struct Findings {
  int lost_keys = 0, half_states = 0, litter = 0;
  std::vector<std::string> faults;
};

/// Looks at the state folder of programs that use one CA, with one account there.
class Inspector {
 public:
  /// What is wrong goes to `findings` and to standard error.
  Inspector(Findings& findings, const culmen::TestCa& ca, std::string root_file, std::filesystem::path folder)
      : findings_(findings), ca_(ca), root_(std::move(root_file)), folder_(std::move(folder)) {}

  /// What is being done now, and what is of use if that goes wrong: both are part of what is reported.
  void now_at(std::string where, std::vector<std::string> details = {});
  const std::string& where() const noexcept { return where_; }
  void fault(const std::string& what);
  void half(const std::string& what);
  void lost(const std::string& what);
  void litter(const std::string& what);

  /// `settled`: nothing runs, and the last run was not disturbed. These have to be there then. Reads a copy, because
  /// reading finishes what the killed one began, which is for the next run to do.
  void check(bool settled, const std::vector<std::string>& ids);

 private:
  using Values = std::map<std::string, std::string>;
  void check_links();
  void check_litter();
  Values load();
  void collect_keys(const std::string& key, const std::string& value, std::vector<culmen::PrivateKey>& keys);
  void check_certificate(const std::string& id, const Values& values, bool settled);
  void check_issued(const std::vector<culmen::PrivateKey>& keys);
  void check_account(const Values& values, bool settled);
  template <class T>
  T drive(culmen::Flow<T> flow);

  Findings& findings_;
  const culmen::TestCa& ca_;
  const std::string root_;
  const std::filesystem::path folder_;
  std::unique_ptr<culmen::drivers::BlockingDriver> driver_;
  std::string where_;
  std::vector<std::string> details_;
  std::size_t seen_ = 0;
  std::map<std::string, culmen::Certificate> newest_;
};

}  // namespace chaos
