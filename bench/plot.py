"""A plain SVG: certificates a second, and CPU a certificate, against how many are in flight."""
import math

WIDTH, HEIGHT = 860, 400
LEFT, TOP, PANEL_WIDTH, PANEL_HEIGHT, PANEL_STEP = 60, 50, 340, 270, 420
COLOURS = {"culmen": "#0b6bcb", "acmez": "#d1730a"}
DASHES = {"pebble": "none", "test-ca": "6 4"}
NAMES = {"pebble": "Pebble", "test-ca": "culmen's test CA"}


def svg(lines):
    """`lines`: {(CA, client): [(in flight, certificates a second, CPU ms a certificate), …]}"""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="13">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    parts += panel(LEFT, "Certificates a second", {key: [(x, rate) for x, rate, _ in points] for key, points in lines.items()})
    parts += panel(LEFT + PANEL_STEP, "The client's CPU ms a certificate",
                   {key: [(x, cpu) for x, _, cpu in points] for key, points in lines.items()})
    parts += legend(lines)
    return "\n".join(parts) + "\n</svg>\n"


def panel(left, title, lines):
    bottom = TOP + PANEL_HEIGHT
    most = max(y for points in lines.values() for _, y in points)
    step = nice_step(most)
    top_value = step * math.ceil(most / step)
    columns = sorted({x for points in lines.values() for x, _ in points})

    def place(x, y):
        return left + PANEL_WIDTH * (columns.index(x) + 0.5) / len(columns), bottom - PANEL_HEIGHT * y / top_value

    yield f'<text x="{left}" y="{TOP - 18}" font-weight="bold">{title}</text>'
    for i in range(round(top_value / step) + 1):
        y = place(columns[0], i * step)[1]
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL_WIDTH}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{i * step:g}</text>'
    for x in columns:
        yield f'<text x="{place(x, 0)[0]:.1f}" y="{bottom + 20}" text-anchor="middle">{x}</text>'
    yield f'<text x="{left + PANEL_WIDTH / 2}" y="{bottom + 40}" text-anchor="middle">in flight</text>'
    for (ca, client), points in lines.items():
        places = [place(x, y) for x, y in sorted(points)]
        colour = COLOURS.get(client, "#666")
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{DASHES[ca]}"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'


def nice_step(most):
    """1, 2 or 5 times a power of ten, four to eight of which make `most`."""
    magnitude = 10 ** math.floor(math.log10(most / 4))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if most / (factor * magnitude) <= 8)


def legend(lines):
    y = HEIGHT - 14
    for i, (ca, client) in enumerate(lines):
        x = LEFT + i * 190
        yield (f'<line x1="{x}" y1="{y - 4}" x2="{x + 28}" y2="{y - 4}" stroke="{COLOURS.get(client, "#666")}" stroke-width="2" '
               f'stroke-dasharray="{DASHES[ca]}"/>')
        yield f'<text x="{x + 34}" y="{y}">{client}, {NAMES[ca]}</text>'
