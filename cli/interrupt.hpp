// Ctrl-C: cancels the client at work, so that challenges are cleaned up before the program ends.
#pragma once

#include "culmen/blocking/acme_client.hpp"

namespace culmen::cli {

/// From here on SIGINT and SIGTERM end the program with exit_interrupted; with `json` an object says so.
/// Nothing that needs clean-up may have begun.
void exit_on_interrupt(bool json);

/// From here on they cancel this client instead; the third one ends the program at once.
void cancel_on_interrupt(const blocking::AcmeClient& client);

}  // namespace culmen::cli
