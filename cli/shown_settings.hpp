// The settings of a certificate as the program shows them, and what differs between two.
#pragma once

#include <string>
#include <vector>

#include "json_object.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// When a change counts.
enum class Takes {
  new_certificate,  ///< It needs one.
  next_run,         ///< A `culmen renew` does it, also if nothing is due.
  next_change,      ///< When the certificate changes the next time.
  next_renewal,     ///< It is how that is done.
};

/// A plain value.
struct SettingLine {
  SettingLine(std::string label_, std::string value_, Takes takes_)
      : label(std::move(label_)), value(std::move(value_)), takes(takes_) {}
  std::string label;
  std::string value;  ///< Empty: not set.
  Takes takes;
};
/// All that there are, in the same order each time.
std::vector<SettingLine> setting_lines(const Settings& settings);
/// Those that differ: "none -> ssl-cert"; of lists what comes and goes: "added b.example; dropped c.example".
std::vector<SettingLine> changed_lines(const Settings& before, const Settings& after);

/// A line for each that is set, with its label.
void say_settings(const Settings& settings, Output& output);
/// One such line.
std::string labelled(const SettingLine& line);

/// For --json. Members that are not set are left out.
JsonObject settings_object(const Settings& settings);

}  // namespace culmen::cli
