#include "deployment/hook_variable.hpp"

namespace culmen::deployment {

// execve(2): a string takes 128 KiB, and all of them a quarter of the stack.
constexpr std::size_t longest_hook_variable = 32 * 1024;

std::string hook_variable(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    if (out.size() + text.size() > longest_hook_variable) return out + (out.empty() ? "…" : " …");
    out += (out.empty() ? "" : " ") + text;
  }
  return out;
}

}  // namespace culmen::deployment
