#include "testca/dns_message.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

// ldns.h declares signing functions, which we do not use, with types that OpenSSL 3 deprecates and the build hides.
#undef OPENSSL_NO_DEPRECATED
#undef OPENSSL_API_COMPAT
#include <ldns/ldns.h>
// It makes macros of these words, which in a unity build hold for the files after this one: `true` is an int there.
#undef bool
#undef true
#undef false

#include "base/text.hpp"

namespace culmen::testca {

namespace {

constexpr std::uint16_t udp_size = 1232;  // what goes through any network whole

template <auto Free>
struct FreedBy {
  void operator()(auto* pointer) const noexcept { Free(pointer); }
};
using Packet = std::unique_ptr<ldns_pkt, FreedBy<&ldns_pkt_free>>;
using Rdf = std::unique_ptr<ldns_rdf, FreedBy<&ldns_rdf_deep_free>>;
using MallocText = std::unique_ptr<char, FreedBy<&std::free>>;

/// Lower-case, without the final dot.
std::string text_of_name(const ldns_rdf* name) {
  const MallocText text(ldns_rdf2str(name));
  if (!text) return {};
  std::string result(text.get());
  if (result.size() > 1 && result.ends_with('.')) result.pop_back();
  return base::to_lower(result);
}

/// The character-strings of a TXT record, one after the other.
std::string text_of_txt(const ldns_rr* record) {
  std::string value;
  for (std::size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
    const ldns_rdf* part = ldns_rr_rdf(record, i);
    const auto* octets = ldns_rdf_data(part);
    const std::size_t size = ldns_rdf_size(part);
    if (size > 0) value.append(reinterpret_cast<const char*>(octets) + 1, size - 1);  // the first octet is the length
  }
  return value;
}

}  // namespace

Result<Bytes> txt_query(const std::string& name, std::uint16_t id) {
  const std::string doing = "asking the DNS for " + printable(name, 260);
  ldns_rdf* parsed = nullptr;
  if (ldns_str2rdf_dname(&parsed, name.c_str()) != LDNS_STATUS_OK || !parsed) {
    return Error(Errc::invalid_argument, doing, "it is not a name that the DNS can have");
  }
  // The packet takes the name over.
  const Packet packet(ldns_pkt_query_new(parsed, LDNS_RR_TYPE_TXT, LDNS_RR_CLASS_IN, LDNS_RD));
  if (!packet) return Error(Errc::io_failed, doing, "out of memory");
  ldns_pkt_set_id(packet.get(), id);
  ldns_pkt_set_edns_udp_size(packet.get(), udp_size);
  std::uint8_t* wire = nullptr;
  std::size_t size = 0;
  if (ldns_pkt2wire(&wire, packet.get(), &size) != LDNS_STATUS_OK) {
    return Error(Errc::io_failed, doing, "the question cannot be put into a message");
  }
  const std::unique_ptr<std::uint8_t, FreedBy<&std::free>> owned(wire);
  return Bytes(wire, wire + size);
}

Result<TxtAnswer> read_txt_answer(ByteView message, const std::string& name, std::uint16_t id) {
  const std::string doing = "reading the DNS server's answer for " + printable(name, 260);
  ldns_pkt* parsed = nullptr;
  const ldns_status status = ldns_wire2pkt(&parsed, message.data(), message.size());
  const Packet packet(parsed);
  if (status != LDNS_STATUS_OK || !packet) {
    return Error(Errc::bad_response, doing, std::string("it is no DNS message: ") + ldns_get_errorstr_by_id(status));
  }
  if (!ldns_pkt_qr(packet.get()) || ldns_pkt_id(packet.get()) != id) {
    return Error(Errc::bad_response, doing, "it is the answer to something else");
  }
  TxtAnswer answer;
  answer.rcode = ldns_pkt_get_rcode(packet.get());
  answer.truncated = ldns_pkt_tc(packet.get());

  const ldns_rr_list* records = ldns_pkt_answer(packet.get());
  std::map<std::string, std::string> aliases;
  std::multimap<std::string, std::string> texts;
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
    const ldns_rr* record = ldns_rr_list_rr(records, i);
    const std::string owner = text_of_name(ldns_rr_owner(record));
    if (ldns_rr_get_type(record) == LDNS_RR_TYPE_TXT) texts.emplace(owner, text_of_txt(record));
    if (ldns_rr_get_type(record) == LDNS_RR_TYPE_CNAME && ldns_rr_rd_count(record) == 1)
      aliases.emplace(owner, text_of_name(ldns_rr_rdf(record, 0)));
  }
  std::string owner = name;
  for (int i = 0; i < max_aliases && aliases.contains(owner); ++i) owner = aliases.at(owner);
  const auto [first, last] = texts.equal_range(owner);
  for (auto text = first; text != last; ++text) answer.values.push_back(text->second);
  if (answer.values.empty() && owner != name) answer.alias = owner;
  return answer;
}

}  // namespace culmen::testca
