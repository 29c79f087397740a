// The picture of a rehearsal: one row for each certificate. No scripts, no fonts or files from elsewhere.
#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "rehearse_report.hpp"

namespace culmen::cli {

namespace {

constexpr double chart_width = 1000, row_height = 34, bar_height = 11, lane_gap = 3, right_margin = 24;
constexpr double character_width = 7.2, widest_label = 300, header_height = 96, axis_height = 34;
/// With more bars than that in a row, one bar stands for all.
constexpr std::size_t most_bars = 400;

constexpr const char* style = R"(<style>
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.small { font-size: 11px; fill: #59636e; }
.in { font-size: 9px; fill: #ffffff; }
.back { fill: #ffffff; }
.band { fill: #f4f6f8; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.life { fill: #1f5c99; }
.next { fill: #4a7fae; }
.renewal { fill: #ffffff; stroke: #1f2328; stroke-width: 1.5; }
.outage { fill: #d29922; fill-opacity: 0.45; }
.outlasted { stroke: #6e4600; stroke-width: 2; fill: none; }
.failed { stroke: #cf222e; stroke-width: 2.2; fill: none; }
.hook { fill: #cf222e; }
.expired { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.small { fill: #9aa4ae; }
.in { fill: #ffffff; }
.back { fill: #0f1419; }
.band { fill: #171d24; }
.grid { stroke: #303942; }
.life { fill: #3d7fc6; }
.next { fill: #2a5788; }
.renewal { fill: #0f1419; stroke: #e6edf3; }
.outage { fill: #e3b341; fill-opacity: 0.4; }
.outlasted { stroke: #e3b341; }
.failed { stroke: #ff7b72; }
.hook { fill: #ff7b72; }
.expired { fill: #ff7b72; }
}
</style>
)";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string number(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

/// An attribute with a number.
std::string at(const char* name, double value) { return std::string(" ") + name + "=\"" + number(value) + "\""; }

std::string with_title(const std::string& element, const std::string& title) {
  return "<g>" + element + "<title>" + escaped(title) + "</title></g>\n";
}

std::string rectangle(const char* style_class, double x, double y, double width, double height, double radius = 0) {
  return std::string("<rect class=\"") + style_class + "\"" + at("x", x) + at("y", y) +
         at("width", std::max(width, 0.8)) + at("height", height) + (radius > 0 ? at("rx", radius) : std::string()) +
         "/>";
}

std::string words(const char* style_class, double x, double y, const std::string& text, const char* anchor = "start") {
  return std::string("<text class=\"") + style_class + "\"" + at("x", x) + at("y", y) + " text-anchor=\"" + anchor +
         "\">" + escaped(text) + "</text>\n";
}

std::string cross(const char* style_class, double x, double y) {
  return std::string("<path class=\"") + style_class + "\" d=\"M" + number(x - 4) + " " + number(y - 4) +
         "l8 8m0 -8l-8 8\"/>";
}

std::string dot(double x, double y) {
  return std::string("<circle class=\"renewal\"") + at("cx", x) + at("cy", y) + " r=\"3.2\"/>";
}

std::string triangle(double x, double y) {
  return "<path class=\"hook\" d=\"M" + number(x - 5) + " " + number(y + 4) + "h10l-5 -9z\"/>";
}

/// "2027-02"
std::string month_text(planner::Time time) { return day_text(time).substr(0, 7); }

class Picture {
 public:
  explicit Picture(const RehearsalReport& report) : report_(report) {
    double longest = 80;
    for (const RehearsedCertificate& certificate : report.certificates)
      longest = std::max(longest, static_cast<double>(certificate.id.size()) * character_width);
    left_ = std::min(longest, widest_label) + 32;
    bottom_ = header_height + row_height * static_cast<double>(report.certificates.size());
  }

  std::string drawn() {
    const double width = left_ + chart_width + right_margin, height = bottom_ + axis_height;
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << number(width) << " " << number(height) << "\""
         << at("width", width) << at("height", height) << " role=\"img\">\n<title>culmen rehearse: " << period()
         << "</title>\n"
         << style << "<clipPath id=\"chart\"><rect" << at("x", left_) << at("y", 0) << at("width", chart_width)
         << at("height", height) << "/></clipPath>\n"
         << rectangle("back", 0, 0, width, height) << "\n";
    out_ << words("title", 16, 28, "Certificates, " + period());
    legend();
    for (std::size_t i = 0; i < report_.certificates.size(); i += 2)
      out_ << rectangle("band", left_, top_of(i), chart_width, row_height) << "\n";
    axis();
    for (std::size_t i = 0; i < report_.certificates.size(); ++i) bars(report_.certificates[i], top_of(i));
    for (const CaOutage& outage : report_.outages) shade(outage);
    for (std::size_t i = 0; i < report_.certificates.size(); ++i) marks(report_.certificates[i], top_of(i));
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  std::string period() const { return day_text(report_.from) + " to " + day_text(report_.until); }
  static double top_of(std::size_t row) { return header_height + row_height * static_cast<double>(row); }
  double x_of(planner::Time time) const {
    using Days = std::chrono::duration<double, std::ratio<86400>>;
    return left_ + chart_width * (Days(time - report_.from) / Days(report_.until - report_.from));
  }

  void legend() {
    double x = 16;
    constexpr double y = 56;
    const auto entry = [&](const std::string& symbol, const std::string& text) {
      out_ << symbol << words("small", x + 26, y + 4, text);
      x += 44 + static_cast<double>(text.size()) * 6.2;
    };
    entry(rectangle("life", x, y - 10, 20, 8, 2) + rectangle("next", x, y, 20, 8, 2), "lifetime, and that of the next");
    entry(dot(x + 10, y), "renewal");
    entry(cross("failed", x + 10, y), "failed, or late");
    entry(cross("outlasted", x + 10, y), "failed in an outage, without harm");
    entry(triangle(x + 10, y), "hook failed");
    entry(rectangle("expired", x, y - 3, 20, 6), "expired");
    entry(rectangle("outage", x, y - 8, 20, 16), "CA outage");
  }

  void axis() {
    using std::chrono::months;
    const auto days = std::chrono::duration_cast<std::chrono::days>(report_.until - report_.from).count();
    const int step = days <= 400 ? 1 : days <= 1200 ? 3 : 6;
    const std::chrono::year_month_day first(std::chrono::floor<std::chrono::days>(report_.from));
    std::chrono::year_month month = first.year() / first.month() + months(1);
    while ((unsigned(month.month()) - 1) % static_cast<unsigned>(step) != 0) month += months(1);
    for (;; month += months(step)) {
      const planner::Time when = std::chrono::sys_days(month / 1);
      if (when > report_.until) break;
      const double x = x_of(when);
      out_ << "<line class=\"grid\"" << at("x1", x) << at("x2", x) << at("y1", header_height - 6)
           << at("y2", bottom_ + 6) << "/>\n";
      if (x < left_ + 20 || x > left_ + chart_width - 10) continue;
      out_ << words("small", x, bottom_ + 20, month_text(when), "middle")
           << words("small", x, header_height - 10, month_text(when), "middle");
    }
  }

  void shade(const CaOutage& outage) {
    if (outage.until <= report_.from || outage.from >= report_.until) return;
    const double x = x_of(std::max(outage.from, report_.from));
    const double width = std::max(3.0, x_of(std::min(outage.until, report_.until)) - x);
    const std::string who = outage.ca.empty() ? "all CAs" : ca_name(outage.ca);
    const std::string title = "Outage of " + who + ": " + minute_text(outage.from) + " to " + minute_text(outage.until);
    if (outage.ca.empty()) {
      out_ << with_title(rectangle("outage", x, header_height, width, bottom_ - header_height), title);
      return;
    }
    for (std::size_t i = 0; i < report_.certificates.size(); ++i) {
      const auto& lives = report_.certificates[i].lives;
      if (std::ranges::any_of(lives, [&](const auto& life) { return life.ca == outage.ca; }))
        out_ << with_title(rectangle("outage", x, top_of(i), width, row_height), title);
    }
  }

  void marks(const RehearsedCertificate& certificate, double top) {
    const double middle = top + row_height / 2;
    std::string name = printable(certificate.id);
    const auto room = static_cast<std::size_t>((left_ - 24) / character_width);
    if (name.size() > room) name = name.substr(0, room - 3) + "...";
    out_ << words("", left_ - 12, middle + 4, name, "end") << "<g clip-path=\"url(#chart)\">\n";
    renewals(certificate, top);
    for (std::size_t i = 0; i < certificate.lives.size(); ++i) {
      const bool is_last = i + 1 == certificate.lives.size();
      const planner::Time replaced = is_last ? report_.until : certificate.lives[i + 1].from;
      const planner::Time expired = std::max(certificate.lives[i].until, report_.from);
      if (expired >= replaced) continue;
      out_ << with_title(
          rectangle("expired", x_of(expired), middle - 4, std::max(3.0, x_of(replaced) - x_of(expired)), 8),
          certificate.id + ": expired from " + minute_text(expired) + " to " + minute_text(replaced));
    }
    for (const RehearsedCertificate::Trouble& trouble : certificate.troubles) {
      if (trouble.attempts == 0) continue;
      const bool is_outlasted = certificate.is_outlasted(trouble, report_.until);
      out_ << with_title(cross(is_outlasted ? "outlasted" : "failed", x_of(trouble.from), middle),
                         minute_text(trouble.from) + ": " + std::to_string(trouble.attempts) +
                             " attempts failed: " + printable(trouble.why, 300));
    }
    for (const planner::Time& late : certificate.late)
      out_ << with_title(cross("failed", x_of(late), middle), minute_text(late) + ": the renewal is late");
    for (const HookCall& call : report_.hooks) {
      std::istringstream ids(call.ids);
      for (std::string id; !call.failed.empty() && ids >> id;) {
        if (id == certificate.id)
          out_ << with_title(triangle(x_of(call.at), middle), minute_text(call.at) + ": " + printable(call.program) +
                                                                  " failed: " + printable(call.failed, 300));
      }
    }
    out_ << "</g>\n";
  }

  /// Two lanes, since a renewal comes before the end.
  static double lane(double top, std::size_t life) {
    return top + (row_height - 2 * bar_height - lane_gap) / 2 + (life % 2 == 0 ? 0 : bar_height + lane_gap);
  }

  void bars(const RehearsedCertificate& certificate, double top) {
    const auto& lives = certificate.lives;
    if (lives.empty()) return;
    out_ << "<g clip-path=\"url(#chart)\">\n";
    if (lives.size() > most_bars) {
      const double x = x_of(lives.front().from);
      out_ << with_title(rectangle("life", x, lane(top, 0), x_of(lives.back().until) - x, 2 * bar_height + lane_gap, 3),
                         certificate.id + ": " + std::to_string(certificate.issued()) + " renewals")
           << "</g>\n";
      return;
    }
    for (std::size_t i = 0; i < lives.size(); ++i) {
      const double x = x_of(lives[i].from), width = x_of(lives[i].until) - x;
      const auto all = std::chrono::round<std::chrono::hours>(lives[i].until - lives[i].from).count();
      std::string bar = rectangle(i % 2 == 0 ? "life" : "next", x, lane(top, i), width, bar_height, 2);
      if (width > 40 && x >= left_ && x + 40 < left_ + chart_width)
        bar += words("in", x + 8, lane(top, i) + 8.6, std::to_string(all / 24) + " d");
      out_ << with_title(
          bar, ca_name(lives[i].ca) + ": " + minute_text(lives[i].from) + " to " + minute_text(lives[i].until));
    }
    out_ << "</g>\n";
  }

  void renewals(const RehearsedCertificate& certificate, double top) {
    const auto& lives = certificate.lives;
    if (lives.size() > most_bars) return;
    for (std::size_t i = lives.size() - certificate.issued(); i < lives.size(); ++i)
      out_ << dot(x_of(lives[i].from), lane(top, i) + bar_height / 2) << "\n";
  }

  const RehearsalReport& report_;
  double left_ = 0, bottom_ = 0;
  std::ostringstream out_;
};

}  // namespace

std::string rehearsal_svg(const RehearsalReport& report) { return Picture(report).drawn(); }

}  // namespace culmen::cli
