// What of it goes into a storage: a function of what was found and what is stored.
#include <algorithm>
#include <set>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include "base/time.hpp"
#include "culmen/imports.hpp"

namespace culmen {

namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

template <class Value>
void check_names(const std::string& what, const std::vector<std::string>& asked, const std::vector<Value>& found,
                 const std::filesystem::path& folder) {
  for (const std::string& name : asked) {
    if (std::ranges::find(found, name, &Value::name) != found.end()) continue;
    std::string there;
    for (const Value& one : found) there += (there.empty() ? "" : ", ") + printable(one.name);
    throw Error(Errc::invalid_argument, "importing from " + folder.string(),
                "there is no " + what + " \"" + printable(name) + "\"; there is: " + (there.empty() ? "none" : there));
  }
}

bool comes_from(const FoundCertificate& certificate, const FoundAccount& account) {
  return certificate.account == account.name && certificate.server == account.server;
}

bool is_used(const FoundAccount& account, const std::vector<FoundCertificate>& certificates) {
  return std::ranges::any_of(certificates, [&](const FoundCertificate& one) { return comes_from(one, account); });
}

const StoredAccount* stored_at(const std::string& server, const std::vector<StoredAccount>& accounts) {
  const auto found =
      std::ranges::find(accounts, storage_part_text(server_part(server)).value_or(""), &StoredAccount::server);
  return found == accounts.end() ? nullptr : &*found;
}

AccountImport plan_account(FoundAccount found, const std::vector<StoredAccount>& stored) {
  using Verdict = AccountImport::Verdict;
  AccountImport plan;
  plan.found = {std::move(found)};
  const FoundAccount& account = plan.found.front();
  if (account.wrong) return plan;
  plan.verdict = Verdict::add;
  const StoredAccount* const present = stored_at(account.server, stored);
  if (!present) return plan;
  plan.damage = present->damage;
  if (!plan.damage.empty()) {
    plan.verdict = Verdict::damaged;
    return plan;
  }
  const AccountRecord& record = present->record;
  const bool is_same =
      AccountKey::from_pem(record.key_pem).private_key().same_key_as(account.account->key.private_key());
  // A key that no account was made with is set aside.
  const bool is_account = !record.url.empty() || !record.next_key_pem.empty();
  if (is_account || (is_same && account.account->url.empty())) plan.verdict = is_same ? Verdict::same : Verdict::other;
  return plan;
}

/// `accounts`: those of one server.
AccountImport plan_server(std::vector<FoundAccount> accounts, bool are_selected, const FoundState& chosen,
                          const std::vector<StoredAccount>& stored) {
  const auto is_unused = [&](const FoundAccount& account) { return !is_used(account, chosen.certificates); };
  if (!are_selected && !std::ranges::all_of(accounts, is_unused)) std::erase_if(accounts, is_unused);
  if (accounts.size() == 1) return plan_account(std::move(accounts.front()), stored);
  AccountImport several;
  several.verdict = AccountImport::Verdict::several;
  several.found = std::move(accounts);
  return several;
}

void add_stored_form(const FoundCertificate& found, const std::string& account_url, CertificateImport& plan) {
  plan.record.spec = found.spec;
  plan.record.server = found.server;
  plan.record.account = account_url;
  plan.generation.key_pem = found.key->to_pem();
  plan.generation.chain_pem = found.chain_pem;
  plan.generation.meta =
      boost::json::serialize(boost::json::object{{"server", found.server},
                                                 {"account", account_url},
                                                 {"names", boost::json::value_from(found.spec.names)},
                                                 {"key_type", found.spec.key_types.front()},
                                                 {"issued", base::format_rfc3339(found.leaf.not_before)},
                                                 {"imported_from", printable(found.source.string(), 4096)}});
}

CertificateImport plan_certificate(FoundCertificate found, const std::vector<FoundAccount>& accounts,
                                   std::set<std::string>& ids) {
  CertificateImport plan;
  const auto account =
      std::ranges::find_if(accounts, [&](const FoundAccount& each) { return comes_from(found, each) && each.account; });
  plan.lacks_account = account == accounts.end();
  if (!found.wrong) {
    const bool is_new = ids.insert(found.spec.id).second;
    plan.verdict = is_new ? CertificateImport::Verdict::add : CertificateImport::Verdict::keep;
    add_stored_form(found, plan.lacks_account ? std::string() : account->account->url, plan);
  }
  plan.found = std::move(found);
  return plan;
}

}  // namespace

FoundState selected(FoundState found, const ImportSelection& selection) {
  check_names("certificate", selection.certificates, found.certificates, found.folder);
  check_names("account", selection.accounts, found.accounts, found.folder);
  if (!selection.certificates.empty()) {
    std::erase_if(found.certificates,
                  [&](const FoundCertificate& one) { return !contains(selection.certificates, one.name); });
  }
  if (!selection.accounts.empty()) {
    std::erase_if(found.accounts, [&](const FoundAccount& one) { return !contains(selection.accounts, one.name); });
  } else if (!selection.certificates.empty()) {
    std::erase_if(found.accounts, [&](const FoundAccount& one) { return !is_used(one, found.certificates); });
  }
  return found;
}

ImportPlan plan_import(const FoundState& found, const ImportSelection& selection,
                       const std::vector<StoredAccount>& accounts, const std::vector<StoredCertificate>& certificates) {
  FoundState chosen = selected(found, selection);
  ImportPlan plan;
  std::set<std::string> with_account, ids;
  for (auto first = chosen.accounts.begin(); first != chosen.accounts.end();) {
    const auto is_another = [&](const FoundAccount& one) { return one.server != first->server; };
    const auto end = std::find_if(first, chosen.accounts.end(), is_another);
    plan.accounts.push_back(plan_server({first, end}, !selection.accounts.empty(), chosen, accounts));
    if (plan.accounts.back().verdict == AccountImport::Verdict::add) with_account.insert(first->server);
    first = end;
  }
  for (const StoredCertificate& one : certificates) {
    // Without a record it is what an import left that did not end.
    if (one.live || one.record.live > 0 || one.record.spec) ids.insert(one.id);
  }
  for (FoundCertificate& certificate : chosen.certificates) {
    const std::string server = certificate.server;
    CertificateImport one = plan_certificate(std::move(certificate), found.accounts, ids);
    if (stored_at(server, accounts) || with_account.contains(server)) one.lacks_account = false;
    plan.certificates.push_back(std::move(one));
  }
  return plan;
}

}  // namespace culmen
