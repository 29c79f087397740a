#!/usr/bin/env python3
"""micro.py BUILD_FOLDER: the microbenchmarks, beside what they are held against.

Runs what bench/micro/ builds, the program itself, and where they are installed nginx, openssl and curl. Everything that is
compared runs in turns on the same core; a figure is the median of the runs. What is held against an aim is CPU time: it does
not depend on what else the machine is doing. bench/README.md explains the rows.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import aims
import report

ROUNDS = 5
LOAD_SECONDS = 1.5
CONNECTIONS = 8
START_ROUNDS = 40
PATIENCE = 600

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
KEY_AUTHORIZATION = TOKEN + ".nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
PATH = "/.well-known/acme-challenge/" + TOKEN
NAME = "www.example.com"

NGINX_CONF = """
{user}
worker_processes 1;
daemon off;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; }}
}}
"""


def results(build_folder):
    """A list of {"what", "value", "unit", "at_most", "at_least"}. The aims are None where there is none, and the value where what
    it takes is not installed."""
    build = pathlib.Path(build_folder).resolve()
    rows = []
    rows += engine_rows(build / "bench/micro/bench_micro")
    rows += http_rows(build / "bench/micro/bench_responders")
    rows += tls_rows(build / "bench/micro/bench_responders")
    rows += program_rows(build / "culmen")
    return rows


def row(what, value, unit, at_most=None, at_least=None):
    return {"what": what, "value": value, "unit": unit, "at_most": at_most, "at_least": at_least}


# ---- The engine, signatures, JSON ------------------------------------------------------------------------------------


def engine_rows(program):
    cpu, counters = google_benchmark(program)
    us = {name: nanoseconds / 1000 for name, nanoseconds in cpu.items()}
    rows = []
    for names in ("1", "100"):
        requests = counters[f"issue/{names}"]["requests"]
        # Each request has a signature, and so has the CSR. Everything else counts as the engine's: JWS, JSON, CSR, reading the
        # certificates, and handing out the prepared answers.
        signatures = (requests + 1) * us["sign/openssl/ec:P-256"]
        label = f"a scripted issue() of {names} name{'s' if names != '1' else ''}, {requests:.0f} requests"
        rows.append(row(f"{label}: in all", us[f"issue/{names}"], "us"))
        rows.append(row(f"{label}: a request, signature included", us[f"issue/{names}"] / requests, "us"))
        rows.append(row(f"{label}: a request, without the signatures", (us[f"issue/{names}"] - signatures) / requests, "us",
                        at_most=50))
    rows.append(row("reading an order with 100 authorizations", us["parse/order/100"], "us"))
    for name in us:
        if not name.startswith("sign/culmen/"):
            continue
        key = name.removeprefix("sign/culmen/")
        rows.append(row(f"signing a request with {key}", us[name], "us"))
        rows.append(row(f"signing a request with {key}, beside bare OpenSSL", us[name] / us["sign/openssl/" + key], "x",
                        at_most=1.3))
    return rows


def google_benchmark(program):
    """Median CPU nanoseconds by name, and the counters."""
    command = [*pinned(server_core()), program, "--benchmark_format=json", f"--benchmark_repetitions={ROUNDS}",
               "--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.1"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE)
    runs = [run for run in json.loads(done.stdout)["benchmarks"] if run["run_type"] == "iteration"]
    runs.sort(key=lambda run: (run["family_index"], run["per_family_instance_index"]))
    cpu = {}
    for run in runs:
        cpu.setdefault(run["run_name"], []).append(run["cpu_time"])
    return {name: statistics.median(times) for name, times in cpu.items()}, {run["run_name"]: run for run in runs}


# ---- The responders --------------------------------------------------------------------------------------------------


def http_rows(program):
    servers = {"culmen": lambda: culmen_server([program, "serve-http", TOKEN, KEY_AUTHORIZATION])}
    if nginx_program():
        servers["nginx"] = nginx_server
    rows = []
    for mode, label in (("new", "a new connection each"), ("keep", "keep-alive")):
        load = [program, "load-http", "{port}", PATH, KEY_AUTHORIZATION, LOAD_SECONDS, CONNECTIONS, mode]
        rows += compared(f"http-01, {label}", "requests", servers, "nginx", load, at_least=0.5)
    return rows


def tls_rows(program):
    servers = {"culmen": lambda: culmen_server([program, "serve-tls", NAME])}
    if shutil.which("openssl"):
        servers["openssl s_server"] = lambda: s_server(program)
    rows = []
    for version in ("1.3", "1.2"):
        load = [program, "load-tls", "{port}", NAME, LOAD_SECONDS, CONNECTIONS, version]
        rows += compared(f"tls-alpn-01, TLS {version}", "handshakes", servers, "openssl s_server", load, at_least=1)
    return rows


def compared(label, unit, servers, other, load, at_least):
    """Each server under the same load, in turns: what came, and what one core could do."""
    rates = {name: [] for name in servers}
    capacities = {name: [] for name in servers}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(start()) for name, start in servers.items()}
        for _ in range(ROUNDS):
            for name, (process, port) in running.items():
                before = cpu_seconds(process.pid)
                command = [str(part).replace("{port}", str(port)) for part in load]
                done = subprocess.run([*pinned(load_core()), *command], check=True, stdout=subprocess.PIPE, text=True,
                                      timeout=PATIENCE)
                answers, seconds = (float(word) for word in done.stdout.split())
                rates[name].append(answers / seconds)
                capacities[name].append(answers / (cpu_seconds(process.pid) - before))
    rows = []
    for name in servers:
        rows.append(row(f"{label}: {name}, with the load on another core", statistics.median(rates[name]), f"{unit}/s"))
        rows.append(row(f"{label}: {name}, a second of the server's CPU", statistics.median(capacities[name]), unit))
    ratio = None
    if other in servers:
        ratio = statistics.median(a / b for a, b in zip(capacities["culmen"], capacities[other]))
    rows.append(row(f"{label}: culmen beside {other}, on one core", ratio, "x", at_least=at_least))
    return rows


@contextlib.contextmanager
def culmen_server(command):
    process = subprocess.Popen([*pinned(server_core()), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=10)


@contextlib.contextmanager
def nginx_server():
    with tempfile.TemporaryDirectory(prefix="culmen-bench-") as folder:
        file = pathlib.Path(folder, "root" + PATH)
        file.parent.mkdir(parents=True)
        file.write_text(KEY_AUTHORIZATION, encoding="utf-8")
        port = free_port()
        conf = pathlib.Path(folder, "nginx.conf")
        conf.write_text(NGINX_CONF.format(folder=folder, port=port, user="user root;" if os.geteuid() == 0 else ""),
                        encoding="utf-8")
        with other_server([nginx_program(), "-p", folder, "-c", conf], port) as server:
            yield server


@contextlib.contextmanager
def s_server(program):
    with tempfile.TemporaryDirectory(prefix="culmen-bench-") as folder:
        pem = pathlib.Path(folder, "certificate.pem")
        pem.write_bytes(subprocess.run([program, "certificate", NAME], check=True, stdout=subprocess.PIPE).stdout)
        port = free_port()
        # No tickets and no cache, as culmen: only full handshakes count here.
        command = ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", pem, "-key", pem,
                   "-alpn", "acme-tls/1", "-no_ticket", "-num_tickets", "0", "-no_cache"]
        with other_server(command, port) as server:
            yield server


@contextlib.contextmanager
def other_server(command, port):
    process = subprocess.Popen([*pinned(server_core()), *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(process, port)
        yield process, port
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(process, port):
    end = time.monotonic() + 10
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args[-1]}: does not answer on port {port}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def nginx_program():
    """The installed one, or the one that the tests unpack (tools/get-servers.sh)."""
    unpacked = pathlib.Path(__file__).parent.parent / "build/servers/nginx/usr/sbin"
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:{unpacked.resolve()}")


def cpu_seconds(pid):
    """Of a process and its children, in all their threads, as the scheduler has it."""
    pids = [pid] + [int(stat.parent.name) for stat in pathlib.Path("/proc").glob("[0-9]*/stat") if parent_of(stat) == pid]
    times = [schedstat.read_text().split()[0] for each in pids
             for schedstat in pathlib.Path(f"/proc/{each}/task").glob("*/schedstat")]
    return sum(int(nanoseconds) for nanoseconds in times) / 1e9


def parent_of(stat):
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return None


# ---- The program -----------------------------------------------------------------------------------------------------


def program_rows(program):
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder, "culmen")
        subprocess.run(["strip", "-o", stripped, program], check=True)
        rows = [row("the program, stripped", stripped.stat().st_size / 1e6, "MB", at_most=6)]
    times = {"culmen": [], "curl": []}
    commands = {"culmen": [program, "--version"]}
    if shutil.which("curl"):
        commands["curl"] = ["curl", "--version"]
    for _ in range(START_ROUNDS):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run([*pinned(server_core()), *command], check=True, stdout=subprocess.DEVNULL)
            times[name].append((time.perf_counter() - start) * 1000)
    for name in commands:
        rows.append(row(f"{name} --version", statistics.median(times[name]), "ms"))
    ratio = None
    if times["curl"]:
        ratio = statistics.median(times["culmen"]) / statistics.median(times["curl"])
    rows.append(row("culmen --version beside curl --version", ratio, "x", at_most=2))
    return rows


# ---- Cores -----------------------------------------------------------------------------------------------------------


def server_core():
    return min(os.sched_getaffinity(0))


def load_core():
    return max(os.sched_getaffinity(0))


def pinned(core):
    return ["taskset", "-c", str(core)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = results(sys.argv[1])
    print(report.micro_table(rows))
    print(report.aims_table([aim for row in rows for aim in aims.microbenchmark(row)]))


if __name__ == "__main__":
    main()
