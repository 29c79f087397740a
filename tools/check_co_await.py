#!/usr/bin/env python3
"""check_co_await.py [ROOT]: finds statements with co_await that g++ 12 and 15 miscompile without a word.

"Name it, then await it": in a statement that awaits there may be no braced temporary, no lambda that captures by value, no
?:, no structured binding, no as_tuple, and no macro around the co_await. Each of these made g++ destroy something twice or
not at all. Some harmless statements are reported as well; a comment `// co_await-ok: why`, on the statement or on the line
above it, lets one through.
"""
import pathlib
import re
import sys

from source_text import blanked, sources

FOLDERS = ("include", "src", "cli", "testca", "examples", "tests", "fuzz", "bench")
TOKEN = re.compile(r"[A-Za-z_]\w*|\.?\d[\w.']*|::|->|<<|>=|<=|==|!=|&&|\|\||\+\+|--|\.\.\.|\"[^\"]*\"|'[^']*'|\S")
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
EXCUSE = re.compile(r"//[ \t]*co_await-ok(?P<why>:[ \t]*\S[^\n]*)?")

OPENING = {"(", "[", "{"}
CLOSING = {")", "]", "}"}
CONTROL = {"if", "for", "while", "switch", "constexpr", "catch"}
STATEMENT_WORDS = {"if", "for", "while", "switch", "do", "try", "return", "co_return", "co_await", "co_yield", "throw", "case",
                   "auto", "const", "using", "static", "else", "break", "continue", "goto", "default"}
# What stands before the brace of a block.
BEFORE_BLOCK = {")", "else", "do", "try", ";", "{", "}", "mutable", "noexcept", "const", "override", "final", ":"}
# What follows the brace that ends an expression rather than a block.
AFTER_EXPRESSION = {",", ")", "]", ".", "->", ";", "?", ":", "(", "=", "==", "!=", "<<", "&&", "||", "...", "}", "/", "%", "|",
                    "<", ">", "<=", ">="}


class Tokens:
    """The tokens of a file, with the brackets paired."""

    def __init__(self, code):
        found = list(TOKEN.finditer(code))
        self.text = [token[0] for token in found]
        self.line = []
        line, at = 1, 0
        for token in found:
            line += code.count("\n", at, token.start())
            at = token.start()
            self.line.append(line)
        self.pair = self.paired()

    def paired(self):
        pair, open_ = {}, []
        for i, token in enumerate(self.text):
            if token in OPENING:
                open_.append(i)
            elif token in CLOSING:
                if open_:
                    pair[i] = open_.pop()
                    pair[pair[i]] = i
        return pair

    def before(self, i):
        return self.text[i - 1] if i > 0 else ";"

    def is_block(self, brace):
        """Whether a { begins a block, not a list of initializers."""
        end = self.pair.get(brace, len(self.text))
        if end == brace + 1:
            return self.before(brace) in BEFORE_BLOCK or self.after_type(brace)
        if self.text[brace + 1] in STATEMENT_WORDS - {"co_await"}:
            return True
        i = brace + 1
        while i < end:
            if self.text[i] == ";":
                return True
            i = self.pair.get(i, i) + 1 if self.text[i] in OPENING else i + 1
        return self.before(brace) in BEFORE_BLOCK or self.after_type(brace)

    def after_type(self, brace):
        """Whether what comes before is `-> Type` or `class Name …`: a body then, even an empty one."""
        i = brace - 1
        while i >= 0 and re.fullmatch(r"[A-Za-z_]\w*|::|<|>|,|\*|&|&&|:", self.text[i]):
            if self.text[i] in ("class", "struct", "union", "enum", "namespace"):
                return True
            i -= 1
        return i >= 0 and self.text[i] == "->" and self.before(i) in {")", "mutable", "noexcept", "const"}

    def statement(self, i):
        """First and last-but-one token of the full-expression around token i."""
        start = self.start(i)
        end, depth = start, 0
        while end < len(self.text):
            token = self.text[end]
            if token == ";" and depth == 0:
                break
            if token in OPENING:
                depth += 1
            elif token in CLOSING:
                depth -= 1
                if depth < 0:
                    break
            end += 1
        return start, end

    def start(self, i):
        while i > 0:
            token = self.text[i - 1]
            if token == ";" or token in ("else", "do"):
                return i
            if token == "{" and self.is_block(i - 1):
                return i
            if token == "(" and self.before(i - 1) in CONTROL:
                return i
            if token in CLOSING:
                opening = self.pair.get(i - 1)
                if opening is None:
                    return i
                if token == "}" and self.text[i] not in AFTER_EXPRESSION:
                    return i
                if token == ")" and self.before(opening) in CONTROL:
                    return i
                i = opening
                continue
            i -= 1
        return i


