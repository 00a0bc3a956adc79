"""Draws the rooms of this project, and the ways of a tag and of a request through them: `docs/img/rooms.svg`.

    python tests/support/draw_rooms.py

Rooms, what they hold and what they import are read from the code. The ways are told here; each of their stations is a
file that must exist.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2])]

from import_graph import FLOORS, floor_of, import_graph

from resources.settings import REPOSITORY

DRAWING = REPOSITORY / "docs/img/rooms.svg"
FRONT = "mlops_assets/__init__.py"  # hands on to the assembly when it is called
TAG, REQUEST = "#c2410c", "#1d4ed8"
THE_WAY_OF_A_TAG = (
    ("sensors/data_tags.py", "sees the tag, and asks for a run"),
    ("jobs/pipelines.py", "one run, from the data to the endpoint"),
    ("mlops_assets/assets/datasets.py", "the tag's data become an asset"),
    ("resources/registry/__init__.py", "resolves it to files, and verifies each"),
    ("mlops_assets/gates/data.py", "schema, duplicates, leakage"),
    ("resources/compute/__init__.py", "submits the training, waits for its result"),
    ("workloads/sdk/programs/training/run.py", "trains, in a job of Ray"),
    ("resources/tracking/__init__.py", "keeps the run, registers the version"),
    ("mlops_assets/gates/model.py", "judges it beside the champion"),
    ("mlops_assets/release/mechanism.py", "decides, and plans the rollout"),
    ("resources/ledger/__init__.py", "report, decision and release, in one transaction"),
    ("resources/serving/__init__.py", "writes the plan, waits for the replicas"),
    ("workloads/sdk/serving/replica.py", "loads, checks, swaps, acknowledges"),
)
THE_WAY_OF_A_REQUEST = (
    ("workloads/sdk/serving/http/service.py", "reads it, and validates it"),
    ("workloads/sdk/serving/versions/cache.py", "the live one, or one asked for"),
    ("workloads/wine/predict.py", "the workload's answer"),
    ("workloads/sdk/serving/log/writer.py", "logged under the answer's id"),
    ("resources/serving/prediction_log.py", "where that id is looked up"),
    ("mlops_assets/lineage/trace.py", "leads from the id back to the tag"),
)
ORDER = (
    *("assets", "gates", "release", "lineage", "scaffold"),
    *("registry", "compute", "tracking", "ledger", "serving", "embedded", "dagster"),
    *("<name>", "programs", "contract", "kits", "serving/", "serving/versions", "serving/http", "serving/log"),
)
WIDTH, LEFT, RIGHT, TOP = 1300, 176, 18, 20
SIZE, LINE, LETTER = 12, 15, 6.9
GAP, LANE, COLUMN = 9, 9, 26


@dataclass
class Room:
    """A box: its folder, the names of what lies in it, and the stations that the ways have there."""

    name: str
    floor: int
    inside: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    stations: list[tuple[str, int]] = field(default_factory=list)
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def column(self) -> float:
        return COLUMN * len(self.stations) + (6 if self.stations else 0)

    def lines(self) -> list[str]:
        return wrapped(", ".join(sorted(self.inside)), self.width - self.column - 14)

    def at(self, station: tuple[str, int], height: float) -> tuple[float, float]:
        return self.x + self.width - self.column + COLUMN * (self.stations.index(station) + 0.5), self.y + height / 2


def room_of(path: str) -> tuple[str, str]:
    """Folder of the box in which a file stands, and the file's or folder's name inside of it."""
    parts = path.split("/")
    if path.startswith("workloads/") and parts[1] != "sdk":
        return "workloads/<name>", parts[1] if len(parts) > 2 else ""
    depth = 2 if parts[0] != "workloads" else 4 if parts[2] == "serving" and len(parts) > 4 else 3
    if len(parts) <= depth:
        where = {
            "mlops_assets": "",
            "workloads": "workloads/sdk/serving" if parts[2:3] == ["serving"] else "workloads/sdk",
        }
        return where.get(parts[0]) or parts[0], Path(parts[-1]).stem
    rest = parts[depth:]
    return "/".join(parts[:depth]), rest[0] + "/" if len(rest) > 1 else Path(rest[0]).stem


def rooms() -> dict[str, Room]:
    graph = import_graph()
    found: dict[str, Room] = {}
    for path, others in graph.items():
        name, inside = room_of(path)
        floor = floor_of(path)
        if floor == FLOORS.index("faces") and name == "":
            name = "mlops_assets"
        if not name or (name == "mlops_assets" and inside == "__init__"):
            continue
        room = found.setdefault(name, Room(name, floor))
        if inside not in ("__init__", "") and inside not in room.inside:
            room.inside.append(inside)
        room.uses |= {room_of(other)[0] for other in others} - {name, ""}
    for colour, way in ((TAG, THE_WAY_OF_A_TAG), (REQUEST, THE_WAY_OF_A_REQUEST)):
        for number, (path, _) in enumerate(way, 1):
            if path not in graph:
                raise LookupError(f"{path} is a station, and no file of this project")
            found[room_of(path)[0]].stations.append((colour, number))
    return found


def wrapped(text: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and (len(lines[-1]) + 1 + len(word)) * LETTER > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def rank(room: Room) -> tuple[int, str]:
    return ORDER.index(title(room)) if title(room) in ORDER else len(ORDER), room.name


def set_out(found: dict[str, Room]) -> dict[int, float]:
    """Gives each room its place; the heights of the floors. Wider is what holds more."""
    heights: dict[int, float] = {}
    for floor in range(len(FLOORS)):
        here = sorted((room for room in found.values() if room.floor == floor), key=rank)
        space = WIDTH - LEFT - RIGHT - GAP * (len(here) - 1)
        least = {room.name: max(74, len(title(room)) * 8.4 + 14) for room in here}
        for room in here:
            least[room.name] = max(
                least[room.name], max((len(one) + 1) * LETTER for one in room.inside or [""]) + 14 + room.column
            )
        more = {room.name: len(", ".join(room.inside)) ** 0.9 for room in here}
        left_over = space - sum(least.values())
        x = float(LEFT)
        for room in here:
            room.width = least[room.name] + left_over * more[room.name] / sum(more.values())
            room.x = x
            x += room.width + GAP
        heights[floor] = max(24 + LINE * len(room.lines()) + 6 for room in here)
        heights[floor] = max(heights[floor], 58)
    return heights


def title(room: Room) -> str:
    """The folder within its floor; those of the SDK are framed together, so that it need not be named."""
    shorter = room.name.removeprefix("mlops_assets/").removeprefix("resources/").removeprefix("workloads/")
    return shorter.removeprefix("sdk/") + ("/" if room.name == "workloads/sdk/serving" else "")


def drawing() -> str:
    """The text of the SVG."""
    found = rooms()
    heights = set_out(found)
    by_station = {station: room for room in found.values() for station in room.stations}
    ways = [
        [(colour, number) for number in range(1, len(way) + 1)]
        for colour, way in ((TAG, THE_WAY_OF_A_TAG), (REQUEST, THE_WAY_OF_A_REQUEST))
    ]
    lanes: Counter[int] = Counter()
    legs = []
    for way in ways:
        for one, other in pairwise(way):
            gap = gap_between(by_station[one].floor, by_station[other].floor)
            legs.append((one, other, gap, lanes[gap]))
            lanes[gap] += 1
    y, ends = float(TOP), {}
    for floor in reversed(range(len(FLOORS))):
        for room in found.values():
            if room.floor == floor:
                room.y = y
        y += heights[floor]
        ends[floor] = y
        y += 16 + LANE * lanes[floor]
    parts = [box(room, heights[room.floor]) for room in sorted(found.values(), key=lambda room: (-room.floor, room.x))]
    parts += [frame([room for room in found.values() if room.name.startswith("workloads/sdk")], heights[0])]
    parts += arrows(heights, ends)
    parts += [
        f'<text x="14" y="{ends[floor] - heights[floor] + 20:.0f}" class="floor">{name}</text>'
        for floor, name in enumerate(FLOORS)
    ]
    for one, other, gap, lane in legs:
        (x1, y1), (x2, y2) = (by_station[end].at(end, heights[by_station[end].floor]) for end in (one, other))
        level = ends[gap] + 10 + LANE * lane
        parts.append(leg(x1 + 4, y1, x2 - 4, y2, level, one[0]))
    for station, room in by_station.items():
        x, middle = room.at(station, heights[room.floor])
        parts.append(
            f'<circle cx="{x:.0f}" cy="{middle:.0f}" r="10.5" fill="{station[0]}"/>'
            f'<text x="{x:.0f}" y="{middle + 4:.0f}" class="number">{station[1]}</text>'
        )
    y += 12
    parts += legend(LEFT, y, "The way of a tag", TAG, THE_WAY_OF_A_TAG)
    parts += legend(LEFT + 560, y, "The way of a request", REQUEST, THE_WAY_OF_A_REQUEST)
    note = y + 20 * (len(THE_WAY_OF_A_REQUEST) + 2)
    parts.append(f'<text x="{LEFT + 560}" y="{note:.0f}" class="inside">Grey arrows: which floor imports which.</text>')
    height = y + 20 * (len(THE_WAY_OF_A_TAG) + 1) + 6
    return "\n".join([HEAD.format(width=WIDTH, height=round(height)), *parts, "</svg>", ""])


def gap_between(one: int, other: int) -> int:
    """The gap (named by the floor above it) that leads from a floor to the next, or back to the same."""
    if abs(one - other) > 1:
        raise ValueError("two stations that follow each other are more than a floor apart")
    return one if one == other else max(one, other)


def leg(x1: float, y1: float, x2: float, y2: float, level: float, colour: str) -> str:
    return (
        f'<path d="M{x1:.0f} {y1:.0f}V{level:.0f}H{x2:.0f}V{y2:.0f}" fill="none" stroke="{colour}" stroke-width="2.5" '
        f'stroke-linejoin="round" opacity="0.75"/>'
    )


def box(room: Room, height: float) -> str:
    text = [f'<text x="{room.x + 7:.0f}" y="{room.y + 17:.0f}" class="room">{escape(title(room))}</text>']
    text += [
        f'<text x="{room.x + 7:.0f}" y="{room.y + 34 + LINE * at:.0f}" class="inside">{escape(line)}</text>'
        for at, line in enumerate(room.lines())
    ]
    return (
        f'<rect x="{room.x:.0f}" y="{room.y:.0f}" width="{room.width:.0f}" height="{height:.0f}" rx="5" '
        f'class="floor{room.floor}"/>' + "".join(text)
    )


def frame(inside: list[Room], height: float) -> str:
    left, right = min(room.x for room in inside), max(room.x + room.width for room in inside)
    return (
        f'<rect x="{left - 4:.0f}" y="{inside[0].y - 5:.0f}" width="{right - left + 8:.0f}" '
        f'height="{height + 10:.0f}" rx="7" fill="none" stroke-dasharray="5 4"/>'
    )


def arrows(heights: dict[int, float], ends: dict[int, float]) -> list[str]:
    """From each floor to the lower ones that it imports."""
    graph = import_graph()
    pairs = {(floor_of(path), floor_of(other)) for path, others in graph.items() for other in others if path != FRONT}
    drawn = []
    for upper, lower in sorted(pairs):
        if upper > lower:
            x = 146 - 29 * (len(FLOORS) - 1 - upper)
            start, stop = ends[upper] - heights[upper] / 2 + 10, ends[lower] - heights[lower] / 2 + 5
            drawn.append(f'<path d="M{x} {start:.0f}V{stop:.0f}" class="arrow" marker-end="url(#head)"/>')
    return drawn


def legend(x: float, y: float, heading: str, colour: str, way: tuple[tuple[str, str], ...]) -> list[str]:
    drawn = [f'<text x="{x}" y="{y:.0f}" class="room" fill="{colour}">{heading}</text>']
    for number, (path, text) in enumerate(way, 1):
        line = y + 20 * number
        name = path.removesuffix("/__init__.py").replace("workloads/wine", "workloads/<name>")
        drawn.append(
            f'<circle cx="{x + 9}" cy="{line - 4:.0f}" r="8.5" fill="{colour}"/>'
            f'<text x="{x + 9}" y="{line:.0f}" class="number">{number}</text>'
            f'<text x="{x + 25}" y="{line:.0f}" class="inside">'
            f'<tspan class="file">{escape(name)}</tspan> {escape(text)}</text>'
        )
    return drawn


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<style>
text {{ font-family: "DejaVu Sans", Verdana, sans-serif; fill: #1f2937 }}
.room {{ font-size: 13px; font-weight: bold }}
.floor {{ font-size: 14px; font-weight: bold; fill: #475569; stroke: #fff; stroke-width: 6px; paint-order: stroke }}
.inside, .file {{ font-size: 12px; fill: #475569 }}
.file {{ font-weight: bold }}
.number {{ font-size: 11px; font-weight: bold; fill: #fff; text-anchor: middle }}
.arrow {{ stroke: #94a3b8; stroke-width: 1.6; fill: none }}
rect {{ stroke: #94a3b8 }}
.floor0 {{ fill: #ecfdf5 }} .floor1 {{ fill: #f0f9ff }} .floor2 {{ fill: #fefce8 }}
.floor3 {{ fill: #fdf4ff }} .floor4 {{ fill: #fff7ed }} .floor5 {{ fill: #f8fafc }}
</style>
<defs><marker id="head" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">
<path d="M0 0L6 3L0 6z" fill="#94a3b8"/></marker></defs>
<rect width="{width}" height="{height}" fill="#fff" stroke="none"/>"""


if __name__ == "__main__":
    DRAWING.write_text(drawing())
