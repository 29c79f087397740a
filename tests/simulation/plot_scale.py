#!/usr/bin/env python3
"""plot_scale.py PROGRAM SVG [N…]: what a manager costs with N certificates on each engine, as a plot; the rows of the
table in docs/simulation.md go to standard output."""
import math
import subprocess
import sys

WIDTH, HEIGHT, LEFT, TOP, PANEL_WIDTH, PANEL_HEIGHT, STEP = 1000, 350, 60, 50, 240, 210, 325
PANELS = [("CPU s from start to the first plan", 2), ("CPU s an hour of virtual time", 3), ("octets a certificate", 4)]
ENGINES = [("memory", "memory", "#0b6bcb"), ("postgres", "PostgreSQL", "#c2410c")]


def main():
    program, target, *numbers = sys.argv[1:]
    series = []
    for engine, name, _ in ENGINES:
        series.append([])
        for number in numbers or ["1000", "10000", "100000", "1000000"]:
            line = subprocess.run([program, engine, number], check=True, capture_output=True, text=True).stdout
            row = [float(part) for part in line.split(",")]
            print(f"| {name} | {row[0]:,.0f} | {row[1]:.3g} | {row[2]:.3g} | {row[3]:.3f} | {row[4]:,.0f} |", flush=True)
            series[-1].append(row)
    with open(target, "w", encoding="utf-8") as file:
        file.write(svg(series))


def svg(series):
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="13">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for i, (title, column) in enumerate(PANELS):
        parts += panel(LEFT + i * STEP, title, [[(row[0], row[column]) for row in rows] for rows in series])
    for i, (_, name, colour) in enumerate(ENGINES):
        x, y = LEFT + i * 120, HEIGHT - 18
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="3.5" fill="{colour}"/><text x="{x + 10}" y="{y}">{name}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def panel(left, title, lines):
    bottom = TOP + PANEL_HEIGHT
    top_value = max(y for points in lines for _, y in points) * 1.1 or 1
    yield f'<text x="{left}" y="{TOP - 18}" font-weight="bold">{title}</text>'
    for i in range(5):
        y = bottom - PANEL_HEIGHT * i / 4
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL_WIDTH}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{top_value * i / 4:.3g}</text>'
    least, most = (math.log10(f(x for x, _ in lines[0])) for f in (min, max))
    place = lambda x: left + PANEL_WIDTH * ((math.log10(x) - least) / (most - least or 1) * 0.9 + 0.05)
    for points, (_, _, colour) in zip(lines, ENGINES):
        places = [(place(x), bottom - PANEL_HEIGHT * y / top_value) for x, y in points]
        yield ('<polyline points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) +
               f'" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    for number, _ in lines[0]:
        yield f'<text x="{place(number):.1f}" y="{bottom + 20}" text-anchor="middle">{number:,.0f}</text>'
    yield f'<text x="{left + PANEL_WIDTH / 2}" y="{bottom + 42}" text-anchor="middle">certificates</text>'


if __name__ == "__main__":
    main()
