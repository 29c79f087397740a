#!/usr/bin/env python3
"""draw_rooms.py [ROOT] [--check]: writes docs/rooms.svg, the rooms of tools/layers.toml and which of them include which.

With --check it writes nothing, and fails if docs/rooms.svg does not show the tree as it is. Only names, paths and arrows
are shown, so an edit that adds no arrow leaves the picture as it is.

A room stands one layer above the highest room it includes; a public header counts as the room that owns it. Rooms that
use nothing but public headers, of any room, stand above the bar of the public headers. An arrow that passes a layer runs through a gap between the
boxes there; all such arrows to one room share that gap. Everything is computed with integers and fractions, so that the
picture is the same on every machine.
"""
import argparse
import collections
import fractions
import graphlib
import itertools
import pathlib
import sys
from xml.sax.saxutils import escape

from check_layers import FORMS, INCLUDE, PUBLIC_ROOT, Checker
from source_text import blanked, sources

PICTURE = "docs/rooms.svg"
BOX_WIDTH, BOX_HEIGHT, LANE_WIDTH = 136, 50, 8
SPACING = 20          # between two boxes or lanes of a layer
PORT_SPACING = 15     # between two arrows at one side of a box, where there is room
MARGIN = 28
BAR_HEIGHT = 40
BAR_LEAST = 540       # the width its text needs

STYLE = """
text { font-family: "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; text-anchor: middle; fill: #1e293b }
.name { font-size: 16px; font-weight: 600 }
.path { font-size: 11.5px; fill: #56657a }
.note { font-size: 12.5px; fill: #56657a; text-anchor: start }
.room { fill: #e8f0fa; stroke: #4a76a8; stroke-width: 1.4 }
.other { fill: #fdf1dc; stroke: #b98a3a; stroke-width: 1.4 }
.bar { fill: #e6f3ea; stroke: #5b9a6f; stroke-width: 1.4 }
.direct, .further { fill: none }
.direct { stroke: #2f3e52; stroke-width: 1.7 }
.further { stroke: #a3afbe; stroke-width: 1.1 }
#direct path { fill: #2f3e52 }
#further path { fill: #a3afbe }
"""


# ---- What the tree says ----------------------------------------------------------------------------------------------


def read_tree(root):
    """The rooms as {name: path}; the arrows between them; the rooms that may include every public header, and do.

    A public header stands for the room that owns it."""
    checker = Checker(root)
    rooms = {name: room["path"] for name, room in checker.rules.rooms.items()}
    arrows, users = set(), set()
    for path in sources(root, [*rooms.values(), "include"]):
        relative = path.relative_to(root)
        if relative.is_relative_to(PUBLIC_ROOT):
            room = next(iter(checker.rules.owners_of(str(relative.relative_to(PUBLIC_ROOT)))), None)
        else:
            room = checker.rules.room_of(relative)
        if not room:
            continue  # check_layers.py says so
        for include in INCLUDE.finditer(blanked(path.read_text(encoding="utf-8"), keep_strings=True)):
            form = FORMS.fullmatch(include["what"])
            header = form and (form["quoted"] or form["angled"])
            if header and header.startswith("culmen/"):
                owners = checker.rules.owners_of(header.removeprefix("culmen/"))
                if "*" in checker.rules.rooms[room].get("may_public", []):
                    users.add(room)
                else:
                    arrows |= {(room, owner) for owner in owners if owner != room}
            elif header and form["quoted"]:
                target = checker.find_private(relative, header)
                other = checker.rules.room_of(target) if target else None
                if other and other != room:
                    arrows.add((room, other))
    return rooms, arrows, users


def heights_and_reach(uses):
    """{room: its layer, from 0}, and {room: every room it includes, directly or by way of others}."""
    heights, reach = {}, {}
    for room in graphlib.TopologicalSorter(uses).static_order():
        heights[room] = 1 + max((heights[other] for other in uses[room]), default=-1)
        reach[room] = set(uses[room]).union(*(reach[other] for other in uses[room]))
    return heights, reach


# ---- Where things stand ----------------------------------------------------------------------------------------------

