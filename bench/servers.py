"""What the clients are measured against: Pebble, culmen's test CA, and the small servers around them."""
import contextlib
import json
import os
import pathlib
import random
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time

REQUEST = re.compile(rb"(GET|HEAD|POST) \S+ -> calling handler\(\)")


class Failure(Exception):
    """Something that keeps the benchmark, or one run of it, from going on."""


def free_ports(count):
    """Ports below those that outgoing connections get: nobody takes one before the server binds it."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 32000)
        if port not in ports and is_free(port):
            ports.append(port)
    return ports


def is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def await_start(process, log, is_ready):
    """Waits until is_ready() says something, and gives back what."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and process.poll() is None:
        if ready := is_ready():
            return ready
        time.sleep(0.02)
    raise Failure(f"{process.args[0]} did not start: {pathlib.Path(log).read_text(errors='replace')[-500:]}")


def serves(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_tls_certificate(folder):
    """A root and a certificate for 127.0.0.1, for Pebble's own TLS: the package ships none."""
    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"openssl {arguments[0]}: {done.stderr}")

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "root.key", "-out", "root.pem", "-days", "2", "-subj", "/CN=Bench root")
    openssl("req", *new_key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=127.0.0.1")
    (folder / "tls.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial", str(random.getrandbits(60)),
            "-days", "2", "-extfile", "tls.ext", "-out", "tls.pem")


class Pebble:
    """Pebble with its DNS server, which knows every name at 127.0.0.1. A fresh CA: its state is in memory."""

    def __init__(self, programs, tls_folder, folder, retry_after):
        self.port, management, self.http_port, tls_port, dns, dns_management = free_ports(6)
        self.url = f"https://127.0.0.1:{self.port}/dir"
        self.root = tls_folder / "root.pem"
        self.log = folder / "pebble.log"
        configuration = {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(tls_folder / "tls.pem"), "privateKey": str(tls_folder / "tls.key"),
            "httpPort": self.http_port, "tlsPort": tls_port, "ocspResponderURL": "", "externalAccountBindingRequired": False,
            "domainBlocklist": [], "retryAfter": {"authz": retry_after, "order": retry_after}, "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "The only one", "validityPeriod": 7776000}}}
        (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}))
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_VA_ALWAYS_VALID": "0", "PEBBLE_WFE_NONCEREJECT": "0",
                       "PEBBLE_AUTHZREUSE": "0"}
        dns_command = [programs / "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "",
                       "-tlsalpn01", "", "-management", f"127.0.0.1:{dns_management}"]
        dns_command += dns_flags(programs, f"127.0.0.1:{dns}")
        dns_log = folder / "dns.log"
        self.dns = subprocess.Popen(dns_command, stdout=open(dns_log, "wb"), stderr=subprocess.STDOUT)
        self.process = subprocess.Popen(
            [programs / "pebble", "-config", folder / "pebble.json", "-dnsserver", f"127.0.0.1:{dns}"], env=environment,
            stdout=open(self.log, "wb"), stderr=subprocess.STDOUT)
        try:
            await_start(self.dns, dns_log, lambda: serves(dns_management))
            await_start(self.process, self.log, lambda: serves(self.port))
        except Failure:
            self.close()
            raise

    def requests(self):
        """How many it has answered so far."""
        return len(REQUEST.findall(self.log.read_bytes()))

    def cpu(self):
        return cpu_of(self.process.pid)

    def close(self):
        stop(self.process)
        stop(self.dns)


def dns_flags(programs, address):
    """The flag changed its name between Pebble 2.6 and 2.10."""
    told = subprocess.run([programs / "pebble-challtestsrv", "-help"], capture_output=True, text=True)
    text = told.stdout + told.stderr
    flags = ["-dnsserver" if "-dnsserver" in text else "-dns01", address]
    return flags + (["-doh", ""] if "-doh" in text else [])


class TestCa:
    """culmen's own test CA, from the program that is measured, as a process of its own."""

    def __init__(self, culmen, folder):
        self.port, self.http_port = free_ports(2)
        self.root = folder / "root.pem"
        log = folder / "test-ca.log"
        self.process = subprocess.Popen(
            [culmen, "test-ca", "--port", str(self.port), "--root-file", self.root, "--http-port", str(self.http_port), "--resolve",
             "*=127.0.0.1"], stdout=open(log, "wb"), stderr=subprocess.STDOUT)
        try:
            self.url = await_start(self.process, log, lambda: re.search(r"https://\S+(?=\n)", log.read_text())).group()
        except Failure:
            self.close()
            raise

    def requests(self):
        """Not known: it does not say without being slowed down."""
        return None

    def cpu(self):
        return cpu_of(self.process.pid)

    def close(self):
        stop(self.process)


def cpu_of(pid):
    """User and system time of a process with all its threads. Its CPU clock counts finer than /proc/PID/stat."""
    return time.clock_gettime(~pid << 3 | 2)


class Forwarder:
    """Passes connections on to a port, and counts them. For runs that are not measured: it costs time."""

    def __init__(self, port):
        self.target = port
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", free_ports(1)[0]), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.forward, args=(client,), daemon=True).start()

    def forward(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            other = {client: server, server: client}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)

    def close(self):
        self.listener.close()


class WebServer:
    """Serves a folder on the port where the CA looks, for clients without a server of their own. Not counted to the client."""

    def __init__(self, folder, port, log):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, str(port)],
            stdout=subprocess.DEVNULL, stderr=open(log, "wb"))
        try:
            await_start(self.process, log, lambda: serves(port))
        except Failure:
            self.close()
            raise

    def close(self):
        stop(self.process)


def program(name):
    found = shutil.which(name)
    return pathlib.Path(found) if found else None
