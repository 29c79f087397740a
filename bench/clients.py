"""The clients that are measured: where each is found, and how it is told what to do."""
import dataclasses
import json
import os
import pathlib
import re
import subprocess

from servers import program

SYSTEM_ROOTS = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
LOOPED = 10  # certificates that a program run in a loop gets, in place of 100
MAIL = "a@example.test"


@dataclasses.dataclass(frozen=True)
class Case:
    """What is asked for: `count` certificates with `names` names each, `in_flight` of them at the same time."""
    key: str
    what: str
    count: int = 1
    names: int = 1
    in_flight: int = 1
    account_exists: bool = True

    def names_of(self, certificate):
        return [f"n{certificate}-{j}.bench.test" for j in range(self.names)]


@dataclasses.dataclass
class Place:
    """Where a run happens: the CA, and an empty folder."""
    url: str
    root: pathlib.Path      # of the CA's TLS certificate
    bundle: pathlib.Path    # the system's roots and that one
    http_port: int          # where the CA looks
    folder: pathlib.Path
    webroot: pathlib.Path


@dataclasses.dataclass
class Command:
    arguments: list
    environment: dict = dataclasses.field(default_factory=dict)
    until: list = None      # it does not end: kill it when these files are there
    bundle: pathlib.Path = None  # what it shall find in place of the system's roots


def text_of(*command):
    """What a program prints about itself."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


def version_in(text):
    found = re.search(r"\d+(\.\d+)+", text)
    return found.group() if found else "unknown"


class Client:
    """One of those measured. `takes` are the keys of the cases it can do."""
    name = ""
    takes = "abcd"
    needs_webroot = False

    def looped(self, case):
        """Whether a case is done by running the program again and again."""
        return case.count > 1

    def certificates(self, case):
        """How many certificates a run gets."""
        return min(case.count, LOOPED) if self.looped(case) else case.count

    def register(self, place):
        """Commands that make an account, and are not measured."""
        raise NotImplementedError

    def commands(self, case, place):
        """Commands that do what the case asks for, and are measured."""
        issue = [self.issue(place, case.names_of(i)) for i in range(self.certificates(case))]
        return issue if case.account_exists else self.new_account(place) + issue

    def new_account(self, place):
        """For programs that want a command of its own for that."""
        return []


class Many(Client):
    """A program that takes the flags of bench/many/bench_many.cpp."""
    takes = "abcde"
    note = ""

    def __init__(self, many):
        self.many = many

    def looped(self, case):
        return False

    def many_command(self, place, case):
        command = [self.many, "--server", place.url, "--root", place.root, "--http-port", place.http_port, "--count", case.count,
                   "--in-flight", case.in_flight, "--names", case.names]
        if case.account_exists:
            command += ["--account-key", place.folder / "account.pem"]
        return Command(command)

    def register(self, place):
        return [self.many_command(place, Case("", "", count=0))]

    def commands(self, case, place):
        return [self.many_command(place, case)]


class Culmen(Many):
    """The program where one certificate is asked for, the library where it is many."""
    name = "culmen"

    def __init__(self, program_, many):
        super().__init__(many)
        self.program = program_
        self.version = version_in(text_of(program_, "--version"))

    def flags(self, place):
        return ["--server", place.url, "--server-ca", place.root, "--dir", place.folder / "state", "--agree-tos", "--contact", MAIL]

    def commands(self, case, place):
        if case.count > 1:
            return super().commands(case, place)
        issue = [self.program, "issue", *self.flags(place), "--http-address", "127.0.0.1", "--http-port", place.http_port]
        return [Command(issue + ["-d", ",".join(case.names_of(0))])]

    def register(self, place):
        return super().register(place) + [Command([self.program, "account", "register", *self.flags(place)])]


class Acmez(Many):
    """The Go library, called directly."""
    name = "acmez"

    def __init__(self, many, version):
        super().__init__(many)
        self.version = version


class Lego(Client):
    name = "lego"

    def __init__(self, path):
        self.path = path
        self.version = version_in(text_of(path, "--version"))

    def issue(self, place, names):
        arguments = [self.path, "--server", place.url, "--accept-tos", "--email", MAIL, "--path", place.folder / "lego", "--http",
                     "--http.port", f"127.0.0.1:{place.http_port}"]
        for name in names:
            arguments += ["-d", name]
        return Command(arguments + ["run"], {"LEGO_CA_CERTIFICATES": place.root, "LEGO_CA_SYSTEM_CERT_POOL": "true"})

    def register(self, place):
        # It has no command for that alone.
        return [self.issue(place, ["first.bench.test"])]


class Certbot(Client):
    name = "certbot"

    def __init__(self, path):
        self.path = path
        self.version = version_in(text_of(path, "--version"))

    def command(self, place, verb, *arguments):
        folders = [part for kind in ("config", "work", "logs") for part in (f"--{kind}-dir", place.folder / kind)]
        return Command([self.path, verb, "--server", place.url, "--agree-tos", "-m", MAIL, "--no-eff-email", "--non-interactive",
                        *folders, *arguments], {"REQUESTS_CA_BUNDLE": place.bundle})

    def issue(self, place, names):
        return self.command(place, "certonly", "--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", place.http_port,
                            "--key-type", "ecdsa", "-d", ",".join(names))

    def register(self, place):
        return [self.command(place, "register")]


class Uacme(Client):
    """Answers by a hook that writes below a web server's root. Trusts the system's roots, and no others."""
    name = "uacme"
    needs_webroot = True
    HOOK = """#!/bin/sh
