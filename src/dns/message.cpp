#include "dns/message.hpp"

#include <arpa/nameser.h>
#include <resolv.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace culmen::dns {

namespace {

constexpr std::size_t header_size = 12;
constexpr std::uint8_t recursion_desired = 1;
constexpr int most_records = 100;

std::string name_of(const char* text) {
  std::string name = base::to_lower(text);
  if (name.ends_with('.')) name.pop_back();
  return name;
}

void append_number(Bytes& bytes, std::uint16_t number) {
  bytes.push_back(static_cast<std::uint8_t>(number >> 8));
  bytes.push_back(static_cast<std::uint8_t>(number & 0xff));
}

Error no_message() { return Error(Errc::bad_response, "reading a DNS answer", "it is not a DNS message"); }

}  // namespace

Result<Bytes> question(std::uint16_t id, const std::string& name, Type type) {
  std::array<std::uint8_t, NS_MAXCDNAME> wire{};
  if (name.empty() || ns_name_pton(name.c_str(), wire.data(), wire.size()) < 0)
    return Error(Errc::invalid_argument, "asking the DNS", "\"" + printable(name, 80) + "\" is not a DNS name");
  std::size_t length = 0;
  while (wire[length] != 0) length += wire[length] + std::size_t{1};
  Bytes message;
  append_number(message, id);
  message.push_back(recursion_desired);
  message.push_back(0);
  for (const std::uint16_t count : {1, 0, 0, 0}) append_number(message, count);
  message.insert(message.end(), wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(length + 1));
  append_number(message, static_cast<std::uint16_t>(type));
  append_number(message, ns_c_in);
  return message;
}

bool is_answer_to(ByteView message, ByteView question) {
  if (message.size() < question.size() || question.size() < header_size) return false;
  const bool is_response = (message[2] & 0x80) != 0;
  if (!is_response || message[0] != question[0] || message[1] != question[1]) return false;
  const auto same = [](std::uint8_t one, std::uint8_t other) {
    const auto lower = [](std::uint8_t c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; };
    return lower(one) == lower(other);
  };
  return std::equal(question.begin() + header_size, question.end(), message.begin() + header_size, same);
}

Result<Message> read_message(ByteView message) {
  ns_msg parsed;
  if (message.size() > NS_MAXMSG || ns_initparse(message.data(), static_cast<int>(message.size()), &parsed) != 0)
    return no_message();
  Message read;
  read.rcode = static_cast<Rcode>(ns_msg_getflag(parsed, ns_f_rcode));
  read.truncated = ns_msg_getflag(parsed, ns_f_tc) != 0;
  const int count = std::min<int>(ns_msg_count(parsed, ns_s_an), most_records);
  for (int i = 0; i < count; ++i) {
    ns_rr record;
    if (ns_parserr(&parsed, ns_s_an, i, &record) != 0) return no_message();
    if (ns_rr_class(record) != ns_c_in) continue;
    Record& kept = read.records.emplace_back();
    kept.name = name_of(ns_rr_name(record));
    kept.type = static_cast<Type>(ns_rr_type(record));
    kept.data.assign(ns_rr_rdata(record), ns_rr_rdata(record) + ns_rr_rdlen(record));
    if (kept.type != Type::cname) continue;
    std::array<char, NS_MAXDNAME> target{};
    if (ns_name_uncompress(ns_msg_base(parsed), ns_msg_end(parsed), ns_rr_rdata(record), target.data(), target.size()) <
        0)
      return no_message();
    kept.target = name_of(target.data());
  }
  return read;
}

}  // namespace culmen::dns
