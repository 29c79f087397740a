#!/usr/bin/env python3
"""check_faces.py [ROOT]: both public faces have the verbs of culmen/engine.hpp, with the same parameters, and are tested.

For each `Flow<Result<T>> f(Session, args…)` in namespace culmen::engine, and for each of EXTRA_VERBS:
- the awaitable face has `awaitable<T> f(args…) const`, and beside it a template `async_f(args…, token)` whose token is
  boost::asio::deferred unless given;
- the blocking face has `T f(args…, CancelToken cancel = CancelToken::never()) const`;
- types, their order and default arguments are the same (async_f may lack the defaults, since the token comes after).
A face has no functions but those and NOT_VERBS; its other awaitable functions have an async_f as well, unless they are
templates. Each name in a face is called in a file of TESTS that includes the face's header.
Prints `file:line: what is wrong`.
"""
import dataclasses
import itertools
import pathlib
import re
import sys

from source_text import blank, blanked, sources

ENGINE = "include/culmen/engine.hpp"
AWAITABLE = ("include/culmen/asio/acme_client.hpp", "include/culmen/acme_client.hpp")  # the first that is there
BLOCKING = "include/culmen/blocking/acme_client.hpp"
TESTS = "tests/unit/faces"
CLASS = "AcmeClient"

# Verbs that both faces add to those of the engine, and why. They are written as the engine would have them.
EXTRA_VERBS = {
    "Flow<Result<Order>> new_order(Session session, Account account, std::vector<Identifier> identifiers);":
        "most orders are names and nothing else",
    "Flow<Result<std::string>> download_certificate(Session session, Account account, std::string certificate_url);":
        "download_chain() for those who only want the PEM text",
    "Flow<Result<IssuedCertificate>> issue(Session session, Account account, IssueRequest request, ChallengeSolver& solver);":
        "most programs have one solver",
    "Flow<Result<Authorization>> authorize(Session session, Account account, std::string authorization_url, ChallengeSolver& solver, "
    "std::optional<std::chrono::seconds> deadline = {});":
        "the same",
}

# Verbs of the engine that no face has under that name, and why.
ENGINE_ONLY = {
    "connect": "its result is the session; AcmeClient::connect() and the blocking constructor make a client of one",
}

# Functions of a face that are not compared with the engine, and why.
NOT_VERBS = {
    "connect": "makes the client",
    "directory": "what the session knows already",
    "session": "for flows of the user's own",
    "run": "for flows of the user's own",
    "cancel": "of the client as a whole",
}


# ---- Declarations ----------------------------------------------------------------------------------------------------

DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|[A-Za-z_]\w*|\d[\w.\']*|::|->|&&|\.\.\.|\S')
WORD = re.compile(r"\w+")
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
NO_FUNCTION = {"typedef", "friend", "static_assert", "operator"}
SPECIFIERS = {"static", "virtual", "explicit", "inline", "constexpr"}


class Unreadable(Exception):
    pass


@dataclasses.dataclass
class Function:
    name: str
    returns: str
    parameters: list  # of (type, default or None)
    scope: str        # "culmen::blocking::AcmeClient"
    public: bool
    static: bool
    const: bool
    template: list    # the tokens between < and >, or None
    line: int = 0

    def types(self):
        return [type_ for type_, _ in self.parameters]

    def __str__(self):
        shown = (type_ if default is None else f"{type_} = {default}" for type_, default in self.parameters)
        return f"{self.name}({', '.join(shown)})"


def written(tokens):
    """Tokens as one writes them, without the namespaces that make no difference here."""
    tokens = list(tokens)
    for names in (["culmen", "::"], ["boost", "::", "asio", "::"], ["asio", "::"]):
        for at in reversed(range(len(tokens) - len(names) + 1)):
            if tokens[at:at + len(names)] == names and (at == 0 or tokens[at - 1] != "::"):
                del tokens[at:at + len(names)]
    text = ""
    for before, token in zip(["", *tokens], tokens):
        needs_blank = WORD.match(token) and (WORD.match(before) or before in ("&", "&&", "*", ">"))
        text += (" " if needs_blank or before == "," else "") + token
    return text


def after(tokens, at):
    """Where the bracket that opens at this token is closed, plus one. `<` counts as a bracket where it opens."""
    depth, angles = 0, tokens[at] == "<"
    for end in range(at, len(tokens)):
        token = tokens[end]
        depth += token in OPEN or (angles and token == "<")
        depth -= token in CLOSE or (angles and token == ">")
        if depth == 0:
            return end + 1
    raise Unreadable(f"{tokens[at]} is never closed")


def split(tokens, separator):
    """Splits at separators outside of all brackets."""
    parts, depth = [[]], 0
    for token in tokens:
        depth += token in OPEN or token == "<"
        depth -= token in CLOSE or token == ">"
        if token == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def parameter(tokens):
    type_, *default = split(tokens, "=")
    named = len(type_) > 1 and WORD.match(type_[-1]) and type_[-2] != "::"
    return written(type_[:-1] if named else type_), written(sum(default, [])) if default else None


