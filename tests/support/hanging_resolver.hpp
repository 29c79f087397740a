// A getaddrinfo() of the program's own, which hangs for a name. libcurl calls it, on a thread of its own. For one
// source file of a test program.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <netdb.h>

namespace culmen::test {

inline std::atomic<bool> resolver_hangs = false;
inline std::atomic<int> lookups_begun = 0;
inline std::atomic<int> lookups_ended = 0;

inline const std::string hanging_url = "https://hangs.invalid/directory";

/// While it exists, looking up the host of hanging_url hangs, for four seconds at most.
struct HangingResolver {
  HangingResolver() { resolver_hangs = true; }
  ~HangingResolver() {
    resolver_hangs = false;
    while (lookups_ended != lookups_begun) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // for libcurl's thread to free what it holds
  }
  HangingResolver(const HangingResolver&) = delete;
  HangingResolver& operator=(const HangingResolver&) = delete;
  const int before = lookups_begun;
  bool is_asked() const { return lookups_begun > before; }
  bool is_hanging() const { return lookups_ended == before; }
};

}  // namespace culmen::test

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (!name || std::string_view(name) != "hangs.invalid") return real(name, service, hints, found);
  ++culmen::test::lookups_begun;
  for (int i = 0; i < 400 && culmen::test::resolver_hangs; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ++culmen::test::lookups_ended;
  return EAI_AGAIN;
}
