#include "drivers/call_pool.hpp"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace culmen::drivers {

class CallPool::Job {
 public:
  Job(CallAsk::Purpose purpose_, std::function<void()> function_) : purpose(purpose_), function(std::move(function_)) {}
  const CallAsk::Purpose purpose;
  std::function<void()> function;
  bool is_queued = false;  // at `place`
  std::list<std::shared_ptr<Job>>::iterator place;
};

/// Shared with the threads, which may outlive the pool.
struct CallPool::State {
  explicit State(unsigned threads_) : most_threads(std::max(1U, threads_)) {}

  std::mutex mutex;
  std::condition_variable changed;
  std::list<std::shared_ptr<Job>> storing;
  std::list<std::shared_ptr<Job>> others;
  const unsigned most_threads;
  unsigned threads = 0;  // that take everything
  unsigned idle = 0;     // of them
  bool has_storing_thread = false;
  bool closed = false;

  std::shared_ptr<Job> take(bool storing_only) {
    std::list<std::shared_ptr<Job>>& queue = storing_only || !storing.empty() ? storing : others;
    if (queue.empty()) return nullptr;
    std::shared_ptr<Job> job = std::move(queue.front());
    queue.pop_front();
    job->is_queued = false;
    return job;
  }
};

namespace {

template <class State>
void work(const std::shared_ptr<State>& state, bool storing_only) {
  std::unique_lock lock(state->mutex);
  while (!state->closed) {
    if (auto job = state->take(storing_only)) {
      lock.unlock();
      job->function();
      job.reset();  // without the lock: what it holds may do anything
      lock.lock();
      continue;
    }
    if (!storing_only) ++state->idle;
    state->changed.wait(lock);
    if (!storing_only) --state->idle;
  }
}

}  // namespace

CallPool::CallPool(unsigned threads) : state_(std::make_shared<State>(threads)) {}

CallPool::~CallPool() {
  std::list<std::shared_ptr<Job>> dropped;  // destroyed without the lock
  std::list<std::shared_ptr<Job>> also_dropped;
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  dropped.swap(state_->storing);
  also_dropped.swap(state_->others);
  state_->changed.notify_all();
}

std::shared_ptr<CallPool::Job> CallPool::post(CallAsk::Purpose purpose, std::function<void()> function) {
  auto job = std::make_shared<Job>(purpose, std::move(function));
  const bool storing = purpose == CallAsk::Purpose::storing;
  const std::lock_guard lock(state_->mutex);
  std::list<std::shared_ptr<Job>>& queue = storing ? state_->storing : state_->others;
  job->place = queue.insert(queue.end(), job);
  job->is_queued = true;
  const std::size_t waiting = state_->storing.size() + state_->others.size();
  try {
    if (waiting > state_->idle && state_->threads < state_->most_threads) {
      std::thread([state = state_] { work(state, false); }).detach();
      ++state_->threads;
    } else if (storing && state_->idle == 0 && !state_->has_storing_thread) {
      std::thread([state = state_] { work(state, true); }).detach();
      state_->has_storing_thread = true;
    }
  } catch (const std::system_error& error) {
    if (state_->threads == 0 && !(storing && state_->has_storing_thread)) {  // else one of those will come to it
      queue.pop_back();
      job->is_queued = false;
      throw Error(Errc::io_failed, "starting a thread for a function that may block", error.what())
          .with_system_code(error.code());
    }
  }
  state_->changed.notify_all();
  return job;
}

bool CallPool::withdraw(const std::shared_ptr<Job>& job) noexcept {
  const std::lock_guard lock(state_->mutex);
  if (!std::exchange(job->is_queued, false)) return false;
  (job->purpose == CallAsk::Purpose::storing ? state_->storing : state_->others).erase(job->place);
  return true;
}

}  // namespace culmen::drivers
