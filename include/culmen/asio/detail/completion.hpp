// Passes the result of a flow to a completion handler. For culmen/asio/acme_client.hpp.
#pragma once

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>

#include "culmen/driver.hpp"

namespace culmen::detail {

/// The signature of a handler for a result of type T.
template <class T>
struct CompletionSignatureOf {
  using type = void(std::exception_ptr, T);
};
/// The signature for no result.
template <>
struct CompletionSignatureOf<void> {
  using type = void(std::exception_ptr);
};
template <class T>
using CompletionSignature = typename CompletionSignatureOf<T>::type;

/// Owns the execution while it is driven, then passes its result to the handler. Has the handler's associated executor
/// and cancellation slot. Called once, through that executor.
template <class T>
class Completion {
 public:
  using Handler = boost::asio::any_completion_handler<CompletionSignature<T>>;

  Completion(std::unique_ptr<Execution<Result<T>>> execution, Handler handler)
      : execution_(std::move(execution)), handler_(std::move(handler)) {}

  const Handler& handler() const noexcept { return handler_; }

  void operator()(std::exception_ptr failure) {
    if constexpr (std::is_void_v<T>) {
      try {
        if (!failure) execution_->result().value();
      } catch (...) {
        failure = std::current_exception();
      }
      execution_.reset();
      std::move(handler_)(failure);
    } else {
      T value{};
      try {
        if (!failure) value = execution_->result().value();
      } catch (...) {
        failure = std::current_exception();
      }
      execution_.reset();
      std::move(handler_)(failure, std::move(value));
    }
  }

 private:
  std::unique_ptr<Execution<Result<T>>> execution_;
  Handler handler_;
};

}  // namespace culmen::detail

template <class T, class Candidate>
struct boost::asio::associated_executor<culmen::detail::Completion<T>, Candidate> {
  using Inner = boost::asio::associated_executor<typename culmen::detail::Completion<T>::Handler, Candidate>;
  using type = typename Inner::type;
  static type get(const culmen::detail::Completion<T>& completion, const Candidate& candidate = Candidate()) noexcept {
    return Inner::get(completion.handler(), candidate);
  }
};

template <class T, class Candidate>
struct boost::asio::associated_allocator<culmen::detail::Completion<T>, Candidate> {
  using Inner = boost::asio::associated_allocator<typename culmen::detail::Completion<T>::Handler, Candidate>;
  using type = typename Inner::type;
  static type get(const culmen::detail::Completion<T>& completion, const Candidate& candidate = Candidate()) noexcept {
    return Inner::get(completion.handler(), candidate);
  }
};

template <class T, class Candidate>
struct boost::asio::associated_cancellation_slot<culmen::detail::Completion<T>, Candidate> {
  using Inner = boost::asio::associated_cancellation_slot<typename culmen::detail::Completion<T>::Handler, Candidate>;
  using type = typename Inner::type;
  static type get(const culmen::detail::Completion<T>& completion, const Candidate& candidate = Candidate()) noexcept {
    return Inner::get(completion.handler(), candidate);
  }
};
