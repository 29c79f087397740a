#include "progress_lines.hpp"

#include <utility>

#include "output.hpp"

namespace culmen::cli {

ProgressLines::ProgressLines(Output& output, std::string title, std::size_t names)
    : output_(output), title_(std::move(title)), names_(names) {}

void ProgressLines::name_done(const std::string& text) {
  ++done_;
  if (!output_.shows_progress() || names_ == 1) {
    output_.say(title_ + text);
  } else {
    output_.progress(title_ + "validating: " + std::to_string(done_) + " of " + std::to_string(names_) + " names");
  }
}

void ProgressLines::show(const IssueProgress& progress) {
  using Step = IssueProgress::Step;
  const std::string subject = printable(progress.subject);
  switch (progress.step) {
    case Step::order_created: return output_.say(title_ + "Ordered: " + subject);
    case Step::order_resumed: return output_.say(title_ + "Resuming the order of an earlier run: " + subject);
    case Step::already_valid: return name_done(subject + ": validated before");
    case Step::presented: return output_.log(subject + ": challenge presented");
    case Step::triggered: return name_done(subject + ": challenge published; waiting for the CA to validate it");
    case Step::validated: return output_.say(title_ + "All names validated");
    case Step::key_ready: return output_.say(title_ + "The private key is stored (" + subject + ")");
    case Step::finalized: return output_.say(title_ + "The CA accepted the request for a certificate");
    case Step::downloaded: return output_.say(title_ + "Downloaded: " + subject);
    case Step::replaces_dropped: return output_.say(title_ + "Ordered without naming the predecessor: " + subject);
    case Step::refused: return output_.log(title_ + "the certificate is refused: " + subject);
    case Step::cleanup_failed: return output_.warn(title_ + "a challenge could not be cleaned up: " + subject);
  }
}

}  // namespace culmen::cli
