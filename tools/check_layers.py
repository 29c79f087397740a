#!/usr/bin/env python3
"""check_layers.py [ROOT]: holds every #include of src, cli, testca and include against tools/layers.toml.

Prints `file:line: what is wrong`. The rules, and how they are written, are explained in tools/layers.toml.
"""
import pathlib
import re
import sys
import tomllib

from source_text import blanked, sources

INCLUDE = re.compile(r"^[ \t]*#[ \t]*(?:include|include_next|import)\b[ \t]*(?P<what>.*?)[ \t]*$", re.MULTILINE)
FORMS = re.compile(r'"(?P<quoted>[^"]+)"|<(?P<angled>[^>]+)>')

# The C++ standard library up to C++23, without the names that C and POSIX share with it (<signal.h>, <time.h>, …).
STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits clocale
cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib
cstring ctime cuchar cwchar cwctype deque exception execution expected filesystem format forward_list fstream functional
future generator initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map mdspan memory
memory_resource mutex new numbers numeric optional ostream print queue random ranges ratio regex scoped_allocator semaphore
set shared_mutex source_location span spanstream sstream stack stacktrace stdexcept stdfloat stop_token streambuf string
string_view strstream syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set
utility valarray variant vector version
""".split())

ROOM_KEYS = {"path", "owns", "may", "may_public", "foreign", "foreign_only", "never_standard", "never_code"}
PUBLIC_ROOT = "include/culmen"
PRIVATE_ROOTS = ("src", "cli", "testca")


class Rules:
    def __init__(self, text, root):
        parsed = tomllib.loads(text)
        self.rooms = parsed.get("rooms", {})
        self.public_foreign = parsed.get("public", {}).get("foreign", [])
        self.foreign_users = parsed.get("public", {}).get("foreign_users", [])
        self.faults = list(self.find_faults(root))

    def find_faults(self, root):
        """A rule that names what does not exist guards nothing."""
        if not self.rooms:
            yield "no room has a rule"
        for header in self.foreign_users:
            if not (root / PUBLIC_ROOT / header).exists():
                yield f"foreign_users: there is no public header {header}"
        for name, room in self.rooms.items():
            for key in sorted(room.keys() - ROOM_KEYS):
                yield f"room {name}: what is \"{key}\"?"
            if not (root / room.get("path", "?")).is_dir():
                yield f"room {name}: its path is no folder"
            for key in ("may", "may_public"):
                for other in room.get(key, []):
                    if other not in self.rooms and (key, other) != ("may_public", "*"):
                        yield f"room {name}: \"{key}\" names {other}, which is not a room"
            for header in room.get("owns", []):
                if not (root / PUBLIC_ROOT / header).exists():
                    yield f"room {name}: there is no public header {header}"
            for file in sum(room.get("foreign_only", {}).values(), []):
                if not (root / file).is_file() or self.room_of(pathlib.PurePath(file)) != name:
                    yield f"room {name}: \"foreign_only\" names {file}, which is no file of the room"
            if name in self.below(name):
                yield f"room {name}: may include itself by way of others"
        for path in sources(root, ["include"]):
            header = str(path.relative_to(root / PUBLIC_ROOT))
            owners = self.owners_of(header)
            if len(owners) != 1:
                yield f"{header} is owned by {' and '.join(owners) or 'no room'} (owns); it has to be exactly one"

    def owners_of(self, header):
        return [name for name, room in self.rooms.items() if listed(header, room.get("owns", []))]

    def may_include(self, room, owner):
        """Whether the room may include public headers of that owner."""
        rule = self.rooms[room]
        return owner == room or owner in rule.get("may", []) or {owner, "*"} & set(rule.get("may_public", []))

    def below(self, name):
        """Every room this one may reach."""
        found, todo = set(), list(self.rooms[name].get("may", []))
        while todo:
            room = todo.pop()
            if room in self.rooms and room not in found:
                found.add(room)
                todo += self.rooms[room].get("may", [])
        return found

    def room_of(self, relative):
        for name, room in self.rooms.items():
            if relative.is_relative_to(room["path"]):
                return name
        return None


def listed(header, patterns):
    """Whether a pattern is the header, or a folder it is in."""
    return any(header == p or (p.endswith("/") and header.startswith(p)) for p in patterns)


class Checker:
    def __init__(self, root):
        self.root = root
        self.rules = Rules((root / "tools/layers.toml").read_text(encoding="utf-8"), root)

    def complaints(self, relative):
        """What is wrong with one file, as (line, text)."""
        text = (self.root / relative).read_text(encoding="utf-8")
        code = blanked(text, keep_strings=True)
        is_public = relative.is_relative_to(PUBLIC_ROOT)
        room = None if is_public else self.rules.room_of(relative)
        owners = self.rules.owners_of(str(relative.relative_to(PUBLIC_ROOT))) if is_public else [room]
        if not is_public and room is None:
            yield 1, "is in no room of tools/layers.toml"
            return
        for include in INCLUDE.finditer(code):
            line = code.count("\n", 0, include.start()) + 1
            form = FORMS.fullmatch(include["what"])
            if not form:
                yield line, f"#include {include['what']}: only \"…\" and <…> can be judged"
                continue
            for text_ in self.wrong_include(relative, room, owners, form):
                yield line, f"#include {form[0]}: {text_}"
        if room:
            for pattern in self.rules.rooms[room].get("never_code", []):
                for use in re.finditer(pattern, blanked(text)):
                    yield text.count("\n", 0, use.start()) + 1, f"{use[0]}: not in room {room} (never_code)"

    def wrong_include(self, relative, room, owners, form):
        header = form["quoted"] or form["angled"]
        if header.startswith("culmen/"):
            yield from self.wrong_public(owners, header.removeprefix("culmen/"))
        elif form["angled"]:
            yield from self.wrong_foreign(relative, room, header)
        else:
            yield from self.wrong_private(relative, room, header)

    def wrong_public(self, rooms, header):
        """`rooms`: of the including file; a public header has that of its owner."""
        if not (self.root / PUBLIC_ROOT / header).is_file():
            yield "there is no such public header"
            return
        for room in rooms:
            for owner in self.rules.owners_of(header):
                if not self.rules.may_include(room, owner):
                    yield f"room {room} may not use a public header of room {owner} (may, may_public)"

    def wrong_foreign(self, relative, room, header):
        if header in STANDARD:
            if room and header in self.rules.rooms[room].get("never_standard", []):
                yield f"room {room} may not use this part of the standard library (never_standard)"
            return
        if room:
            allowed = self.rules.rooms[room].get("foreign", [])
        else:
            allowed = self.rules.public_foreign if listed(str(relative.relative_to(PUBLIC_ROOT)), self.rules.foreign_users) else []
        if any(header.startswith(prefix) for prefix in allowed):
            return
        for prefix, users in self.rules.rooms[room].get("foreign_only", {}).items() if room else ():
            if header.startswith(prefix):
                if str(relative) not in users:
                    yield f"only {', '.join(users)} may use this foreign header (foreign_only)"
                return
        yield f"{'room ' + room if room else 'this public header'} may not use this foreign header (foreign)"

    def wrong_private(self, relative, room, header):
        target = self.find_private(relative, header)
        if target is None:
            yield "leads to no file of the tree; foreign headers are written <…>"
        elif room is None:
            yield "a public header may only use \"culmen/…\" of this tree"
        elif ".." in pathlib.PurePath(header).parts:
            yield "leads out of its folder; name it from src/"
        elif (other := self.rules.room_of(target)) is None:
            yield "is in no room of tools/layers.toml"
        elif other != room and other not in self.rules.rooms[room].get("may", []):
            yield f"room {room} may not use room {other} (may)"

    def find_private(self, relative, header):
        """The file a quoted #include means: beside the including file, below src/, or below the root."""
        for folder in (self.root / relative.parent, self.root / "src", self.root):
            target = (folder / header).resolve()
            if target.is_file() and target.is_relative_to(self.root):
                return target.relative_to(self.root)
        return None


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    checker = Checker(root)
    bad = count = 0
    for fault in checker.rules.faults:
        print(f"tools/layers.toml: {fault}")
        bad += 1
    for path in sources(root, PRIVATE_ROOTS + ("include",)):
        relative = path.relative_to(root)
        count += 1
        for line, text in checker.complaints(relative):
            print(f"{relative}:{line}: {text}")
            bad += 1
    if count == 0:
        print(f"{root}: no source file found: nothing was checked")
    elif not bad:
        print(f"{count} files keep to the layers")
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
