#include "faces/face_helpers.hpp"

#include <optional>
#include <utility>

#include "engine/orders.hpp"

namespace culmen::faces {

Flow<Result<Order>> finalize_and_wait(engine::Session session, Account account, Order order, Bytes csr_der,
                                      std::vector<OnionCaa> onion_caa) {
  Result<Order> finalized =
      co_await engine::finalize(session, account, std::move(order), std::move(csr_der), std::move(onion_caa));
  if (!finalized || finalized->status == OrderStatus::valid) co_return finalized;
  const Instant begun = co_await now();
  engine::PollOptions options(std::nullopt);
  options.begun = begun.steady;
  co_return co_await engine::await_certificate(session, account, *finalized, options);
}

Flow<Result<std::string>> download_pem(engine::Session session, Account account, std::string certificate_url) {
  Result<CertificateChain> chain =
      co_await engine::download_chain(std::move(session), std::move(account), std::move(certificate_url));
  if (!chain) co_return chain.error();
  co_return std::move(chain->pem);
}

}  // namespace culmen::faces