def function(tokens, scope, public):
    """The function that these tokens declare, or None."""
    template = None
    while tokens[:1] == ["template"]:
        end = after(tokens, 1)
        template, tokens = tokens[2:end - 1], tokens[end:]
    if not tokens or NO_FUNCTION & set(tokens):
        return None
    at = 0
    while at < len(tokens) and tokens[at] not in ("(", "="):
        if tokens[at] == "[" and tokens[at + 1:at + 2] == ["["]:
            tokens = tokens[:at] + tokens[after(tokens, at):]
        elif at + 1 < len(tokens) and tokens[at].isupper() and tokens[at + 1] == "(":
            tokens = tokens[:at] + tokens[after(tokens, at + 1):]  # a macro with arguments
        elif tokens[at] == "<":
            at = after(tokens, at)
        else:
            at += 1
    if at == 0 or tokens[at:at + 1] != ["("] or not WORD.fullmatch(tokens[at - 1]):
        return None
    end = after(tokens, at)
    inside = tokens[at + 1:end - 1]
    before = [token for token in tokens[:at - 1] if token not in SPECIFIERS and not (token.isupper() and len(token) > 1)]
    return Function(
        name=tokens[at - 1], returns=written(before), scope=scope, public=public,
        parameters=[parameter(part) for part in split(inside, ",")] if inside and inside != ["void"] else [],
        static="static" in tokens[:at], const=tokens[end:end + 1] == ["const"], template=template)


def functions(text):
    """Every function declared in namespaces and classes of this text."""
    code = DIRECTIVE.sub(lambda directive: blank(directive[0]), blanked(text, keep_strings=True))
    found = list(TOKEN.finditer(code))
    lines = [code.count("\n", 0, token.start()) + 1 for token in found]
    yield from declarations([token[0] for token in found], lines, 0, len(found), "", True)


def declarations(tokens, lines, at, end, scope, public):
    """The functions declared from `at` to `end`; bodies are skipped."""
    while at < end:
        if tokens[at] in ("public", "protected", "private") and tokens[at + 1:at + 2] == [":"]:
            public = tokens[at] == "public"
            at += 2
            continue
        if tokens[at] == ";":
            at += 1
            continue
        start = at
        while at < end and tokens[at] not in (";", "{"):
            at = after(tokens, at) if tokens[at] in OPEN else at + 1
        head = tokens[start:at]
        if at == end:
            raise Unreadable(f"no end of what begins with {' '.join(head[:5])}")
        if tokens[at] == "{" and head[0] in ("namespace", "class", "struct"):
            close = after(tokens, at)
            name = itertools.takewhile(lambda token: token not in (":", "final"), head[1:])
            inner = "::".join(filter(None, [scope, "".join(token for token in name if not token.isupper())]))
            yield from declarations(tokens, lines, at + 1, close - 1, inner, head[0] != "class")
            at = close
            continue
        found = function(head, scope, public)
        if found:
            found.line = lines[start + head.index(found.name)]
            yield found
        while at < end and tokens[at] == "{":  # a body, or an initial value
            at = after(tokens, at)


# ---- The comparison --------------------------------------------------------------------------------------------------


