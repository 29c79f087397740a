// The settings that culmen check and culmen test try.
#pragma once

#include <string>

#include "host.hpp"
#include "settings.hpp"

namespace culmen::cli {

/// Those of the certificate called `name`, or, if that is empty, of the one that is called after the first name that
/// was given, with what was given. With `name`, names that were given come after its own: all of them are tried. Throws
/// as Host::settings_of() and SettingFlags::merged().
Settings settings_to_try(const Host& host, const SettingFlags& flags, const std::string& name);

}  // namespace culmen::cli
