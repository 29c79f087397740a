// certbot's renewal/<name>.conf: how a certificate is renewed.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace culmen::imports {

/// A renewal/<name>.conf, in the form of Python's configobj: sections in sections, lists with commas, quotes.
class RenewalConf {
 public:
  /// Throws Error (io_failed), which names the line.
  static RenewalConf parse(std::string_view text, const std::filesystem::path& path);

  /// The first value of a member of [renewalparams]; empty when there is none, or "None".
  std::string text(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;
  bool flag(const std::string& name) const;
  /// The values of a section within [renewalparams].
  std::vector<std::string> texts_below(const std::string& section) const;
  /// A member outside of all sections.
  std::string top_text(const std::string& name) const;

 private:
  std::map<std::string, std::vector<std::string>> members_;  // by "section/section/name"
};

}  // namespace culmen::imports
