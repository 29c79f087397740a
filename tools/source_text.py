"""C++ source as the checkers see it: comments and the insides of literals blanked, everything else where it was."""
import re

LITERAL = re.compile(
    r"""
      (?P<comment>//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z))
    | (?P<raw>\b(?:u8|[uUL])?R"(?P<mark>[^()\\\s]{0,16})\(.*?(?:\)(?P=mark)"|\Z))
    | (?P<string>"(?:\\.|[^"\\\n])*"?)
    | (?P<number>(?<![\w.])\.?\d(?:'?[\w.]|(?<=[eEpP])[+-])*)
    | (?P<char>'(?:\\.|[^'\\\n])*'?)
    """,
    re.DOTALL | re.VERBOSE,
)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def blanked(text, keep_strings=False):
    """The text with comments and the insides of literals turned into blanks. #include lines need keep_strings."""

    def replacement(match):
        found = match[0]
        if match["number"] or (match["string"] and keep_strings):
            return found
        if match["comment"] or len(found) < 2:
            return blank(found)
        quote = "'" if match["char"] else '"'
        return quote + blank(found[1:-1]) + quote

    return LITERAL.sub(replacement, text)


def sources(root, folders, suffixes=(".hpp", ".cpp")):
    """The C++ files below these folders of the tree, sorted."""
    for folder in folders:
        yield from sorted(path for path in (root / folder).rglob("*") if path.suffix in suffixes and path.is_file())
