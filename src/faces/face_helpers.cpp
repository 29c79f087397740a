#include "faces/face_helpers.hpp"

#include <optional>
#include <utility>

#include "engine/orders.hpp"

namespace culmen::faces {

Flow<Result<Order>> finalize_and_wait(engine::Session session, Account account, Order order, Bytes csr_der,
                                      std::vector<OnionCaa> onion_caa) {
  return engine::finalize_and_wait(std::move(session), std::move(account), std::move(order), std::move(csr_der),
                                   std::move(onion_caa), engine::PollOptions(std::nullopt));
}

Flow<Result<std::string>> download_pem(engine::Session session, Account account, std::string certificate_url) {
  Result<CertificateChain> chain =
      co_await engine::download_chain(std::move(session), std::move(account), std::move(certificate_url));
  if (!chain) co_return chain.error();
  co_return std::move(chain->pem);
}

}  // namespace culmen::faces