def by_value(captures):
    """Whether a list of captures holds anything of its own."""
    depth, start, parts = 0, 0, []
    for i, token in enumerate(captures):
        depth += (token in OPENING) - (token in CLOSING)
        if token == "," and depth == 0:
            parts.append(captures[start:i])
            start = i + 1
    parts.append(captures[start:])
    return any(part and part[0] != "&" and part != ["this"] for part in parts)


def is_lambda(tokens, i):
    """Whether [ introduces a lambda: what stands before it cannot be subscripted."""
    before = tokens.before(i)
    return not (before in (")", "]", ">", "auto", "&", "&&", "delete", "operator") or re.fullmatch(r"\w+|\"[^\"]*\"", before)) \
        or before in ("return", "co_return", "co_await", "co_yield", "throw", "case", "else")


def shapes(tokens, start, end, awaited):
    """What is wrong with one statement, as texts; `awaited` is where its co_await stands."""
    i = start
    while i < end:
        token = tokens.text[i]
        close = tokens.pair.get(i, i)
        if token == "?":
            yield "?: in a statement that awaits"
        elif token == "as_tuple":
            yield "as_tuple in a statement that awaits"
        elif token == "[" and tokens.text[i + 1] == "[":
            i = close  # an attribute
        elif token == "[" and is_lambda(tokens, i):
            if by_value(tokens.text[i + 1:close]):
                yield "a lambda that captures by value in a statement that awaits"
            i = close
        elif token == "[" and is_binding(tokens, i, start):
            yield "a structured binding straight from co_await"
        elif token == "{":
            if tokens.is_block(i):
                i = close  # a lambda's body: statements of its own
            else:
                yield "a braced temporary in a statement that awaits"
        elif token == "(" and i < awaited < close and re.fullmatch(r"[A-Z][A-Z0-9_]{2,}", tokens.before(i)):
            yield f"co_await in the macro {tokens.before(i)}"
        i += 1


def is_binding(tokens, i, start):
    before = [token for token in tokens.text[max(start, i - 2):i] if token not in ("&", "&&")]
    return bool(before) and before[-1] == "auto"


def complaints(text):
    """What is wrong with a file, as (line, text)."""
    code = blanked(text)
    excuses = {}
    for excuse in EXCUSE.finditer(text):
        line = text.count("\n", 0, excuse.start()) + 1
        excuses[line] = False
        if not excuse["why"]:
            yield line, "co_await-ok without a reason"
    for directive in DIRECTIVE.finditer(code):
        if re.search(r"\bco_await\b", directive[0]):
            yield code.count("\n", 0, directive.start()) + 1, "co_await in a macro, where nothing can be judged"
    tokens = Tokens(DIRECTIVE.sub(lambda directive: re.sub(r"[^\n]", " ", directive[0]), code))
    seen = set()
    for i, token in enumerate(tokens.text):
        if token != "co_await":
            continue
        start, end = tokens.statement(i)
        lines = range(tokens.line[start] - 1, tokens.line[min(end, len(tokens.line) - 1)] + 1)
        for shape in shapes(tokens, start, end, i):
            excused = [line for line in lines if line in excuses]
            for line in excused:
                excuses[line] = True
            if not excused and (start, shape) not in seen:
                seen.add((start, shape))
                yield tokens.line[i], f"{shape}: name it first, then await it"
    for line, used in excuses.items():
        if not used:
            yield line, "co_await-ok that excuses nothing"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    bad = count = awaits = 0
    for path in sources(root, FOLDERS):
        text = path.read_text(encoding="utf-8")
        count += 1
        awaits += blanked(text).count("co_await")
        for line, complaint in sorted(complaints(text)):
            print(f"{path.relative_to(root)}:{line}: {complaint}")
            bad += 1
    if count == 0:
        print(f"{root}: no source file found: nothing was checked")
    elif not bad:
        print(f"{awaits} co_await in {count} files, none in a shape to fear")
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
