"""What the figures come from: the machine, and the culmen program itself."""
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess

STARTS = 41


def describe():
    return {"cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory_gib(), 1), "os": system_name(),
            "kernel": platform.release(), "openssl": first_line("openssl", "version"), "curl": first_line("curl", "--version")}


def cpu_model():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def system_name():
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.system()


def first_line(*command):
    if not shutil.which(command[0]):
        return "none"
    return " ".join(subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0].split()[:2])


def commit(root):
    done = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def program_figures(build, folder):
    """Size of the stripped program, and how long it takes to start beside curl."""
    stripped = folder / "stripped"
    subprocess.run(["strip", "-o", stripped, build / "culmen"], check=True)
    seconds = {"culmen": [], "curl": []}
    for _ in range(STARTS):
        for name, program in (("culmen", stripped), ("curl", shutil.which("curl"))):
            subprocess.run([build / "bench/measure/bench_measure", folder / "cost.json", "--", program, "--version"], check=True,
                           stdout=subprocess.DEVNULL)
            seconds[name].append(json.loads((folder / "cost.json").read_text())["wall"])
    return {"stripped_bytes": stripped.stat().st_size, "version_seconds": {name: statistics.median(all_) for name, all_ in seconds.items()}}
