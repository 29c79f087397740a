#include "progress_lines.hpp"

#include <utility>

#include "output.hpp"

namespace culmen::cli {

ProgressLines::ProgressLines(Output& output, std::string id, std::string title, std::size_t names, LogLevel level)
    : output_(output), id_(std::move(id)), title_(std::move(title)), names_(names), level_(level) {}

void ProgressLines::say(const std::string& text) {
  LogEntry entry(level_, title_ + text);
  entry.certificate = id_;
  entry.event = "progress";
  output_.line(entry);
}

void ProgressLines::waits(const std::string& waits_for) { output_.progress(id_, waits_for); }

void ProgressLines::name_done(const std::string& text) {
  ++done_;
  if (!output_.shows_progress() || names_ == 1) say(text);
  const std::string count =
      names_ == 1 ? std::string() : std::to_string(done_) + " of " + std::to_string(names_) + " names";
  output_.progress(id_, "waiting for the CA to validate", count);
}

void ProgressLines::show(const IssueProgress& progress) {
  using Step = IssueProgress::Step;
  const std::string subject = printable(progress.subject);
  switch (progress.step) {
    case Step::order_created: say("Ordered: " + subject); return waits("setting up challenges");
    case Step::order_resumed:
      say("Resuming the order of an earlier run: " + subject);
      return waits("resuming the order");
    case Step::already_valid: return name_done(subject + ": validated before");
    case Step::presented: output_.note_challenge(); return output_.log(subject + ": challenge presented");
    case Step::triggered: return name_done(subject + ": challenge published; waiting for the CA to validate it");
    case Step::validated: say("All names validated"); return waits("requesting the certificate");
    case Step::key_ready: return say("The private key is stored (" + subject + ")");
    case Step::finalized:
      say("The CA accepted the request for a certificate");
      return waits("waiting for the CA to issue");
    case Step::downloaded: say("Downloaded: " + subject); return waits("storing the certificate");
    case Step::replaces_dropped:
      return say("The CA did not accept the \"replaces\" field; ordered without it: " + subject);
    case Step::refused: return output_.log(title_ + "the certificate is refused: " + subject);
    case Step::cleanup_failed: return output_.warn(title_ + "a challenge could not be cleaned up: " + subject);
  }
}

}  // namespace culmen::cli
