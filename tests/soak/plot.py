"""A plot of a soak as plain SVG, readable on light and on dark ground."""

from html import escape

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 960, 74, 16, 130, 40, 70
POINTS_MAX = 900
MIB = 1 << 20
PANELS = (
    ("answered calls / s", (("answered", "answered", 1),)),
    ("latency, ms", (("read p50", "read_p50", 1), ("read p99", "read_p99", 1),
                     ("write p50", "write_p50", 1), ("write p99", "write_p99", 1))),
    ("memory (RSS), MiB", (("daemon", "rss", MIB),)),
    ("descriptors, threads", (("descriptors", "fds", 1), ("threads", "threads", 1))),
    ("store, MiB", (("store", "store", MIB),)),
)
COLOURS = ("#2a7de1", "#d9531e", "#1f9e6d", "#a24bd1")
MARKS = {
    "daemon killed": "#d62728",
    "daemon stopped": "#e58a00",
    "server killed": "#b0518c",
    "halt": "#7f6bd6",
    "freeze": "#3aa6c9",
    "reload": "#6a9a2d",
    "connections": "#8a8a8a",
}
STYLE = """
  svg { background: #ffffff; font: 12px sans-serif }
  text { fill: #222222 } .grid { stroke: #dddddd } .frame { stroke: #888888; fill: none }
  .line { fill: none; stroke-width: 1.4 }
  .mark { stroke-width: 1; stroke-dasharray: 3 2; opacity: .8 }
  @media (prefers-color-scheme: dark) {
    svg { background: #16181c } text { fill: #e6e6e6 } .grid { stroke: #33373d }
  }
"""


def nice(value):
    """A round number that is not smaller."""
    if value <= 0:
        return 1
    power = 1
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value)


def runs_of(samples, field, unit):
    """[(second, value)] without gaps: a line ends where there is no value, or no daemon."""
    runs, run = [], []
    for sample in samples:
        value = sample[field]
        gone = value is None or (value == 0 and field in ("rss", "fds", "threads"))
        if gone:
            runs.append(run)
            run = []
        else:
            run.append((sample["at"], value / unit))
    return [each for each in (*runs, run) if each]


def panel(samples, title, series, top, seconds):
    lines = [(name, runs_of(samples, field, unit)) for name, field, unit in series]
    most = nice(max((v for _, runs in lines for run in runs for _, v in run), default=1))
    width = WIDTH - LEFT - RIGHT
    said = [f'<text x="{LEFT}" y="{top - 8}">{escape(title)}</text>']
    for part in range(5):
        y = top + PANEL - PANEL * part / 4
        said.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + width}" y1="{y}" y2="{y}"/>')
        label = f"{most * part / 4:g}"
        said.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>')
    for number, (name, runs) in enumerate(lines):
        colour = COLOURS[number]
        for run in runs:
            points = " ".join(
                f"{LEFT + width * at / seconds:.1f},{top + PANEL * (1 - value / most):.1f}"
                for at, value in run
            )
            said.append(f'<polyline class="line" stroke="{colour}" points="{points}"/>')
        x = WIDTH - RIGHT - 100 * (len(lines) - number)
        said.append(f'<text x="{x}" y="{top - 8}" style="fill:{colour}">— {escape(name)}</text>')
    said.append(f'<rect class="frame" x="{LEFT}" y="{top}" width="{width}" height="{PANEL}"/>')
    return said


def svg(samples, marks, seconds, title):
    thin = samples[:: max(1, len(samples) // POINTS_MAX)]
    height = TOP + len(PANELS) * (PANEL + GAP) + 20
    bottom = TOP + len(PANELS) * (PANEL + GAP) - GAP
    width = WIDTH - LEFT - RIGHT
    said = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for number, (kind, colour) in enumerate(MARKS.items()):
        x = LEFT + number * 124
        said.append(f'<text x="{x}" y="36" style="fill:{colour}">┆ {escape(kind)}</text>')
    for mark in marks:
        x = LEFT + width * min(1, mark["from"] / seconds)
        said.append(
            f'<line class="mark" stroke="{MARKS.get(mark["kind"], "#888888")}" x1="{x:.1f}" '
            f'x2="{x:.1f}" y1="{TOP}" y2="{bottom}"><title>{escape(mark["kind"])} '
            f'{escape(mark["what"])} at {mark["from"]:.1f} s</title></line>'
        )
    for number, (name, series) in enumerate(PANELS):
        said += panel(thin, name, series, TOP + number * (PANEL + GAP), seconds)
    for part in range(7):
        x, at = LEFT + width * part / 6, seconds * part / 6
        said.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{at:.0f}</text>')
    said.append(f'<text x="{LEFT + width / 2}" y="{bottom + 32}">time, s</text>')
    return "\n".join([*said, "</svg>"]) + "\n"