# METHOD TYPE IDENT TOKEN AUTH
case "$1:$2" in
  begin:http-01) printf %s "$5" > "$WEBROOT/.well-known/acme-challenge/$4" ;;
  done:http-01 | failed:http-01) rm -f "$WEBROOT/.well-known/acme-challenge/$4" ;;
  *) exit 1 ;;
esac
"""

    def __init__(self, start):
        self.start = start
        self.version = version_in(text_of(*start, "--version"))

    def command(self, place, *arguments):
        return Command([*self.start, "-a", place.url, "-c", place.folder / "uacme", "-y", "-t", "EC", *arguments],
                       {"WEBROOT": place.webroot}, bundle=place.bundle)

    def issue(self, place, names):
        hook = place.folder / "hook"
        if not hook.exists():
            hook.write_text(self.HOOK)
            hook.chmod(0o755)
        return self.command(place, "-h", hook, "issue", *names)

    def register(self, place):
        return [self.command(place, "new", MAIL)]

    def new_account(self, place):
        return self.register(place)


class AcmeSh(Client):
    name = "acme.sh"
    needs_webroot = True

    def __init__(self, path):
        self.path = path
        self.version = version_in(text_of(path, "--version").split("\n")[-1])

    def command(self, place, *arguments):
        home = place.folder / "acme.sh"
        return Command([self.path, "--home", home, "--server", place.url, "--ca-bundle", place.bundle, "--accountkeylength", "ec-256",
                        *arguments])

    def issue(self, place, names):
        arguments = [part for name in names for part in ("-d", name)]
        return self.command(place, "--issue", *arguments, "-w", place.webroot, "--keylength", "ec-256")

    def register(self, place):
        return [self.command(place, "--register-account", "-m", MAIL)]


class Caddy(Client):
    """A server: measured from its start until the certificates are on disk. One certificate a name."""
    name = "caddy"
    takes = "abd"

    def __init__(self, path):
        self.path = path
        self.version = version_in(text_of(path, "version"))

    def looped(self, case):
        return False

    def serve(self, place, names):
        issuer = {"module": "acme", "ca": place.url, "email": MAIL, "trusted_roots_pem_files": [str(place.bundle)],
                  "challenges": {"http": {"alternate_port": place.http_port}, "tls-alpn": {"disabled": True}}}
        storage = place.folder / "caddy"
        configuration = {"admin": {"disabled": True, "config": {"persist": False}},
                         "storage": {"module": "file_system", "root": str(storage)},
                         "apps": {"tls": {"certificates": {"automate": names},
                                          "automation": {"policies": [{"issuers": [issuer], "key_type": "p256"}]}}}}
        file = place.folder / "caddy.json"
        file.write_text(json.dumps(configuration))
        server = re.sub(r"^https://|/$", "", place.url).replace(":", "-").replace("/", "-")
        awaited = [storage / "certificates" / server / name / f"{name}{end}" for name in names for end in (".crt", ".key", ".json")]
        return Command([self.path, "run", "--config", file], until=awaited)

    def register(self, place):
        return [self.serve(place, ["first.bench.test"])]

    def commands(self, case, place):
        return [self.serve(place, [name for i in range(case.count) for name in case.names_of(i)])]


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("CULMEN_CACHE_DIR") or pathlib.Path(base) / "culmen")


def find_clients(build, say):
    """Every client that is there, culmen first, and what is missing: (clients, [(name, why)])."""
    peers = cache_folder() / "peers"
    clients, missing = [Culmen(build / "culmen", build / "bench/many/bench_many")], []

    acmez = build_acmez(peers / "acmez", build / "bench/peers", say)
    if isinstance(acmez, Client):
        clients.append(acmez)
    else:
        missing.append(("acmez", acmez))
    for kind, cached in ((Lego, "lego/usr/bin/lego"), (Caddy, "caddy/usr/bin/caddy"), (Certbot, "certbot/usr/bin/certbot"),
                         (AcmeSh, "acme.sh/usr/share/acme.sh/acme.sh")):
        path = peers / cached if (peers / cached).exists() else program(kind.name)
        if path:
            clients.append(kind(path))
        else:
            missing.append((kind.name, "neither in the cache folder nor in PATH"))
    start = uacme(peers / "uacme")
    if start:
        clients.append(Uacme(start))
    else:
        missing.append(("uacme", "neither in the cache folder nor in PATH"))
    return clients, missing


def uacme(folder):
    """How to start it: with its own loader and libraries, where those were fetched as well."""
    loader = next(folder.glob("usr/lib*/ld-linux*.so.*"), None)
    libraries = next(folder.glob("usr/lib/*-linux-gnu"), None)
    if loader and libraries:
        return [loader, "--library-path", libraries, folder / "usr/bin/uacme"]
    return [program("uacme")] if program("uacme") else None


def build_acmez(folder, build, say):
    """The client, or why there is none."""
    go = next(folder.glob("usr/lib/go-*/bin/go"), None)
    sources = folder / "usr/share/gocode"
    environment = {**os.environ, "GO111MODULE": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    if go:
        environment["GOROOT"] = str(go.parents[1])
    else:
        go, sources = program("go"), pathlib.Path("/usr/share/gocode")
    if not go or not (sources / "src/github.com/mholt/acmez/v3").is_dir():
        return "there is no Go compiler with the library's sources"
    environment.update(GOPATH=str(sources), GOCACHE=str(build / "go-cache"))
    say("building bench/peers/acmez")
    done = subprocess.run([go, "build", "-o", build / "acmez", pathlib.Path(__file__).parent / "peers/acmez/main.go"], env=environment,
                          capture_output=True, text=True)
    if done.returncode != 0:
        return "its program could not be built: " + done.stderr.strip()[-300:]
    version = folder / "VERSION"
    return Acmez(build / "acmez", version.read_text().strip() if version.exists() else "of the system")
