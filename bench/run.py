#!/usr/bin/env python3
"""run.py: measures culmen and its peers against Pebble on this machine, and writes results.json, results.md and concurrency.svg.

See bench/README.md. Everything happens on 127.0.0.1 and in a temporary folder."""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import clients as known
import machine
import micro
import report
from servers import Failure, Forwarder, Pebble, TestCa, WebServer, make_tls_certificate

ROOT = pathlib.Path(__file__).resolve().parents[1]
SLOW = 20  # a client that needs more seconds than this in its first run gets no second one
RUNS_OF_MANY = 3
RUNS_WITH_WAITS = 1  # with Retry-After: seconds of waiting, which hardly differ
TRIES_AFTER_HANG = 8
IDLE = 4  # seconds without work for the CA after which a run of case e hangs: nobody there waits that long
CASES = [known.Case("a", "new account, one name", account_exists=False),
         known.Case("b", "existing account, one name"),
         known.Case("c", "existing account, one certificate with 100 names", names=100),
         known.Case("d", "existing account, 100 certificates one after another", count=100)]
MICRO = known.Case("micro", "microbenchmarks")


def main():
    options = parse_options()
    bench = Bench(options)
    with tempfile.TemporaryDirectory(prefix="culmen-bench-") as folder:
        bench.prepare(pathlib.Path(folder))
        options.out.mkdir(parents=True, exist_ok=True)
        rows = []
        for case, ca, retry_after in schedule(options):
            if case is MICRO:
                say("microbenchmarks")
                rows = micro.results(options.build)
            else:
                bench.measure_case(case, ca, retry_after)
            report.write({**bench.results(), "micro": rows}, options.out)  # what is measured is not lost if it ends here
    print((options.out / "results.md").read_text())
    say(f"written to {options.out}")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2 runs, 200 certificates in case e, a minute for each program")
    parser.add_argument("--runs", type=int, default=5, help="runs of each case (%(default)s; of case e at most 3)")
    parser.add_argument("--cases", default="a,b,c,d,e", help="which (%(default)s)")
    parser.add_argument("--clients", default="", help="which, as culmen,acmez (default: every one that is there)")
    parser.add_argument("--retry-after", default="0,1", help="seconds that Pebble names to those who wait (%(default)s)")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a program is given up (%(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/bench", help="where culmen was built (%(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench/results", help="where the results go (%(default)s)")
    parser.add_argument("--no-micro", action="store_true", help="leave out the microbenchmarks")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.limit = 2, 60
    options.cases = options.cases.split(",")
    options.clients = options.clients.split(",") if options.clients else None
    options.retry_after = [int(seconds) for seconds in options.retry_after.split(",")]
    options.out = options.out.resolve()
    if unknown := set(options.cases) - set("abcde"):
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    return options


def schedule(options):
    """Every (case, CA, Retry-After); what says least comes last."""
    for case in CASES:
        if case.key in options.cases and 0 in options.retry_after:
            yield case, "pebble", 0
    if "e" in options.cases:
        count = 200 if options.quick else 1000
        for ca in ("pebble", "test-ca"):
            for in_flight in (1, 4, 16, 64):
                yield known.Case("e", f"{count} certificates, {in_flight} in flight", count=count, in_flight=in_flight), ca, 0
    if not options.no_micro:
        yield MICRO, "", 0
    for retry_after in options.retry_after:
        for case in CASES:
            # Waits of a second would be all that d measures.
            if case.key in options.cases and retry_after and case.key != "d":
                yield case, "pebble", retry_after


@dataclasses.dataclass
class Run:
    """What one run cost. `problem` says why it does not count."""
    wall: float = 0
    cpu: float = 0
    memory_mib: float = 0
    ca_cpu: float = 0
    requests: int = None
    connections: int = None
    problem: str = ""
    hung: bool = False


class Bench:
    def __init__(self, options):
        self.options = options
        self.cells = []
        self.began = time.time()

    def prepare(self, folder):
        self.folder = folder
        self.pebble_programs = pebble_programs()
        found, missing = known.find_clients(self.options.build, say)
        wanted = self.options.clients
        if wanted and (unknown := set(wanted) - {client.name for client in found}):
            raise Failure(f"not there: {', '.join(sorted(unknown))}; there are {', '.join(client.name for client in found)}")
        self.clients = [client for client in found if not wanted or client.name in wanted]
        self.missing = [] if wanted else missing
        for name, why in self.missing:
            say(f"without {name}: {why}")
        self.tls = folder / "tls"
        self.tls.mkdir()
        make_tls_certificate(self.tls)

    def measure_case(self, case, ca, retry_after):
        """Round after round over the clients, so that whatever else the machine does hits all of them."""
        say(f"({case.key}) {case.what}, {ca}, Retry-After {retry_after or 'none'}")
        cells = {}
        for client in self.clients:
            if case.key in client.takes and not self.is_known_slow(client, case):
                cell = self.first_run(client, case, ca, retry_after)
                self.cells.append(cell)
                if not cell["done"]:
                    cells[client] = cell
        rounds = self.options.runs
        if case.key == "e":
            rounds = min(rounds, RUNS_OF_MANY)
        elif retry_after:
            rounds = min(rounds, RUNS_WITH_WAITS)
        for _ in range(rounds):
            for client, cell in cells.items():
                self.add(cell, self.run_to_the_end(client, case, ca, retry_after, cell))

    def is_known_slow(self, client, case):
        """Whether it did not come to an end without Retry-After: waiting would not make it quicker."""
        return any(cell["client"] == client.name and cell["case"] == case.key != "e" and not cell["runs"] for cell in self.cells)

    def first_run(self, client, case, ca, retry_after):
        """Through a forwarder that counts connections, and not measured, except for programs so slow that it does not matter."""
        counting = not retry_after
        cell = {"case": case.key, "what": case.what, "client": client.name, "ca": ca, "retry_after": retry_after,
                "in_flight": case.in_flight, "count": case.count, "certificates": client.certificates(case), "runs": [], "hangs": 0,
                "failures": [], "notes": [], "done": False, "connections": None}
        if not counting:
            return cell  # connections are as many with waits as without
        run = self.run_to_the_end(client, case, ca, retry_after, cell, counting=True)
        cell["connections"] = run.connections
        if run.problem:
            self.add(cell, run)
            cell["done"] = True
        elif run.wall > SLOW and case.key != "e":
            self.add(cell, run)
            cell["notes"].append(f"took over {SLOW} s, so it was run once")
            cell["done"] = True
        return cell

    def add(self, cell, run):
        if run.problem:
            cell["failures"].append(run.problem)
            say(f"  {cell['client']}: {run.problem}")
            return
        cell["runs"].append({key: getattr(run, key) for key in ("wall", "cpu", "memory_mib", "ca_cpu", "requests")})
        requests = "" if run.requests is None else f", {run.requests} requests"
        say(f"  {cell['client']}: {run.wall:.3f} s, CPU {run.cpu:.3f} s, {run.memory_mib:.1f} MiB{requests}")

    def run_to_the_end(self, client, case, ca, retry_after, cell, counting=False):
        """Pebble can hang for good under concurrency; that is no client's fault, so the run is done again."""
        for _ in range(TRIES_AFTER_HANG):
            run = self.run(client, case, ca, retry_after, counting)
            if not run.hung or case.in_flight == 1:
                break
            cell["hangs"] += 1
            say(f"  {client.name}: hung")
        return run

    def run(self, client, case, ca_name, retry_after, counting):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        webroot = folder / "webroot"
        (webroot / ".well-known/acme-challenge").mkdir(parents=True)
        servers = []
        try:
            if ca_name == "pebble":
                ca = Pebble(self.pebble_programs, self.tls, folder, retry_after)
            else:
                ca = TestCa(self.options.build / "culmen", folder)
            servers.append(ca)
            url = ca.url
            # The URLs that the test CA hands out lead past the forwarder.
            forwarder = Forwarder(ca.port) if counting and ca_name == "pebble" else None
            if forwarder:
                servers.append(forwarder)
                url = url.replace(f":{ca.port}/", f":{forwarder.port}/")
            if client.needs_webroot:
                servers.append(WebServer(webroot, ca.http_port, folder / "webserver.log"))
            place = known.Place(url, ca.root, bundle_with(ca.root, folder), ca.http_port, folder, webroot)
            return self.run_at(client, case, ca, place, forwarder)
        except (Failure, OSError) as failure:
            return Run(problem=str(failure))
        finally:
            for server in reversed(servers):
                server.close()
            shutil.rmtree(folder, ignore_errors=True)

    def run_at(self, client, case, ca, place, forwarder):
        if case.account_exists:
            for command in client.register(place):
                done = self.execute(command, place)
                if done.problem:
                    return dataclasses.replace(done, problem="registering: " + done.problem)
        requests_before, cpu_before = ca.requests(), ca.cpu()
        connections_before = forwarder.connections if forwarder else 0
        total = Run()
        for command in client.commands(case, place):
            done = self.execute(command, place, ca if case.key == "e" else None)
            if done.problem:
                return done
            total.wall += done.wall
            total.cpu += done.cpu
            total.memory_mib = max(total.memory_mib, done.memory_mib)
        total.ca_cpu = ca.cpu() - cpu_before
        if requests_before is not None:
            total.requests = ca.requests() - requests_before
        if forwarder:
            total.connections = forwarder.connections - connections_before
        return total

    def execute(self, command, place, busy_ca=None):
        """One program, from its start to its end; with `busy_ca`, also until that has nothing to do any more."""
        cost = place.folder / "cost.json"
        cost.unlink(missing_ok=True)
        arguments = [self.options.build / "bench/measure/bench_measure", cost]
        if command.until:
            awaited = place.folder / "awaited"
            awaited.write_text("".join(f"{path}\n" for path in command.until))
            arguments += ["--until", awaited]
        arguments += ["--", *command.arguments]
        if command.bundle:
            arguments = [*with_roots(command.bundle), *arguments]
        output = place.folder / "output"
        with open(output, "wb") as log:
            process = subprocess.Popen([str(part) for part in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=place.folder, env=environment(command, place), start_new_session=True)
            problem = self.await_end(process, busy_ca)
            if problem:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return Run(problem=problem, hung=True)
        if process.returncode != 0:
            said = output.read_text(errors="replace").strip().split("\n")[-1][-300:]
            return Run(problem=f"ended with {process.returncode}: {said}")
        told = json.loads(cost.read_text())
        return Run(told["wall"], told["cpu"], told["memory_kib"] / 1024)

    def await_end(self, process, busy_ca):
        """Why it did not come to its end; empty when it did."""
        began = worked = time.monotonic()
        cpu = busy_ca.cpu() if busy_ca else 0
        while time.monotonic() - began < self.options.limit:
            try:
                process.wait(min(1, self.options.limit) if busy_ca else self.options.limit)
                return ""
            except subprocess.TimeoutExpired:
                if not busy_ca:
                    continue
            if busy_ca.cpu() - cpu > 0.05:
                cpu, worked = busy_ca.cpu(), time.monotonic()
            elif time.monotonic() - worked > IDLE:
                return f"the CA did nothing for {IDLE} s"
        return f"not done after {self.options.limit:.0f} s"

    def results(self):
        from_cells = [{key: value for key, value in cell.items() if key != "done"} for cell in self.cells]
        versions = {client.name: client.version for client in self.clients}
        versions["pebble"] = pebble_version(self.pebble_programs)
        return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.began)), "seconds": round(time.time() - self.began),
                "machine": machine.describe(), "commit": machine.commit(ROOT), "versions": versions,
                "missing": [{"name": name, "why": why} for name, why in self.missing],
                "settings": {"runs": self.options.runs, "quick": self.options.quick, "limit": self.options.limit, "slow": SLOW,
                             "looped": known.LOOPED},
                "cells": from_cells, "micro": []}


def pebble_programs():
    """The newest Pebble, or the system's."""
    for which in ("newest", "distribution"):
        done = subprocess.run([ROOT / "tools/get-pebble.sh", which], capture_output=True, text=True)
        if done.returncode == 0:
            return pathlib.Path(done.stdout.strip())
        say(done.stderr.strip())
    raise Failure("without Pebble there is nothing to measure against")


def pebble_version(programs):
    found = re.search(r"pebble-([^/]+)/", str(programs))
    return found.group(1) if found else machine.package_version("pebble")


def bundle_with(root, folder):
    bundle = folder / "bundle.pem"
    system = known.SYSTEM_ROOTS.read_text() if known.SYSTEM_ROOTS.exists() else ""
    bundle.write_text(system + root.read_text())
    return bundle


def with_roots(bundle):
    """Starts a program that finds `bundle` in place of the system's roots: a mount that only it sees."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    return [*namespace, "sh", "-c", f'mount --bind "$0" {known.SYSTEM_ROOTS} && exec "$@"', bundle]


def environment(command, place):
    """Nothing of the user's: no proxies, no configuration at home."""
    told = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": place.folder, "TMPDIR": place.folder, "LANG": "C.UTF-8"}
    return {key: str(value) for key, value in {**told, **command.environment}.items()}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(failure)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
