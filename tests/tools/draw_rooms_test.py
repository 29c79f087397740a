"""Tests of tools/draw_rooms.py."""
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "draw_rooms.py"
SVG = "{http://www.w3.org/2000/svg}"

# Each room and the rooms whose headers it includes.
SMALL = {"base": [], "crypto": ["base"], "jose": ["crypto", "base"], "storage": ["base"], "cli": [], "testca": ["jose", "crypto"]}
LARGE = {
    "base": [], "crypto": ["base"], "jose": ["base", "crypto"], "protocol": ["base", "crypto", "jose"], "flow": ["base"],
    "engine": ["flow", "base", "crypto", "jose", "protocol"], "dns": ["base", "flow"],
    "solvers": ["engine", "dns", "flow", "base", "crypto", "protocol"], "storage": ["base", "crypto", "flow"],
    "manager": ["base", "flow", "engine", "storage", "solvers", "crypto", "protocol"], "http": ["base", "flow"],
    "drivers": ["http", "flow", "base"], "listen": ["solvers", "crypto", "base"], "process": ["base", "solvers"],
    "tls": ["crypto", "manager", "base", "listen"], "faces": ["drivers", "http", "engine", "flow", "manager", "base"],
    "cli": [], "daemon": [], "testca": ["base", "crypto", "jose"],
}


def path_of(room):
    return room if room in ("cli", "daemon", "testca") else f"src/{room}"


def files_of(uses):
    rules = "".join(f'[rooms.{room}]\npath = "{path_of(room)}"\nmay = {others}\n' +
                    'may_public = ["*"]\n' * (room in ("cli", "daemon")) for room, others in uses.items())
    files = {"tools/layers.toml": rules, "include/culmen/error.hpp": "", "docs/note.md": ""}
    for room, others in uses.items():
        headers = [f"{other}/a.hpp" for other in others] + ["culmen/error.hpp"]
        files[f"{path_of(room)}/a.hpp"] = "".join(f'#include "{header}"\n' for header in headers)
    return files


class Tree:
    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for name, text in files.items():
            self.write(name, text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, *arguments, **environment):
        done = subprocess.run([sys.executable, TOOL, self.root, *arguments], capture_output=True, text=True, check=False,
                              env=dict(os.environ, **environment))
        return done.returncode, done.stdout + done.stderr

    def picture(self):
        return (self.root / "docs/rooms.svg").read_text(encoding="utf-8")


def drawn(uses, **environment):
    with Tree(files_of(uses)) as tree:
        done = tree.run(**environment)
        if done != (0, ""):
            raise AssertionError(done)
        return tree.picture()


class Picture:
    """What is seen: boxes as (left, top, right, bottom), lines as (class, has an arrowhead, points on the way)."""

    def __init__(self, text):
        self.svg = ElementTree.fromstring(text)
        names = [element.text for element in self.svg.findall(f"{SVG}text[@class='name']")]
        boxes = [element for element in self.svg.findall(f"{SVG}rect") if element.get("class") in ("room", "other")]
        self.boxes = {name: self.corners(element) for name, element in zip(names, boxes, strict=True)}
        self.bar = self.corners(self.svg.find(f"{SVG}rect[@class='bar']"))
        paths = self.svg.findall(f"{SVG}path")
        self.lines = [(path.get("class"), path.get("marker-end") is not None, points(path.get("d"))) for path in paths]

    @staticmethod
    def corners(element):
        left, top, width, height = (int(element.get(name)) for name in ("x", "y", "width", "height"))
        return left, top, left + width, top + height


def points(path):
    """Points along M, V, v, h and C."""
    found = []
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        n = [int(number) for number in re.findall(r"-?\d+", numbers)]
        x, y = found[-1] if found else (0, 0)
        if command == "M":
            found.append((n[0], n[1]))
        elif command == "C":
            for i in range(1, 41):
                t = i / 40
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3
                found.append((a * x + b * n[0] + c * n[2] + d * n[4], a * y + b * n[1] + c * n[3] + d * n[5]))
        else:
            end = {"V": (x, n[0]), "v": (x, y + n[0]), "h": (x + n[0], y)}[command]
            found += [(x + (end[0] - x) * i / 40, y + (end[1] - y) * i / 40) for i in range(1, 41)]
    return found


