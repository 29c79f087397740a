// Ctrl-C: cancels what is in progress, so that challenges are cleaned up before the program ends.
#pragma once

#include "culmen/cancel_token.hpp"

namespace culmen::cli {

/// From here on SIGINT and SIGTERM end the program with exit_interrupted; with `json` an object says so.
/// Nothing that needs clean-up may have begun.
void exit_on_interrupt(bool json);

/// From here on they cancel interrupt_token() instead; the third one ends the program at once.
void cancel_on_interrupt();
/// For every client of the program.
const CancelToken& interrupt_token();

}  // namespace culmen::cli
