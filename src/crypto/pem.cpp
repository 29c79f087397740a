#include "crypto/pem.hpp"

#include <algorithm>
#include <optional>

#include "base/base64.hpp"
#include "base/text.hpp"
#include "culmen/certificate.hpp"

namespace culmen {

std::vector<Bytes> pem_to_der(std::string_view pem) {
  std::vector<Bytes> out;
  for (auto& block : crypto::pem_blocks(pem))
    if (block.damage.empty()) out.push_back(std::move(block.der));
  return out;
}

std::string der_to_pem(ByteView der, std::string_view label) {
  const std::string body = base::base64_encode(der);
  std::string out = "-----BEGIN " + std::string(label) + "-----\n";
  for (std::size_t at = 0; at < body.size(); at += 64) out.append(body, at, 64).push_back('\n');
  return out + "-----END " + std::string(label) + "-----\n";
}

namespace crypto {
namespace {

constexpr std::string_view space = " \t\r\v\f";

/// "X" of "-----BEGIN X-----".
std::optional<std::string_view> label_of(std::string_view line, std::string_view begin) {
  if (line.size() < begin.size() + 5 || !line.starts_with(begin) || !line.ends_with("-----")) return std::nullopt;
  return line.substr(begin.size(), line.size() - begin.size() - 5);
}

struct OpenBlock {
  std::string label;
  std::string headers;
  std::string body;
};

PemBlock finished(const OpenBlock& open) {
  PemBlock block;
  block.label = open.label;
  block.headers = open.headers;
  auto der = base::base64_decode_lenient(open.body);
  if (!der)
    block.damage = "its text is not base64";
  else if (der->empty())
    block.damage = "it is empty";
  else
    block.der = std::move(*der);
  return block;
}

PemBlock unfinished(const OpenBlock& open) {
  PemBlock block;
  block.label = open.label;
  block.damage = "its END line is missing";
  return block;
}

}  // namespace

std::vector<PemBlock> pem_blocks(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());

  std::vector<PemBlock> blocks;
  std::optional<OpenBlock> open;
  while (!text.empty()) {
    const auto end = std::ranges::find_if(text, [](char c) { return c == '\n' || c == '\r'; });
    const std::string_view line = base::trimmed(std::string_view(text.begin(), end), space);
    text = end == text.end() ? std::string_view() : std::string_view(end + 1, text.end());

    if (const auto label = label_of(line, "-----BEGIN ")) {
      if (open) blocks.push_back(unfinished(*open));
      open = OpenBlock{std::string(*label), {}, {}};
    } else if (!open) {
      continue;
    } else if (const auto closing = label_of(line, "-----END ")) {
      blocks.push_back(*closing == open->label ? finished(*open) : unfinished(*open));
      open.reset();
    } else if (line.find(':') != line.npos) {
      open->headers.append(line).push_back('\n');
    } else {
      open->body.append(line);
    }
  }
  if (open) blocks.push_back(unfinished(*open));
  return blocks;
}

}  // namespace crypto
}  // namespace culmen
