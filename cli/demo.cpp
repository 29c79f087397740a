// culmen demo: a certificate over real HTTPS, from a test CA inside this program.
#include <chrono>
#include <memory>
#include <optional>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/test_ca.hpp"
#include "culmen/verify_chain.hpp"
#include "files.hpp"
#include "host.hpp"
#include "keeper.hpp"
#include "output.hpp"
#include "settings.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* loopback = "127.0.0.1";

struct DemoFlags {
  DemoFlags() = default;
  KeepOptions keep;
  std::string name = "demo.culmen.test";
  std::string folder;
};

/// A port where the CA looks for the answer.
std::uint16_t port_for_answers() {
  Http01Solver solver(0, loopback);
  solver.start_thread();
  return solver.port();
}

void say_step(const std::string& text, Output& output) {
  output.say("");
  output.say("== " + text);
}

void show_chain(const std::string& chain_pem, Output& output) {
  for (const Certificate& certificate : read_chain(chain_pem)) {
    const std::string names = names_text(certificate.identifiers);
    output.say("  " + (names.empty() ? printable(certificate.subject_common_name) : names));
    output.say("    issued by " + printable(certificate.issuer_common_name) + ", serial number " +
               serial_text(certificate.serial));
    output.say("    valid from " + time_text(certificate.not_before) + " until " + time_text(certificate.not_after));
  }
}

int run_demo(const DemoFlags& flags, Output& output) {
  output.verbose(flags.keep.connection.verbose);
  std::optional<PassingFolder> passing;
  if (flags.folder.empty()) passing.emplace("culmen-demo");
  const fs::path folder = passing ? passing->path() : fs::absolute(flags.folder).lexically_normal();
  make_private_folder(folder);

  say_step("A CA on this machine", output);
  TestCaOptions options;
  options.http_port = port_for_answers();
  options.resolve = {{"*", loopback}};
  options.root_file = folder / "root.pem";
  TestCa ca(options);
  ca.start();
  output.say(ca.directory_url());

  say_step("A certificate for " + printable(flags.name) + ", proven over http-01", output);
  Kept kept;
  kept.settings.spec = CertificateSpec({Identifier::parse(flags.name).value});
  kept.settings.spec.cas = {ca.directory_url()};
  kept.settings.spec.challenge = "http-01";
  kept.settings.host.http_port = options.http_port;
  kept.settings.host.http_address = loopback;
  kept.settings.host.server_ca = options.root_file.string();
  kept.settings.host.out = (folder / "chain.pem").string();
  kept.settings.host.cert_key = (folder / "key.pem").string();
  check_settings(kept.settings);
  kept.id = id_of(kept.settings.spec);
  KeepOptions keep = flags.keep;
  keep.account.agree_tos = true;
  keep.system_hooks = false;
  StateFlags state;
  state.dir = (folder / "state").string();
  state.storage = "file:" + state.dir;
  const Host host(state, Host::Access::write, output);
  host.want(kept.id, kept.settings.spec);
  const KeepResult issued = keep_once(host, {kept}, keep, output);
  say_failures(issued, false, output);
  if (issued.exit_code() != exit_ok) return issued.exit_code();

  say_step("What came", output);
  const culmen::StoredCertificate certificate = host.certificate(kept.id);
  const Generation& live = certificate.live.value();
  show_chain(live.chain_pem, output);

  say_step("Is it good?", output);
  const std::string fault =
      chain_fault(live.chain_pem, ca.root_pem(), kept.settings.spec.names.front(), std::chrono::system_clock::now());
  if (!fault.empty()) throw Failure(exit_failed, "bad_response", "the chain cannot be verified: " + fault);
  output.say("OpenSSL verifies the chain up to the CA's root, for this name.");
  if (!Certificate::from_pem(live.chain_pem).matches(PrivateKey::from_pem(live.key_pem)))
    throw Failure(exit_failed, "bad_response", "the key does not belong to the certificate");
  output.say("The private key belongs to it; only this user can read it.");

  say_step("The same once more: nothing is due, so nothing is done", output);
  const KeepResult again = keep_once(host, {kept}, keep, output);
  say_failures(again, false, output);
  if (again.exit_code() != exit_ok) return again.exit_code();
  if (!again.issued.empty()) throw Failure(exit_failed, "internal", "the second run replaced the certificate");
  output.say("The certificate is the same.");

  output.say("");
  output.say(passing ? "Done; everything is removed again. For a real certificate, look first:"
                     : "Done; everything is in " + folder.string() + ". For a real certificate, look first:");
  output.say("  culmen check -d YOUR.NAME");
  output.say("  culmen issue -d YOUR.NAME --agree-tos");
  output.result().set("names", kept.settings.spec.names);
  output.result().set("verified", true);
  if (!passing) output.result().set("folder", folder.string());
  return exit_ok;
}

}  // namespace

void define_demo(Command& command) {
  auto flags = std::make_shared<DemoFlags>();
  command.text("-d,--domain NAME", flags->name, "Name for the certificate");
  command.text("--keep FOLDER", flags->folder, "Leave the CA's root, the state folder, chain and key here");
  add_connection_flags(command, flags->keep.connection);
  command.set_action([flags](Output& output) { return run_demo(*flags, output); });
}

}  // namespace culmen::cli
