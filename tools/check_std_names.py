#!/usr/bin/env python3
"""check_std_names.py [ROOT]: finds functions of the tree that share their name with a function of the standard library.

An unqualified call with an argument of a std type also considers the functions of namespace std (ADL). Which one is called
then depends on the argument's exact type and on which standard headers are included, directly or not: a newer compiler or
library can change it. So no function at namespace scope (static, unnamed namespace or not) may have a name from
tools/std_names.toml. Exempt are functions whose parameters are all enumerations of the tree or fundamental types, since
ADL looks into std for neither, and what the file allows. Members and friends are not judged: a call finds a member before
ADL, and a friend only by an argument of its class.
"""
import pathlib
import re
import sys
import tomllib

from check_co_await import DIRECTIVE, FOLDERS, OPENING, CLOSING, Tokens
from source_text import blank, blanked, sources

NAMES = "tools/std_names.toml"
ENUM = re.compile(r"\benum\s+(?:class\s+|struct\s+)?(\w+)")
WORD = re.compile(r"[A-Za-z_]\w*")
QUALIFIERS = {"const", "volatile", "enum", "*", "&", "&&"}
FUNDAMENTAL = {"void", "bool", "char", "short", "int", "long", "signed", "unsigned", "float", "double", "size_t", "ptrdiff_t"} \
    | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# What stands before a ( that begins no parameters, though a name does.
NOT_A_TYPE = {"return", "new", "throw", "operator", "goto", "else"}


def is_namespace(tokens, brace):
    """Whether a { opens a namespace, or a linkage specification."""
    i = brace - 1
    if tokens.before(brace).startswith('"'):
        return True
    while i >= 0 and (WORD.fullmatch(tokens.text[i]) or tokens.text[i] == "::"):
        if tokens.text[i] == "namespace":
            return True
        i -= 1
    return False


def functions(tokens):
    """Each function that is declared or defined at namespace scope: where its name stands, and its parameters."""
    i = 0
    while i < len(tokens.text):
        token = tokens.text[i]
        if token == "(" and i >= 2:
            name, before = tokens.text[i - 1], tokens.text[i - 2]
            follows_type = WORD.fullmatch(before) or before in (">", "*", "&", "&&", "]")
            if WORD.fullmatch(name) and follows_type and before not in NOT_A_TYPE:
                yield i - 1, tokens.text[i + 1:tokens.pair.get(i, i)]
        if token in ("(", "[") or (token == "{" and not is_namespace(tokens, i)):
            i = tokens.pair.get(i, i)
        i += 1


def parameters(tokens):
    """A parameter list, one list of tokens for each parameter, without default arguments."""
    found, depth, default = [[]], 0, False
    for token in tokens:
        depth += (token in OPENING or token == "<") - (token in CLOSING or token == ">")
        if token == "," and depth == 0:
            found.append([])
            default = False
        elif token == "=" and depth == 0:
            default = True
        elif not default:
            found[-1].append(token)
    return found if found != [[]] else []


def is_harmless(parameter, enums):
    """Whether the type of a parameter is fundamental or one of these enumerations, or a pointer or reference to one."""
    words = [token for token in parameter if token not in QUALIFIERS]
    while len(words) > 2 and words[1] == "::":
        words = words[2:]
    return bool(words) and (words[0] in enums or words[0] in FUNDAMENTAL) and "<" not in words


class Checker:
    def __init__(self, root):
        data = tomllib.loads((root / NAMES).read_text(encoding="utf-8"))
        self.namespaces = {}
        for namespace, names in data["functions"].items():
            for name in names.split():
                self.namespaces.setdefault(name, namespace)
        self.allowed = data.get("allowed", {})
        self.used = set()
        self.count = 0
        texts = {path.relative_to(root): blanked(path.read_text(encoding="utf-8")) for path in sources(root, FOLDERS)}
        self.enums = {name for text in texts.values() for name in ENUM.findall(text)}
        self.texts = texts

    def complaints(self):
        """What is wrong, as "file:line: text"."""
        for relative, code in self.texts.items():
            tokens = Tokens(DIRECTIVE.sub(lambda directive: blank(directive[0]), code))
            for at, given in functions(tokens):
                self.count += 1
                name = tokens.text[at]
                if name not in self.namespaces or all(is_harmless(one, self.enums) for one in parameters(given)):
                    continue
                if f"{relative}:{name}" in self.allowed:
                    self.used.add(f"{relative}:{name}")
                    continue
                yield f"{relative}:{tokens.line[at]}: {name}: {self.namespaces[name]}::{name} may be called in its place; rename it"
        for entry, why in self.allowed.items():
            if not why.strip():
                yield f"{NAMES}: {entry} is allowed without a reason"
            if entry not in self.used:
                yield f"{NAMES}: {entry} is allowed, but there is no such function"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    checker = Checker(root)
    bad = list(checker.complaints())
    for complaint in bad:
        print(complaint)
    if checker.count == 0:
        print(f"{root}: no function found: nothing was checked")
    elif not bad:
        print(f"{checker.count} functions, none with a name that std uses for one of its own")
    return 1 if bad or checker.count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
