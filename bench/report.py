"""Turns what was measured into results.json, results.md and concurrency.svg."""
import json
import statistics

import aims
import plot
from figures import Figures

CASE_TITLES = {"a": "(a) New account, one name", "b": "(b) Existing account, one name",
               "c": "(c) Existing account, one certificate with 100 names",
               "d": "(d) Existing account, 100 certificates one after another"}
CA_NAMES = {"pebble": "Pebble", "test-ca": "culmen's test CA"}


def write(results, folder):
    figures = Figures(results["cells"])
    results["aims"] = aims.judge(figures, results["micro"])
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(results, figures))
    if figures.concurrency():
        (folder / "concurrency.svg").write_text(plot.svg(figures.concurrency()))


def markdown(results, figures):
    parts = [heading(results), aims_table(results["aims"])]
    for retry_after in sorted({cell["retry_after"] for cell in results["cells"]}):
        for case, title in CASE_TITLES.items():
            cells = figures.cells(case, "pebble", retry_after)
            if cells:
                waits = f", Retry-After {retry_after}" if retry_after else ""
                parts.append(f"## {title}{waits}\n\n" + case_table(cells))
    for ca, name in CA_NAMES.items():
        cells = figures.cells("e", ca, 0)
        if cells:
            parts.append(f"## (e) {cells[0]['count']:,} certificates, against {name}\n\n" + concurrency_table(cells))
    if figures.concurrency():
        parts.append("![Certificates a second, and CPU a certificate, against certificates in flight](concurrency.svg)\n")
    if results["micro"]:
        parts.append("## Microbenchmarks\n\n" + micro_table(results["micro"]))
    return "\n".join(parts)


def heading(results):
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = ["# culmen and its peers, measured", "",
             "Made by `make bench`; what is measured and how stands in [README.md](../README.md). Medians, with the least and the most in",
             "brackets. Compare figures of one table with each other, not with those of another machine or another day.", "",
             f"- {results['date']}, {results['seconds'] // 60} minutes, culmen at {results['commit']}",
             f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['os']}, Linux {machine['kernel']}, "
             f"{machine['openssl']}, {machine['curl']}",
             f"- {versions}",
             f"- {settings['runs']} runs of each, in turn; a client that took over {settings['slow']} s got one"]
    if settings["quick"]:
        lines.append("- **a quick run: to see that it works, not to be quoted**")
    for gone in results["missing"]:
        lines.append(f"- without {gone['name']}: {gone['why']}")
    return "\n".join(lines) + "\n"


def aims_table(judged):
    rows = [[aim["what"], aim["aim"], aim["value"], verdict(aim)] for aim in judged]
    return "## What was aimed at\n\n" + table(["", "aim", "measured", ""], rows, left=4)


def verdict(aim):
    if aim["met"] is None:
        return "not measured"
    return ("met" if aim["met"] else "**missed**") + (f" ({aim['by']})" if aim["by"] else "")


def case_table(cells):
    own = next((cell for cell in cells if cell["client"] == "culmen" and cell["runs"]), None)
    rows, notes = [], []
    for cell in sorted(cells, key=lambda cell: (not cell["runs"], median(cell, "wall") if cell["runs"] else 0)):
        note = notes_of(cell)
        if note:
            notes.append(f"{cell['client']}: {note}.")
        mark = "\\*" if note else ""
        if not cell["runs"]:
            rows.append([cell["client"] + mark] + ["-"] * 10)
            continue
        rows.append([cell["client"] + mark, len(cell["runs"]), spread(cell, "wall"), spread(cell, "cpu"),
                     spread(cell, "memory_mib"), spread(cell, "requests"), count(scaled(cell, cell["connections"])),
                     spread(cell, "ca_cpu")] +
                    [ratio(cell, own, key) for key in ("wall", "cpu", "memory_mib")])
    text = table(["client", "runs", "wall s", "CPU s", "memory MiB", "requests", "connections", "CA's CPU s", "wall ÷ culmen", "CPU ÷ culmen",
                  "memory ÷ culmen"], rows)
    return text + "".join(f"\n\\* {note}\n" for note in notes)


def notes_of(cell):
    notes = list(cell["notes"])
    if cell["certificates"] < cell["count"]:
        notes.append(f"a program for one certificate, run {cell['certificates']} times in a row; all but the memory is scaled to {cell['count']}")
    if cell["failures"]:
        notes.append(f"{len(cell['failures'])} failed, the last so: {cell['failures'][-1]}".rstrip("."))
    if cell["hangs"]:
        notes.append(f"the CA hung {cell['hangs']} times, and the run was done again")
    return "; ".join(notes)


def concurrency_table(cells):
    rows, notes = [], []
    for cell in cells:
        note = notes_of(cell)
        if note:
            notes.append(f"{cell['client']}, {cell['in_flight']} in flight: {note}.")
        head = [cell["in_flight"], cell["client"] + ("\\*" if note else ""), len(cell["runs"])]
        if not cell["runs"]:
            rows.append(head + ["-"] * 8)
            continue
        certificates = cell["certificates"]
        rate = [certificates / run["wall"] for run in cell["runs"]]
        own = [1000 * run["cpu"] / certificates for run in cell["runs"]]
        of_ca = [1000 * run["ca_cpu"] / certificates for run in cell["runs"]]
        busy = [100 * run["ca_cpu"] / run["wall"] for run in cell["runs"]]
        rows.append(head + [span(rate), span(own), span(of_ca), span(busy), spread(cell, "wall"), spread(cell, "memory_mib"),
                            spread(cell, "requests"), count(cell["connections"])])
    text = table(["in flight", "client", "runs", "certificates/s", "CPU ms each", "CA's CPU ms each", "CA busy, % of a core", "wall s", "memory MiB",
                  "requests", "connections"], rows)
    return text + "".join(f"\n\\* {note}\n" for note in notes)


def micro_table(micro):
    return table(["", "measured"], [[row["what"], f"{number(row['value'])} {row['unit']}"] for row in micro])


def scaled(cell, value):
    return None if value is None else value * cell["count"] / cell["certificates"]


def values(cell, key):
    """Of the runs; for programs in a loop, as if it had gone on to the end."""
    factor = 1 if key == "memory_mib" else cell["count"] / cell["certificates"]
    return [run[key] * factor for run in cell["runs"] if run[key] is not None]


def median(cell, key):
    return statistics.median(values(cell, key))


def spread(cell, key):
    return span(values(cell, key))


def span(numbers):
    if not numbers:
        return "-"
    middle = number(statistics.median(numbers))
    if number(min(numbers)) == number(max(numbers)):
        return middle
    return f"{middle} ({number(min(numbers))}–{number(max(numbers))})"


def count(value):
    return "-" if value is None else number(value)


def number(value):
    """Three digits that count."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def ratio(cell, own, key):
    if own is None or median(own, key) == 0:
        return "-"
    return number(median(cell, key) / median(own, key))


def table(titles, rows, left=1):
    lines = ["| " + " | ".join(titles) + " |", "|" + "|".join("---" if i < left else "--:" for i in range(len(titles))) + "|"]
    lines += ["| " + " | ".join(str(part) for part in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
