// CAs, a storage and managers in virtual time.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/records.hpp"
#include "culmen/storage.hpp"
#include "culmen/test_ca.hpp"
#include "culmen/virtual_driver.hpp"
#include "manager/manager_core.hpp"

namespace culmen::test {

using manager::ManagerCore;
using manager::Seams;

/// What a manager told, in a form that tests compare.
struct Heard {
  std::vector<ManagerEvent> events;
  std::vector<InstalledCertificate> installed;
  std::vector<std::string> log;

  std::size_t count(ManagerEvent::Kind kind) const {
    return static_cast<std::size_t>(std::ranges::count(events, kind, &ManagerEvent::kind));
  }
  /// Of the last event of that kind; empty if there is none.
  std::string detail(ManagerEvent::Kind kind) const {
    std::string detail;
    for (const ManagerEvent& event : events) {
      if (event.kind == kind) detail = event.detail;
    }
    return detail;
  }
  std::string all() const {
    std::string text;
    for (const ManagerEvent& event : events) text += to_text(event) + "\n";
    return text;
  }
};

class ManagerWorld {
 public:
  using Time = std::chrono::system_clock::time_point;
  static constexpr Time start{std::chrono::seconds(1'790'000'000)};

  explicit ManagerWorld(std::size_t number_of_cas = 1, TestCaOptions options = {},
                        std::shared_ptr<Storage> storage_ = memory_storage())
      : storage(std::move(storage_)), driver(clock, [this](const HttpRequest& request) { return answer(request); }) {
    for (std::size_t i = 0; i < number_of_cas; ++i) {
      TestCaOptions each = options;
      each.base_url = "https://ca" + std::to_string(i) + ".test";
      if (each.seed == 0) each.seed = i + 1;
      each.clock = clock;
      if (!each.validate) each.validate = [this](const TestCaValidation& validation) { return validate(validation); };
      cas.push_back(std::make_unique<TestCa>(std::move(each)));
    }
    is_down.resize(number_of_cas);
  }

  TestCa& ca(std::size_t i = 0) { return *cas[i]; }
  std::string directory(std::size_t i = 0) const { return cas[i]->directory_url(); }

  /// For those names, at all CAs, with this storage.
  ManagerOptions options(std::vector<std::string> names = {"a.example"}) {
    ManagerOptions options;
    options.names = std::move(names);
    options.agree_tos = true;
    options.storage = storage;
    options.owner = "test";
    for (const std::unique_ptr<TestCa>& each : cas) {
      CaOptions ca_options;
      ca_options.directory = each->directory_url();
      options.cas.push_back(std::move(ca_options));
    }
    return options;
  }

  std::shared_ptr<ManagerCore> make(ManagerOptions options, Heard& heard, Seams seams = {}) {
    const auto installed = options.installed;
    options.installed = [&heard, installed](const InstalledCertificate& certificate) {
      if (installed) installed(certificate);
      heard.installed.push_back(certificate);
    };
    const auto on_event = options.on_event;
    options.on_event = [&heard, on_event](const ManagerEvent& event) {
      heard.events.push_back(event);
      if (on_event) on_event(event);
    };
    options.log = [&heard](LogLevel, std::string_view line) { heard.log.emplace_back(line); };
    if (!seams.random)
      seams.random = [random = std::uint64_t(1)]() mutable {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<double>(random >> 11) / 9007199254740992.0;
      };
    auto core = std::make_shared<ManagerCore>(std::move(options), std::move(seams));
    managers.push_back(core);
    return core;
  }

  /// Runs it beside the others.
  ExecutionBase& run(const std::shared_ptr<ManagerCore>& core) {
    return driver.start<Result<void>>(
        core->run(),
        [this, core](const Result<void>& ended) {
          ++ended_runs;
          if (!ended) FAIL_CHECK(ended.error().what());
        },
        "manager");
  }
  void pass(std::chrono::milliseconds duration) { driver.run_until(clock.now() + duration); }

  /// A value of the storage as it is now.
  std::optional<std::string> stored(const std::string& key) {
    VirtualDriver reader(clock, [](const HttpRequest&) {
      return TimedResponse(Error(Errc::connection_failed, "sending", "no network"));
    });
    Result<std::optional<StoredValue>> value = reader.drive(load_one(*storage, key));
    if (!value) FAIL(value.error().what());
    if (!*value) return std::nullopt;
    return (*value)->value;
  }
  void store(const std::string& key, std::optional<std::string> value) {
    VirtualDriver writer(clock, [](const HttpRequest&) {
      return TimedResponse(Error(Errc::connection_failed, "sending", "no network"));
    });
    Result<Revision> written = writer.drive(write_one(*storage, Write(key, std::move(value))));
    if (!written) FAIL(written.error().what());
  }
  std::vector<std::string> keys(const std::string& prefix) {
    VirtualDriver reader(clock, [](const HttpRequest&) {
      return TimedResponse(Error(Errc::connection_failed, "sending", "no network"));
    });
    Result<std::vector<StoredItem>> items = reader.drive(storage->list(prefix));
    if (!items) FAIL(items.error().what());
    std::vector<std::string> keys;
    for (const StoredItem& item : *items) keys.push_back(item.key);
    return keys;
  }
  std::optional<CertificateRecord> record(const std::string& id = "a.example") {
    const std::optional<std::string> value = stored(certificate_record_key(id));
    if (!value) return std::nullopt;
    Result<CertificateRecord> record = decode_certificate_record(*value);
    if (!record) FAIL(record.error().what());
    return *record;
  }
  std::optional<Generation> live(const std::string& id = "a.example") {
    const std::optional<CertificateRecord> known = record(id);
    if (!known || known->live == 0) return std::nullopt;
    const std::optional<std::string> value = stored(generation_key(id, known->live));
    REQUIRE(value);
    Result<Generation> generation = decode_generation(*value);
    if (!generation) FAIL(generation.error().what());
    return *generation;
  }
  int orders(std::size_t i = 0) const { return count(i, "new-order"); }
  int count(std::size_t i, const std::string& resource) const {
    const std::map<std::string, int> counts = cas[i]->request_counts();
    const auto found = counts.find(resource);
    return found == counts.end() ? 0 : found->second;
  }

  TimedResponse answer(const HttpRequest& request) {
    ++requests;
    for (std::size_t i = 0; i < cas.size(); ++i) {
      if (!request.url.starts_with("https://ca" + std::to_string(i) + ".test/")) continue;
      if (is_down[i]) {
        return TimedResponse(Error(Errc::connection_failed, "sending a request", "the CA is down"), latency);
      }
      TimedResponse response = cas[i]->handle(request);
      response.after += latency;
      return response;
    }
    return TimedResponse(Error(Errc::connection_failed, "sending a request", "no such host: " + request.url));
  }

  VirtualClock clock{start};
  std::chrono::milliseconds latency{20};
  std::shared_ptr<Storage> storage;
  std::vector<std::unique_ptr<TestCa>> cas;
  std::vector<bool> is_down;
  std::vector<std::shared_ptr<ManagerCore>> managers;
  /// Who answers http-01; all managers if it is empty.
  std::shared_ptr<ManagerCore> web_server;
  std::size_t requests = 0;
  int ended_runs = 0;
  VirtualDriver driver;  // last: it drops the executions before what they use

 private:
  std::optional<std::string> validate(const TestCaValidation& validation) {
    std::vector<std::shared_ptr<ManagerCore>> servers = managers;
    if (web_server) servers.assign(1, web_server);
    for (const std::shared_ptr<ManagerCore>& core : servers) {
      const auto found = core->http01("/.well-known/acme-challenge/" + validation.token);
      if (found && *found == validation.key_authorization) return std::nullopt;
    }
    return "no server answers";
  }
};

/// The certificate and its key belong together, and are for those names.
inline void check_pair(const Generation& generation, const std::vector<std::string>& names) {
  const Certificate leaf = Certificate::from_pem(generation.chain_pem);
  CHECK(leaf.matches(PrivateKey::from_pem(generation.key_pem)));
  std::set<std::string> named;
  for (const Identifier& identifier : leaf.identifiers) named.insert(identifier.value);
  CHECK(named == std::set<std::string>(names.begin(), names.end()));
}

}  // namespace culmen::test