# A node is the name of a room, or (room, layer): the lane by which arrows to that room pass the layer.
# A link leads from a node to one in the layer below, and is direct if an arrow on it is not implied by others.


def links_of(uses, heights, reach):
    """{(upper node, lower node): whether direct}."""
    links = collections.defaultdict(bool)
    for room, others in uses.items():
        for other in others:
            direct = not any(other in reach[third] for third in others)
            chain = [room, *((other, layer) for layer in range(heights[room] - 1, heights[other], -1)), other]
            for link in itertools.pairwise(chain):
                links[link] |= direct
    return dict(links)


def layers_of(rooms, heights, links):
    layers = [[] for _ in range(1 + max(heights.values(), default=-1))]
    for room in rooms:
        layers[heights[room]].append(room)
    for node in sorted({node for link in links for node in link if isinstance(node, tuple)}):
        layers[node[1]].append(node)
    return layers


class Order:
    """Orders each layer so that few arrows cross; crossings of direct arrows count more."""

    def __init__(self, layers, links):
        self.layers = layers
        self.below = [[] for _ in layers]  # links from a layer to the one below
        for (upper, lower), direct in links.items():
            index = next(i for i, layer in enumerate(layers) if upper in layer)
            self.below[index].append((upper, lower, 3 if direct else 1))

    def crossings(self, index):
        """Of the links between this layer and the one below."""
        if not 0 < index < len(self.layers):
            return 0
        upper = {node: place for place, node in enumerate(self.layers[index])}
        lower = {node: place for place, node in enumerate(self.layers[index - 1])}
        ends = [(upper[a], lower[b], weight) for a, b, weight in self.below[index]]
        return sum(v * w for (a, b, v), (c, d, w) in itertools.combinations(ends, 2) if (a - c) * (b - d) < 0)

    def total(self):
        return sum(map(self.crossings, range(len(self.layers))))

    def sweep(self, indexes, neighbours):
        """Sorts layers by the mean place of the neighbours in the layer before."""
        for index in indexes:
            places = {node: place for layer in self.layers for place, node in enumerate(layer)}

            def mean(node, places=places):
                near = [places[other] for other in neighbours[node]]
                return fractions.Fraction(sum(near), len(near)) if near else fractions.Fraction(places[node])

            self.layers[index] = sorted(self.layers[index], key=mean)

    def improve(self):
        """Moves single nodes as long as that helps."""
        best, before = self.total(), None
        while best != before:
            before = best
            for index, layer in enumerate(self.layers):
                for node in list(layer):
                    rest = [other for other in self.layers[index] if other != node]
                    elsewhere = best - self.crossings(index) - self.crossings(index + 1)
                    kept = self.layers[index]
                    for place in range(len(rest) + 1):
                        self.layers[index] = rest[:place] + [node] + rest[place:]
                        cost = elsewhere + self.crossings(index) + self.crossings(index + 1)
                        if cost < best:
                            best, kept = cost, self.layers[index]
                    self.layers[index] = kept


def ordered(layers, links):
    above, below = collections.defaultdict(list), collections.defaultdict(list)
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    order = Order(layers, links)
    found = [(order.total(), layers)]
    for _ in range(12):
        order.sweep(range(1, len(layers)), below)
        order.sweep(range(len(layers) - 2, -1, -1), above)
        tried = Order(order.layers[:], links)
        tried.improve()
        found.append((tried.total(), tried.layers))
    return min(found, key=lambda candidate: candidate[0])[1]


def width(node):
    return LANE_WIDTH if isinstance(node, tuple) else BOX_WIDTH


