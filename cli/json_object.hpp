// A JSON object: what --json prints, and what the files of the state folder hold. Boost.JSON is in json_object.cpp
// alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culmen::cli {

/// Whether the text is UTF-8, as JSON needs it.
bool is_utf8(std::string_view text);

/// Keeps its members in the order in which they were set. A plain value; once moved from, it can only be assigned to.
class JsonObject {
 public:
  JsonObject();
  JsonObject(const JsonObject& other);
  JsonObject(JsonObject&& other) noexcept;
  JsonObject& operator=(const JsonObject& other);
  JsonObject& operator=(JsonObject&& other) noexcept;
  ~JsonObject();

  /// nullopt when the text is anything but one JSON object.
  static std::optional<JsonObject> parse(std::string_view text);
  /// On one line, without a line break at its end. Always valid JSON: octets that are not UTF-8 become U+FFFD; control
  /// characters, and those that turn the direction of text, are escaped.
  std::string serialized() const;
  /// Whether all texts are UTF-8: whether serialized() keeps them as they are.
  bool has_only_utf8() const;

  // Each adds the member, or replaces its value.
  void set(std::string_view name, std::string_view text);
  void set(std::string_view name, const char* text);
  void set(std::string_view name, bool flag);
  void set(std::string_view name, int number);
  void set(std::string_view name, std::int64_t number);
  void set(std::string_view name, const std::vector<std::string>& texts);
  void set(std::string_view name, const JsonObject& object);
  void set(std::string_view name, const std::vector<JsonObject>& objects);

  /// Sets the member to the value that it has in `from`; does nothing when it has none there.
  void copy(std::string_view name, const JsonObject& from);
  void copy_all(const JsonObject& from);
  void erase(std::string_view name);

  // The value of a member. When there is no such member, or it has another type: an empty one, or `otherwise`.
  std::string text(std::string_view name) const;
  bool flag(std::string_view name) const;
  int number(std::string_view name, int otherwise) const;
  std::int64_t number(std::string_view name, std::int64_t otherwise) const;
  /// Without those elements that are not texts.
  std::vector<std::string> texts(std::string_view name) const;
  JsonObject object(std::string_view name) const;

  /// "text", "number" (an integer), "flag", "list", "object" or "other"; empty: there is no such member.
  std::string type_of(std::string_view name) const;

  /// Whether it has every member of `other`, with the same value.
  bool includes(const JsonObject& other) const;

 private:
  struct Members;
  std::unique_ptr<Members> members_;
};

}  // namespace culmen::cli
