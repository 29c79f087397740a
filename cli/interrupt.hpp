// Ctrl-C, and how the program ends early: what is in progress is cancelled, so that challenges are cleaned up.
#pragma once

#include "culmen/cancel_token.hpp"

namespace culmen::cli {

/// From here on SIGINT, SIGTERM and SIGHUP cancel interrupt_token(); the third one ends the program at once. With
/// `json` an object says so then. SIGHUP stays ignored if it was at the start, as under nohup.
void cancel_on_interrupt(bool json);
/// For everything that waits: clients, storage, managers, hooks.
const CancelToken& interrupt_token();
/// Whether a signal came that cancels.
bool interrupted() noexcept;
/// For a program that runs until it is stopped: from here on SIGHUP does not cancel, but is to be asked for with
/// take_hangup(); it writes to `wake`, a descriptor of eventfd(2), as do the signals that cancel, which say nothing any
/// more.
void serve_signals(int wake);
/// Whether SIGHUP came since the last call.
bool take_hangup() noexcept;

}  // namespace culmen::cli
