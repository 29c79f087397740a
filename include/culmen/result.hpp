// A value or an Error, for code that runs inside flows.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "culmen/error.hpp"

namespace culmen {

/// A value or the Error that came instead. Flows use it; the public faces throw the Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  /// The value; undefined when there is none. Use value_or_throw() at a public edge.
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }

  /// The error; undefined when there is a value.
  const Error& error() const { return *std::get_if<1>(&state_); }

  T value_or_throw() && {
    if (auto* error = std::get_if<1>(&state_)) throw *error;
    return std::move(*std::get_if<0>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const noexcept { return !error_; }
  bool has_value() const noexcept { return !error_; }
  const Error& error() const { return *error_; }
  void value_or_throw() const {
    if (error_) throw *error_;
  }

 private:
  std::optional<Error> error_;
};

/// Runs `make` and turns a thrown Error into a Result: for calling the throwing public functions from flows.
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
