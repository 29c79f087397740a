// Reading an order with 100 authorizations.
#include <benchmark/benchmark.h>

#include <chrono>

#include "prepared_ca.hpp"
#include "protocol/order.hpp"

namespace {

void parse_order(benchmark::State& state) {
  const culmen::bench::PreparedCa ca(static_cast<std::size_t>(state.range(0)));
  const culmen::HttpResponse response = ca.answer(ca.order_url);
  const auto now = std::chrono::system_clock::now();
  for (auto _ : state) {
    benchmark::DoNotOptimize(culmen::protocol::parse_order(response, ca.order_url, "reading an order", now));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(response.body.size()));
}
BENCHMARK(parse_order)->Name("parse/order")->Arg(1)->Arg(100);

}  // namespace