class Faces:
    def __init__(self, root):
        self.root = root
        self.bad = []
        self.awaitable = next((name for name in AWAITABLE if (root / name).is_file()), AWAITABLE[0])
        engine = [verb for verb in self.read(ENGINE) if verb.scope == "culmen::engine"]
        extra = [verb for text in EXTRA_VERBS for verb in functions(text)]
        self.verbs = []
        for verb in engine + extra:
            result = re.fullmatch(r"Flow<Result<(.*)>>", verb.returns)
            if result and verb.name not in ENGINE_ONLY:
                parameters = verb.parameters[1:] if verb.types()[:1] == ["Session"] else verb.parameters
                where = f"{ENGINE}:{verb.line}" if verb in engine else "EXTRA_VERBS of check_faces.py"
                self.verbs.append((dataclasses.replace(verb, returns=result[1], parameters=parameters), where))
        if len(self.verbs) == len(extra):
            self.complain(ENGINE, 1, "no verb was found")

    def complain(self, file, line, text):
        self.bad.append(f"{file}:{line}: {text}")

    def read(self, file):
        try:
            return list(functions((self.root / file).read_text(encoding="utf-8")))
        except (OSError, Unreadable) as error:
            self.complain(file, 1, f"cannot be read: {error}")
            return []

    def members(self, file):
        """The public functions of the face's class, without constructors."""
        found = [member for member in self.read(file) if member.public and member.scope.split("::")[-1] == CLASS]
        if not found:
            self.complain(file, 1, f"class {CLASS} has no public function")
        return [member for member in found if member.name != CLASS]

    def check(self):
        members = self.members(self.awaitable)
        self.check_twins(members)
        self.check_face(self.awaitable, [member for member in members if not member.name.startswith("async_")],
                        "awaitable<{}>".format, takes_token=False)
        self.check_calls(self.awaitable, members)
        members = self.members(BLOCKING)
        self.check_face(BLOCKING, members, "{}".format, takes_token=True)
        self.check_calls(BLOCKING, members)

    def check_face(self, file, members, result, takes_token):
        members = [member for member in members if member.name not in NOT_VERBS]
        verbs = []  # those that no function of the face has the parameters of
        for verb, where in self.verbs:
            member = next((one for one in members if one.name == verb.name and compared(one, takes_token) == verb.types()), None)
            if member is None:
                verbs.append((verb, where))
                continue
            members.remove(member)
            for text in wrong(verb, member, result(verb.returns), takes_token):
                self.complain(file, member.line, f"{member}: {text}")
        for verb, where in verbs:
            member = next((one for one in members if one.name == verb.name), None)
            if member:
                members.remove(member)
                self.complain(file, member.line, f"{member}: its parameters differ from {where}: {verb}")
            else:
                self.complain(file, 1, f"{verb} is missing; it is in {where}")
        for member in members:
            self.complain(file, member.line, f"{member}: is not in {ENGINE}, nor in EXTRA_VERBS of check_faces.py")

    def check_twins(self, members):
        """Beside each awaitable function stands the same with a completion token."""
        twins = [member for member in members if member.name.startswith("async_")]
        for member in members:
            if not member.returns.startswith("awaitable<") or member in twins:
                continue
            own = [twin for twin in twins if twin.name == f"async_{member.name}" and twinned(twin, member) == member.types()]
            for twin in own[:1]:
                twins.remove(twin)
                for text in wrong_twin(twin, member):
                    self.complain(self.awaitable, twin.line, f"{twin}: {text}")
            if not own and member.template is None:
                wanted = ", ".join([*member.types(), "token"])
                self.complain(self.awaitable, member.line, f"{member}: there is no async_{member.name}({wanted})")
        for twin in twins:
            self.complain(self.awaitable, twin.line, f"{twin}: there is no awaitable function with these parameters")

    def check_calls(self, file, members):
        include = re.compile(rf'^[ \t]*#[ \t]*include[ \t]*["<]{re.escape(file.removeprefix("include/"))}[">]', re.MULTILINE)
        texts = [path.read_text(encoding="utf-8") for path in sources(self.root, [TESTS], [".cpp"])]
        tests = [blanked(text) for text in texts if include.search(blanked(text, keep_strings=True))]
        if not tests:
            self.complain(TESTS, 1, f"no test includes {file.removeprefix('include/')}")
            return
        for name, line, static in {member.name: (member.name, member.line, member.static) for member in members}.values():
            call = re.compile(rf"(?:{CLASS}\s*::|\.|->)\s*{name}\s*\(" if static else rf"(?:\.|->)\s*{name}\s*\(")
            if not any(call.search(text) for text in tests):
                self.complain(file, line, f"{name}: no test in {TESTS} calls it")


def compared(member, takes_token):
    """The types of its parameters, without the token that each function of this face should have."""
    types = member.types()
    return types[:-1] if takes_token and types[-1:] == ["CancelToken"] else types


def wrong(verb, member, returns, takes_token):
    if member.returns != returns:
        yield f"returns {member.returns}, not {returns}"
    for (type_, default), (_, own) in zip(verb.parameters, member.parameters):
        if own != default:
            yield f"the default of {type_} is {own or 'none'}, not {default or 'none'}"
    if not member.const:
        yield "is not const"
    if takes_token and member.parameters[-1:] != [("CancelToken", "CancelToken::never()")]:
        yield "does not end in CancelToken cancel = CancelToken::never()"


def twinned(twin, member):
    """The types of its parameters, without the token, and without the executor that a static twin has to be told."""
    types = twin.types()[:-1]
    return types[1:] if member.static and types[:1] == ["any_io_executor"] else types


def wrong_twin(twin, member):
    token, default = twin.parameters[-1]
    if twin.template is None or token.rstrip("&") not in twin.template:
        yield "its last parameter is not a completion token of any type"
    elif default is None or "deferred" not in default + written(twin.template):
        yield "its token is not boost::asio::deferred unless given"
    if twin.static != member.static:
        yield f"is {'' if twin.static else 'not '}static, unlike {member.name}"
    elif not twin.static and not twin.const:
        yield "is not const"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    faces = Faces(root)
    faces.check()
    print("\n".join(faces.bad or [f"both faces have the {len(faces.verbs)} verbs"]))
    return 1 if faces.bad else 0


if __name__ == "__main__":
    sys.exit(main())
