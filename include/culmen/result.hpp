// A value or an Error, for code inside flows.
#pragma once

#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "culmen/error.hpp"

namespace culmen {

namespace detail {
/// Check has_value() before accessing the value or the error. Without NDEBUG a wrong access aborts the program; with
/// NDEBUG it is undefined.
inline void check_access([[maybe_unused]] bool allowed) noexcept {
#ifndef NDEBUG
  if (!allowed) std::abort();
#endif
}
}  // namespace detail

/// A value or an Error. Flows return it; the clients throw the Error. As thread-safe as T.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  /// The value. Throws the Error if there is none.
  T& value() & {
    throw_error();
    return **this;
  }
  const T& value() const& {
    throw_error();
    return **this;
  }
  T value() && {
    throw_error();
    return *std::move(*this);
  }

  /// The value. Precondition: has_value().
  T& operator*() & { return *checked<0>(*this); }
  const T& operator*() const& { return *checked<0>(*this); }
  T&& operator*() && { return std::move(*checked<0>(*this)); }
  T* operator->() { return checked<0>(*this); }
  const T* operator->() const { return checked<0>(*this); }

  /// The error. Precondition: !has_value().
  const Error& error() const { return *checked<1>(*this); }

 private:
  template <std::size_t index, class Self>
  static auto* checked(Self& self) {
    auto* found = std::get_if<index>(&self.state_);
    detail::check_access(found != nullptr);
    return found;
  }
  void throw_error() const {
    if (const auto* error = std::get_if<1>(&state_)) throw *error;
  }

  std::variant<T, Error> state_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const noexcept { return !error_; }
  bool has_value() const noexcept { return !error_; }
  /// Throws the Error if there is one.
  void value() const {
    if (error_) throw *error_;
  }
  /// The error. Precondition: !has_value().
  const Error& error() const {
    detail::check_access(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

/// The exception as an Error: an Error itself with `doing` before it, any other exception as solver_failed. For
/// exceptions of the user's code; never throws them on.
Error error_from_exception(const std::exception_ptr& thrown, std::string_view doing);

/// Calls user code that returns a Result, and turns whatever it throws into an error, as error_from_exception() does.
template <class F>
std::invoke_result_t<F> guarded_call(F&& call, std::string_view doing) {
  try {
    return std::forward<F>(call)();
  } catch (...) {
    return error_from_exception(std::current_exception(), doing);
  }
}

/// Runs `make` and turns an Error it throws into a Result, to call throwing functions from flows. Other exceptions
/// pass.
template <class F>
auto result_of(F&& make) -> Result<std::invoke_result_t<F>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(make)();
      return {};
    } else {
      return std::forward<F>(make)();
    }
  } catch (const Error& error) {
    return error;
  }
}

}  // namespace culmen
