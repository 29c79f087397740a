"""The machine that the figures come from."""
import os
import pathlib
import platform
import re
import shutil
import subprocess


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
    def git(*arguments):
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True).stdout.strip()

    # The results themselves are written anew while it runs.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)bench/results")
    return (git("describe", "--always") or "unknown") + ("-dirty" if changed else "")


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
