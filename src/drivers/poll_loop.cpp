#include "drivers/poll_loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "culmen/error.hpp"
#include "drivers/clock.hpp"
#include "drivers/performer.hpp"

namespace culmen::drivers {

namespace {

using std::chrono::nanoseconds;

/// In the numbers of Watched: what is not a descriptor of the performer's.
constexpr std::uint32_t wake_number = 0;
constexpr std::uint32_t timer_number = 1;
constexpr std::uint32_t interruption_number = 2;
constexpr std::uint32_t first_number = 3;

[[noreturn]] void throw_failure(const char* what) {
  const std::error_code why(errno, std::generic_category());
  throw Error(Errc::io_failed, "waiting for descriptors", std::string(what) + ": " + why.message())
      .with_system_code(why);
}

std::uint64_t key_of(std::uint32_t number, int descriptor) {
  return std::uint64_t(number) << 32 | static_cast<std::uint32_t>(descriptor);
}

void add_descriptor(int epoll, int descriptor, std::uint32_t number, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key_of(number, descriptor);
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) throw_failure("epoll_ctl");
}

timespec timespec_of(nanoseconds time) {
  timespec spec{};
  spec.tv_sec = static_cast<time_t>(time.count() / 1'000'000'000);
  spec.tv_nsec = static_cast<long>(time.count() % 1'000'000'000);
  return spec;
}

/// epoll_wait() in nanoseconds, where the kernel has it; else in milliseconds, rounded up.
int epoll_wait_for(int epoll, epoll_event* events, int size, nanoseconds time) {
  const timespec spec = timespec_of(time);
  const int ready = ::epoll_pwait2(epoll, events, size, &spec, nullptr);
  if (ready >= 0 || (errno != ENOSYS && errno != EPERM)) return ready;  // EPERM: older containers' filters
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(time);
  return ::epoll_wait(epoll, events, size, static_cast<int>(std::min<long long>(milliseconds.count(), 60'000)));
}

}  // namespace

PollLoop::PollLoop(bool with_timer) {
  try {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw_failure("epoll_create1");
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_ < 0) throw_failure("eventfd");
    add_descriptor(epoll_, wake_, wake_number, EPOLLIN);
    if (!with_timer) return;
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer_ < 0) throw_failure("timerfd_create");
    add_descriptor(epoll_, timer_, timer_number, EPOLLIN);
  } catch (...) {
    close_all();
    throw;
  }
}

PollLoop::~PollLoop() { close_all(); }

void PollLoop::close_all() noexcept {
  for (int* descriptor : {&epoll_, &wake_, &timer_}) {
    if (*descriptor >= 0) ::close(std::exchange(*descriptor, -1));
  }
}

void PollLoop::turn(Performer& performer, SteadyTime until) {
  std::array<epoll_event, 64> events;
  if (due_) until = std::min(until, *due_);
  const SteadyTime now = std::chrono::steady_clock::now();
  const nanoseconds left = until <= now ? nanoseconds(0) : std::min<nanoseconds>(until - now, longest_wait);
  const int ready = epoll_wait_for(epoll_, events.data(), static_cast<int>(events.size()), left);
  if (ready < 0 && errno != EINTR) throw_failure("epoll_wait");
  for (int i = 0; i < ready; ++i) {
    const auto number = static_cast<std::uint32_t>(events[i].data.u64 >> 32);
    const int descriptor = static_cast<int>(events[i].data.u64 & 0xffffffff);
    if (number == wake_number) {
      drain(wake_);
      performer.on_wake();
    } else if (number == timer_number) {
      drain(timer_);
    } else if (number != interruption_number) {
      const auto found = watched_.find(descriptor);
      if (found == watched_.end() || found->second.number != number) continue;  // closed by what came before
      const std::uint32_t seen = events[i].events;
      const int is_ready = ((seen & EPOLLIN) != 0 ? int(readable) : 0) | ((seen & EPOLLOUT) != 0 ? int(writable) : 0) |
                           ((seen & (EPOLLERR | EPOLLHUP)) != 0 ? int(failed) : 0);
      performer.on_ready(descriptor, is_ready);
    }
  }
  if (due_ && *due_ <= std::chrono::steady_clock::now()) {
    due_.reset();
    performer.on_due();
  }
}

void PollLoop::add_interruption(int descriptor) { add_descriptor(epoll_, descriptor, interruption_number, EPOLLIN); }

void PollLoop::remove_interruption(int descriptor) noexcept {
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void PollLoop::watch(int descriptor, int events) {
  const auto [place, is_new] = watched_.try_emplace(descriptor);
  Watched& watched = place->second;
  if (is_new) {
    watched.number = std::max(last_number_ + 1, first_number);
    last_number_ = watched.number;
  } else if (watched.events == events) {
    return;
  }
  epoll_event event{};
  event.events = ((events & readable) != 0 ? std::uint32_t(EPOLLIN) : 0U) |
                 ((events & writable) != 0 ? std::uint32_t(EPOLLOUT) : 0U);
  event.data.u64 = key_of(watched.number, descriptor);
  // With no events it is taken out: errors and hang-ups would be reported all the same.
  const bool was_in = !is_new && watched.events != 0;
  const int what = events == 0 ? EPOLL_CTL_DEL : was_in ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  watched.events = events;
  if (events == 0 && !was_in) return;
  if (::epoll_ctl(epoll_, what, descriptor, &event) != 0 && what != EPOLL_CTL_DEL) throw_failure("epoll_ctl");
}

void PollLoop::forget(int descriptor) noexcept {
  const auto found = watched_.find(descriptor);
  if (found == watched_.end()) return;
  if (found->second.events != 0) (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  watched_.erase(found);
}

void PollLoop::set_due(std::optional<SteadyTime> due) {
  due_ = due;
  if (timer_ < 0) return;
  itimerspec when{};  // zero: off
  if (due) {
    const auto time = std::chrono::duration_cast<nanoseconds>(due->time_since_epoch());
    when.it_value = timespec_of(std::max(time, nanoseconds(1)));
  }
  if (::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr) != 0) throw_failure("timerfd_settime");
}

bool PollLoop::wake() noexcept {
  const int interrupted = errno;  // a signal handler must leave it as it was
  const std::uint64_t one = 1;
  while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
  }
  errno = interrupted;
  return true;
}

void PollLoop::drain(int descriptor) const noexcept {
  std::uint64_t count = 0;
  while (::read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace culmen::drivers
