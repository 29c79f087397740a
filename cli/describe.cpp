#include "describe.hpp"

#include "culmen/error.hpp"
#include "output.hpp"

namespace culmen::cli {

Shown shown(const culmen::StoredCertificate& certificate) {
  Shown shown;
  shown.leaf = Certificate::from_pem(certificate.live.value().chain_pem);
  shown.serial = serial_text(shown.leaf.serial);
  planner::CertificateFacts facts;
  facts.not_before = shown.leaf.not_before;
  facts.not_after = shown.leaf.not_after;
  facts.renewal = certificate.record.renewal;
  facts.renewal.dice = certificate.record.dice;  // as the planner has it
  std::optional<std::chrono::seconds> renew_before;
  if (certificate.record.spec) renew_before = certificate.record.spec->renew_before;
  shown.due = planner::due(facts, planner::Policy(), std::chrono::system_clock::now(), std::nullopt, renew_before);
  return shown;
}

std::vector<std::pair<std::string, LeftOutName>> missing_names(const culmen::StoredCertificate& certificate) {
  std::vector<std::pair<std::string, LeftOutName>> missing;
  const CertificateRecord& record = certificate.record;
  if (!record.spec || !record.spec->allow_subset) return missing;
  for (const std::string& name : record.spec->names) {
    if (const auto found = record.left_out.find(name); found != record.left_out.end()) missing.push_back(*found);
  }
  return missing;
}

void describe(const culmen::StoredCertificate& certificate, const Host& host, JsonObject& json) {
  json.set("name", certificate.id);
  json.set("names", certificate.record.names);
  json.set("server", certificate.record.server);
  json.set("account", certificate.record.account);
  json.set("key_type", certificate.record.key_type);
  std::vector<JsonObject> missing;
  for (const auto& [name, left_out] : missing_names(certificate)) {
    JsonObject& one = missing.emplace_back();
    one.set("name", name);
    one.set("why", printable(left_out.why, 1000));
    one.set("since", time_text(left_out.since));
    one.set("next_try", time_text(left_out.next_try));
    one.set("tries", static_cast<int>(left_out.tries));
  }
  if (!missing.empty()) json.set("missing", missing);
  if (!certificate.live) return;
  const Shown seen = shown(certificate);
  if (const auto meta = JsonObject::parse(certificate.live->meta)) {
    json.set("order", meta->text("order"));
    json.set("certificate", meta->text("certificate"));
  }
  json.set("names", name_list(seen.leaf.identifiers));
  json.set("serial", seen.serial);
  json.set("issuer", seen.leaf.issuer_common_name);
  json.set("not_before", time_text(seen.leaf.not_before));
  json.set("not_after", time_text(seen.leaf.not_after));
  json.set("due", time_text(seen.due.at));
  const std::filesystem::path folder = host.live_folder(certificate.id);
  JsonObject files;
  files.set("fullchain", (folder / "fullchain.pem").string());
  files.set("cert", (folder / "cert.pem").string());
  files.set("chain", (folder / "chain.pem").string());
  files.set("key", (folder / "key.pem").string());
  json.set("files", files);
}

}  // namespace culmen::cli
