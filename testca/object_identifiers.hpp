// Object identifiers that several parts of the CA look for.
#pragma once

#include <string_view>

namespace culmen::testca {

constexpr std::string_view subject_alt_name = "2.5.29.17";

}  // namespace culmen::testca