class Draw(unittest.TestCase):
    def test_height_is_by_includes(self):
        boxes = Picture(drawn(SMALL)).boxes
        self.assertEqual(boxes.keys(), SMALL.keys())
        tops = {name: box[1] for name, box in boxes.items()}
        self.assertGreater(tops["base"], tops["crypto"])
        self.assertEqual(tops["crypto"], tops["storage"])
        self.assertGreater(tops["crypto"], tops["jose"])
        self.assertGreater(tops["jose"], tops["testca"])

    def test_a_room_that_includes_only_public_headers_stands_above_them(self):
        picture = Picture(drawn(SMALL))
        self.assertLess(picture.boxes["cli"][3], picture.bar[1])
        self.assertTrue(all(box[1] > picture.bar[3] for name, box in picture.boxes.items() if name != "cli"))

    def arrowheads(self, uses):
        """How many arrows end at each room, by class, without those to the bar and in the legend."""
        picture = Picture(drawn(uses))
        found = {}
        for kind, ends, way in picture.lines:
            for name, (left, top, right, _) in picture.boxes.items():
                if ends and left < way[-1][0] < right and 0 <= top - way[-1][1] < 4:
                    found[kind, name] = found.get((kind, name), 0) + 1
        return found

    def test_arrows(self):
        self.assertEqual(self.arrowheads({"base": [], "crypto": ["base"]}), {("direct", "base"): 1})
        # jose uses base by way of crypto as well: that arrow is grey.
        self.assertEqual(self.arrowheads({"base": [], "crypto": ["base"], "jose": ["crypto", "base"]}),
                         {("direct", "base"): 1, ("direct", "crypto"): 1, ("further", "base"): 1})
        # The way to dns passes two layers, and is nobody else's.
        self.assertEqual(self.arrowheads({"base": [], "dns": [], "a": ["base"], "b": ["a", "dns"]}),
                         {("direct", "base"): 1, ("direct", "dns"): 1, ("direct", "a"): 1})
        # Two rooms use base by way of others: their arrows arrive as one.
        self.assertEqual(self.arrowheads({"base": [], "a": ["base"], "b": ["a", "base"], "c": ["a", "base"]}),
                         {("direct", "base"): 1, ("direct", "a"): 2, ("further", "base"): 1})

    def test_a_public_header_stands_for_its_owner(self):
        files = files_of({"base": [], "flow": [], "engine": []})
        files["tools/layers.toml"] = (files["tools/layers.toml"].replace('"src/base"', '"src/base"\nowns = ["error.hpp"]')
                                      .replace('"src/flow"', '"src/flow"\nowns = ["flow.hpp"]'))
        files["include/culmen/flow.hpp"] = '#include "culmen/error.hpp"\n'
        files["src/flow/a.hpp"] = '#include "culmen/flow.hpp"\n'
        files["src/engine/a.hpp"] = '#include "culmen/flow.hpp"\n'
        with Tree(files) as tree:
            tree.run()
            tops = {name: box[1] for name, box in Picture(tree.picture()).boxes.items()}
        self.assertGreater(tops["base"], tops["flow"])
        self.assertGreater(tops["flow"], tops["engine"])

    def test_comments_and_own_headers_are_no_arrows(self):
        files = files_of({"base": [], "crypto": ["base"]})
        files["src/base/b.cpp"] = '#include "a.hpp"\n#include "base/a.hpp"\n// #include "crypto/a.hpp"\n#include <crypto/a.hpp>\n'
        with Tree(files) as tree:
            self.assertEqual(tree.run(), (0, ""))
            self.assertEqual(tree.picture(), drawn({"base": [], "crypto": ["base"]}))

    def test_nothing_overlaps(self):
        for uses in (SMALL, LARGE):
            picture = Picture(drawn(uses))
            width, height = int(picture.svg.get("width")), int(picture.svg.get("height"))
            boxes = [*picture.boxes.values(), picture.bar]
            for left, top, right, bottom in boxes:
                self.assertTrue(0 < left and right < width and 0 < top and bottom < height)
            for one, other in itertools.combinations(boxes, 2):
                self.assertTrue(one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1])
            for _, _, way in picture.lines:
                for x, y in way:
                    inside = [box for box in boxes if box[0] - 4 < x < box[2] + 4 and box[1] < y < box[3]]
                    self.assertEqual(inside, [], f"a line crosses a box at {x}, {y}")
                    self.assertTrue(0 < x < width and 0 < y < height)

    def test_small_and_needs_nothing_else(self):
        text = drawn(LARGE)
        self.assertLess(len(text), 60_000)
        self.assertEqual(re.findall(r"https?://\S+?(?=\")", text), ["http://www.w3.org/2000/svg"])
        self.assertNotRegex(text, r"href|@import|<script|<image")

    def test_the_same_picture_every_time(self):
        self.assertEqual(drawn(LARGE, PYTHONHASHSEED="1"), drawn(LARGE, PYTHONHASHSEED="2"))

    def test_a_tree_without_arrows(self):
        self.assertEqual(Picture(drawn({"cli": []})).boxes.keys(), {"cli"})


class Check(unittest.TestCase):
    STALE = (1, "docs/rooms.svg is out of date: run tools/draw_rooms.py\n")

    def test_no_picture(self):
        with Tree(files_of(SMALL)) as tree:
            self.assertEqual(tree.run("--check"), self.STALE)
            self.assertFalse((tree.root / "docs/rooms.svg").exists())

    def test_what_makes_it_stale(self):
        with Tree(files_of(SMALL)) as tree:
            tree.run()
            self.assertEqual(tree.run("--check"), (0, ""))
            tree.write("src/jose/b.cpp", '// more\n#include "crypto/a.hpp"\nint f();\n')
            self.assertEqual(tree.run("--check"), (0, ""))
            tree.write("src/storage/b.cpp", '#include "crypto/a.hpp"\n')
            self.assertEqual(tree.run("--check"), self.STALE)
            tree.run()
            self.assertEqual(tree.run("--check"), (0, ""))
            tree.write("tools/layers.toml", files_of({**SMALL, "flow": []})["tools/layers.toml"])
            tree.write("src/flow/a.hpp", "")
            self.assertEqual(tree.run("--check"), self.STALE)

    def test_rooms_that_include_each_other(self):
        with Tree(files_of({"base": ["jose"], "crypto": ["base"], "jose": ["crypto"]})) as tree:
            code, out = tree.run()
            self.assertEqual(code, 1)
            self.assertIn("rooms include each other in a circle: ", out)
            self.assertIn("jose -> crypto", out)
            self.assertEqual(len(out.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
