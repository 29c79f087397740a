#include "simulation/manager_scale.hpp"

#include <malloc.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "culmen/certificate_record.hpp"
#include "culmen/records.hpp"
#include "manager/manager_core.hpp"
#include "simulation/monitor.hpp"
#include "simulation/process_driver.hpp"
#include "simulation/scripted_ca.hpp"

namespace culmen::simulation {

namespace {
using std::chrono::hours;
using std::chrono::seconds;

constexpr Time start{seconds(1'790'000'000)};
constexpr int hours_measured = 24;

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
double heap() { return static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd); }

Flow<int> store(Storage& storage, std::vector<Write> writes) {
  Result<std::vector<Revision>> written = co_await storage.write(std::move(writes));
  if (!written) throw written.error();
  co_return 0;
}
}  // namespace

Scale measure_scale(std::size_t certificates, const std::shared_ptr<Storage>& storage) {
  ProcessDriver driver(start);
  std::vector<Write> writes;
  for (std::size_t i = 0; i < certificates; ++i) {
    const std::string name = name_of(i);
    CertificateRecord record;
    record.live = record.last_generation = 1;
    record.names.push_back(name);
    record.key_type = "ec:P-256";
    record.server = ScriptedCas::directory(0);
    // None becomes due within the day that is measured.
    record.not_before = start - hours(24 * 5) - seconds(static_cast<std::int64_t>(i * 2'654'435'761U % (40 * 86'400)));
    record.not_after = *record.not_before + hours(24 * 90);
    record.certificate_id = "AQIDBAUGBwgJCgsMDQ4PEBESExQ.AQAAAAAAAAAA";
    writes.emplace_back(certificate_record_key(name), encode(record));
    if (writes.size() < 1'000 && i + 1 < certificates) continue;
    driver.start<int>("storing", Duration(0), store(*storage, std::exchange(writes, {})));
    driver.run_until(driver.now());
  }

  Scale scale;
  scale.certificates = certificates;
  bool is_loaded = false;
  malloc_trim(0);
  const double before = heap();
  const auto begin = std::chrono::steady_clock::now();
  const double cpu_begin = cpu_seconds();
  std::shared_ptr<manager::ManagerCore> core;
  {
    ManagerOptions options;
    options.storage = storage;
    options.owner = "manager";
    options.agree_tos = true;
    options.specs.reserve(certificates);
    for (std::size_t i = 0; i < certificates; ++i) options.specs.emplace_back(std::vector<std::string>{name_of(i)});
    CaOptions ca;
    ca.directory = ScriptedCas::directory(0);
    options.cas.push_back(std::move(ca));
    for (CertificateSpec& spec : options.specs) spec.use_renewal_info = false;
    // What is read is planned before this is said.
    options.on_event = [&](const ManagerEvent& event) {
      if (event.kind != ManagerEvent::Kind::loaded || std::exchange(is_loaded, true)) return;
      scale.start_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      scale.start_cpu_seconds = cpu_seconds() - cpu_begin;
    };
    core = std::make_shared<manager::ManagerCore>(std::move(options));
  }
  const auto process = driver.start<Result<void>>("manager", Duration(0), core->run());
  driver.run_until(driver.now());
  if (!is_loaded) throw Error(Errc::deadline, "measuring a manager", "it did not read its certificates");
  scale.octets = (heap() - before) / static_cast<double>(certificates);
  driver.run_until(start + hours(hours_measured));
  scale.hour_cpu_seconds = (cpu_seconds() - cpu_begin - scale.start_cpu_seconds) / hours_measured;
  driver.kill(process);
  return scale;
}

}  // namespace culmen::simulation