def settle(layer, wishes):
    """Places nodes in this order, without overlap, as near to what they wish (place, weight) as possible."""
    offsets = [0]
    for left, right in itertools.pairwise(layer):
        offsets.append(offsets[-1] + distance(left, right))
    blocks = []  # of nodes that touch: [place of the first, less its offset; weight; count]
    for node, offset in zip(layer, offsets):
        place, weight = wishes[node]
        blocks.append([place - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            place, weight, count = blocks.pop()
            blocks[-1][0] = (blocks[-1][0] * blocks[-1][1] + place * weight) / (blocks[-1][1] + weight)
            blocks[-1][1] += weight
            blocks[-1][2] += count
    bases = [place for place, _, count in blocks for _ in range(count)]
    return {node: round(base) + offset for node, base, offset in zip(layer, bases, offsets)}


def placed(layers, links):
    """{node: x of its middle}."""
    near = collections.defaultdict(list)
    for (upper, lower), direct in links.items():
        # A lane should be straight before all else.
        weight = 8 if isinstance(upper, tuple) and isinstance(lower, tuple) else 2 if direct else 1
        near[upper].append((lower, weight))
        near[lower].append((upper, weight))
    places = {}
    for layer in layers:
        places |= settle(layer, {node: (fractions.Fraction(0), 1) for node in layer})
    for round_ in range(60):
        for layer in layers if round_ % 2 else reversed(layers):
            wishes = {}
            for node in layer:
                weight = sum(weight for _, weight in near[node])
                total = sum(places[other] * weight for other, weight in near[node])
                wishes[node] = (fractions.Fraction(total, weight), weight) if weight else (fractions.Fraction(places[node]), 1)
            places |= settle(layer, wishes)
    straighten(layers, links, places)
    return places


def distance(left, right):
    """The least there must be between the middles of neighbours in a layer."""
    return (width(left) + width(right)) // 2 + SPACING


def straighten(layers, links, places):
    """Removes bends of lanes where the neighbours leave room for it."""
    for upper, lower in sorted((link for link in links if all(isinstance(node, tuple) for node in link)), reverse=True,
                               key=lambda link: link[0][1]):
        layer = layers[lower[1]]
        place = layer.index(lower)
        wish = places[upper]
        if ((place == 0 or places[layer[place - 1]] + distance(layer[place - 1], lower) <= wish)
                and (lower == layer[-1] or wish + distance(lower, layer[place + 1]) <= places[layer[place + 1]])):
            places[lower] = wish


# ---- The picture -----------------------------------------------------------------------------------------------------


def ports(links, places):
    """{link: (x at its upper end, x at its lower end)}: arrows at one side of a box stand side by side."""
    ends = {}
    for this, other in ((0, 1), (1, 0)):
        at = collections.defaultdict(list)
        for link in links:
            at[link[this]].append(link)
        for node, side in at.items():
            side.sort(key=lambda link: places[link[other]])
            spacing = 0 if isinstance(node, tuple) else min(PORT_SPACING, (BOX_WIDTH - 24) // max(1, len(side) - 1))
            for index, link in enumerate(side):
                ends[link, this] = places[node] + (2 * index - len(side) + 1) * spacing // 2
    return {link: (ends[link, 0], ends[link, 1]) for link in links}


def curve(x1, y1, x2, y2):
    if x1 == x2:
        return f"M{x1} {y1}V{y2}"
    middle = (y1 + y2) // 2
    return f"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"


def line(kind, path, has_arrowhead):
    return f'<path class="{kind}" d="{path}"' + (f' marker-end="url(#{kind})"' if has_arrowhead else "") + "/>"


def arrowhead(kind, size):
    return (f'<marker id="{kind}" markerUnits="userSpaceOnUse" markerWidth="{size}" markerHeight="{size}" '
            f'refX="{size}" refY="{size // 2}" orient="auto"><path d="M0 0L{size} {size // 2}L0 {size}z"/></marker>')


def box(x, y, name, path):
    kind = "room" if path.startswith("src/") else "other"
    fitted = f' textLength="{BOX_WIDTH - 16}" lengthAdjust="spacingAndGlyphs"' if len(path) > 18 else ""
    return [
        f'<rect class="{kind}" x="{x - BOX_WIDTH // 2}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7"/>',
        f'<text class="name" x="{x}" y="{y + 22}">{escape(name)}</text>',
        f'<text class="path" x="{x}" y="{y + 39}"{fitted}>{escape(path)}/</text>',
    ]


def row(nodes, places, y, rooms):
    return [part for node in nodes if isinstance(node, str) for part in box(places[node], y, node, rooms[node])]


def draw_layers(layers, links, places, rooms, y):
    """Boxes, lines, and the y below the last box."""
    at = ports(links, places)
    boxes, lines = [], []
    for layer in reversed(layers):
        boxes += row(layer, places, y, rooms)
        below = {link: at[link] for link in at if link[0] in layer}
        gap = min(150, max([64, *(46 + abs(a - b) // 6 for a, b in below.values())]))
        for link, (a, b) in below.items():
            upper, lower = (isinstance(node, tuple) for node in link)
            path = curve(a, y + BOX_HEIGHT, b, y + BOX_HEIGHT + gap - (0 if lower else 2))
            if upper:
                path = f"M{a} {y}V" + path.removeprefix(f"M{a} ")
            lines.append(line("direct" if links[link] else "further", path, not lower))
        y += BOX_HEIGHT + gap
    return boxes, lines, y - gap if layers else y


def draw(rooms, arrows, users):
    busy = {room for arrow in arrows for room in arrow}
    above = [room for room in rooms if room in users and room not in busy]
    inside = [room for room in rooms if room not in above]
    uses = {room: [other for other in inside if (room, other) in arrows] for room in inside}
    heights, reach = heights_and_reach(uses)
    links = links_of(uses, heights, reach)
    layers = ordered(layers_of(inside, heights, links), links)
    places = placed(layers, links) | settle(above, {room: (fractions.Fraction(0), 1) for room in above})

    # Both parts are centred above each other.
    spans = {}
    for part in (above, [node for layer in layers for node in layer]):
        left = min((places[node] - width(node) // 2 for node in part), default=0)
        right = max((places[node] + width(node) // 2 for node in part), default=0)
        spans |= {node: (left, right) for node in part}
    inner = max([BAR_LEAST, *(right - left for left, right in spans.values())])
    places = {node: x + MARGIN + inner // 2 - sum(spans[node]) // 2 for node, x in places.items()}

    y = MARGIN
    boxes = row(above, places, y, rooms)
    lines = [line("direct", f"M{places[room]} {y + BOX_HEIGHT}v38", True) for room in above]
    y += BOX_HEIGHT + 40 if above else 0
    boxes += [
        f'<rect class="bar" x="{MARGIN}" y="{y}" width="{inner}" height="{BAR_HEIGHT}" rx="7"/>',
        f'<text x="{MARGIN + inner // 2}" y="{y + 26}"><tspan class="name">{PUBLIC_ROOT}/</tspan>'
        '<tspan class="path" dx="12">the public headers; rooms above include nothing else of the tree</tspan></text>',
    ]
    more_boxes, more_lines, y = draw_layers(layers, links, places, rooms, y + BAR_HEIGHT + 30)
    lines += sorted(more_lines, key=lambda text: "direct" in text)  # dark ones on top
    y += 32
    legend = [
        line("direct", f"M{MARGIN} {y}h34", True),
        f'<text class="note" x="{MARGIN + 44}" y="{y + 4}">includes</text>',
        line("further", f"M{MARGIN + 120} {y}h34", True),
        f'<text class="note" x="{MARGIN + 164}" y="{y + 4}">also includes; implied by the dark arrows</text>',
    ]
    full_width, full_height = inner + 2 * MARGIN, y + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{full_width}" height="{full_height}" '
        f'viewBox="0 0 {full_width} {full_height}" role="img">',
        "<!-- Written by tools/draw_rooms.py. -->",
        "<title>The rooms of the source tree, and which includes which</title>",
        f"<style>{STYLE}</style>",
        f"<defs>{arrowhead('direct', 10)}{arrowhead('further', 8)}</defs>",
        f'<rect width="{full_width}" height="{full_height}" rx="10" fill="#ffffff"/>',
        *lines,
        *boxes,
        *more_boxes,
        *legend,
        "</svg>",
        "",
    ])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parents[1])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    try:
        picture = draw(*read_tree(root))
    except graphlib.CycleError as error:
        sys.exit(f"rooms include each other in a circle: {' -> '.join(reversed(error.args[1]))}")
    target = root / PICTURE
    if not arguments.check:
        target.write_text(picture, encoding="utf-8")
    elif not target.is_file() or target.read_text(encoding="utf-8") != picture:
        sys.exit(f"{PICTURE} is out of date: run tools/draw_rooms.py")


if __name__ == "__main__":
    main()
