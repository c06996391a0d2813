#!/usr/bin/env python3
"""Writes the example layouts of this folder, and a stadium of 50,000 seats wherever it is wanted.

    python3 generate.py                       writes the files of this folder
    python3 generate.py --check               exit code 1 when one of them is not what would be written
    python3 generate.py --stadium FILE        writes the stadium

Nothing in it is by chance: it writes the same bytes each time. `plan.pretix.json` is a seating plan as pretix's editor
writes one; the others are in Butaca's own form. Distances are in tenths of a seat, more or less.
"""

import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).parent
PITCH = 10


def rounded(value):
    value = round(value, 1)
    return int(value) if value == int(value) else value


def letter(number):
    """A to Z, then AA, AB and so on."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


class Hall:
    """A layout that grows seat by seat."""

    def __init__(self, name, categories):
        self.name, self.seats, self.rows, self.shapes = name, [], [], []
        self.categories = [{"id": id, "name": name, "color": color} for id, name, color in categories]

    def row(self, section, row, category, places, gaps=(), wheelchairs=()):
        """A row of seats at these places. The seat before a wheelchair's is its companion's."""
        ids = [f"{section}-{row}-{number}" for number in range(1, len(places) + 1)]
        for at, (x, y) in enumerate(places):
            seat = {"id": ids[at], "section": section, "row": row, "number": at + 1, "category": category,
                    "x": rounded(x), "y": rounded(y)}
            if at in wheelchairs:
                seat["accessible"] = True
            if at + 1 in wheelchairs:
                seat["companion_of"] = ids[at + 1]
            if at in gaps:
                seat["gap_after"] = True
            self.seats.append(seat)
        self.rows.append((section, row))

    def shape(self, kind, points, label):
        points = [{"x": rounded(x), "y": rounded(y)} for x, y in points]
        self.shapes.append({"type": kind, "points": points, "label": label})

    def written(self, focal, rows=()):
        """The text of the file: a seat a line. The rows of `rows` come first, then those near the focal point."""
        points = self.seats + [point for shape in self.shapes for point in shape["points"]]
        left, top = min(point["x"] for point in points) - PITCH, min(point["y"] for point in points) - PITCH
        for point in points:
            point["x"], point["y"] = rounded(point["x"] - left), rounded(point["y"] - top)
        width, height = max(point["x"] for point in points) + PITCH, max(point["y"] for point in points) + PITCH
        head = {"name": self.name, "size": {"width": rounded(width), "height": rounded(height)},
                "focal": {"x": rounded(focal[0] - left), "y": rounded(focal[1] - top)}, "shapes": self.shapes}
        if rows:
            head["rows"] = rows
        head["categories"] = self.categories
        one = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        fields = [f"{one(key)}:{one(value)}" for key, value in head.items()]
        return "{" + ",\n".join(fields) + ',\n"seats":[\n' + ",\n".join(map(one, self.seats)) + "\n]}\n"


def straight(count, y, aisles=(), centre=0):
    """Places of a straight row, with room for an aisle behind these seats."""
    xs, x = [], 0
    for at in range(count):
        xs.append(x)
        x += PITCH * (3 if at in aisles else 1)
    return [(centre + x - xs[-1] / 2, y) for x in xs]


def arc(count, radius, middle=0, aisles=()):
    """Places of a row that is bent around 0, its middle in the direction of this angle; 0 is away from the stage."""
    angles = [x / radius for x, _ in straight(count, 0, aisles)]
    return [(radius * math.sin(angle + middle), radius * math.cos(angle + middle)) for angle in angles]


def cinema():
    """180 seats in 12 rows; the best rows are in the middle, places for wheelchairs in the last one."""
    hall = Hall("Cinema", [("standard", "Standard", "#4477aa"), ("premium", "Premium", "#aa3377")])
    for number in range(12):
        places = straight(15, number * 12, aisles=(3, 10))
        premium = number in (6, 7, 8)
        hall.row("Screen 1", letter(number), "premium" if premium else "standard", places, gaps=(3, 10),
                 wheelchairs=(1, 13) if number == 11 else ())
    hall.shape("line", [(-70, -30), (70, -30)], "Screen")
    best = [letter(number) for number in (7, 8, 6, 9, 5, 10, 4, 11, 3, 2, 1, 0)]
    return hall.written((0, -30), [("Screen 1", row) for row in best])


def theatre():
    """1,200 seats: stalls of 720, a circle of 400, and 20 boxes of 4."""
    categories = [("stalls", "Stalls", "#4477aa"), ("rear", "Rear stalls", "#66ccee"), ("circle", "Circle", "#228833"),
                  ("box", "Box", "#aa3377")]
    hall = Hall("Theatre", categories)
    for number in range(24):
        wheelchairs = (1, 8, 21, 28) if number == 23 else ()
        places = arc(30, 200 + 12 * number, aisles=(9, 19))
        hall.row("Stalls", letter(number), "stalls" if number < 16 else "rear", places, (9, 19), wheelchairs)
    for number in range(10):
        places = arc(40, 540 + 12 * number, aisles=(9, 19, 29))
        hall.row("Circle", letter(number), "circle", places, (9, 19, 29))
    for number in range(20):
        side, at = (-1, 1)[number % 2], number // 2
        corner = (side * (230 + 6 * at), 80 + 32 * at)
        places = [(corner[0] + side * PITCH * (seat // 2), corner[1] + PITCH * (seat % 2)) for seat in range(4)]
        hall.row(f"Box {number + 1}", "1", "box", places)
    hall.shape("polygon", [(-120, 100), (120, 100), (150, 160), (-150, 160)], "Stage")
    return hall.written((0, 160))


def bowl(hall, tier, category, sections, rows, seats, radius, wheelchair_row=None):
    """A ring of blocks around the middle."""
    for number in range(sections):
        middle = 2 * math.pi * number / sections
        for row in range(rows):
            out = radius + 10 * row
            step = 2 * math.pi / sections * 0.92 / seats
            angles = [middle + (at - (seats - 1) / 2) * step for at in range(seats)]
            places = [(1.3 * out * math.sin(angle), out * math.cos(angle)) for angle in angles]
            wheelchairs = range(1, seats, 5) if row == wheelchair_row and number % 4 == 0 else ()
            hall.row(str(tier + number + 1), letter(row), category, places, wheelchairs=wheelchairs)


def arena():
    """18,000 seats: 2,000 on the floor, two rings of 8,000."""
    categories = [("floor", "Floor", "#aa3377"), ("lower", "Lower ring", "#4477aa"), ("upper", "Upper ring", "#228833")]
    hall = Hall("Arena", categories)
    for block in range(4):
        for row in range(20):
            places = straight(25, -60 + 12 * row + 260 * (block // 2), centre=(-1, 1)[block % 2] * 145)
            hall.row(f"Floor {letter(block)}", letter(row), "floor", places)
    bowl(hall, 100, "lower", 20, 20, 20, 640, wheelchair_row=19)
    bowl(hall, 200, "upper", 20, 20, 20, 900)
    hall.shape("polygon", [(-200, -260), (200, -260), (200, -120), (-200, -120)], "Stage")
    return hall.written((0, -120))


def stadium():
    """50,000 seats in three rings of 40 blocks."""
    categories = [("lower", "Lower ring", "#4477aa"), ("middle", "Middle ring", "#228833"), ("upper", "Upper ring", "#ccbb44")]
    hall = Hall("Stadium", categories)
    bowl(hall, 100, "lower", 40, 20, 20, 1400, wheelchair_row=19)
    bowl(hall, 200, "middle", 40, 15, 20, 1650)
    bowl(hall, 300, "upper", 40, 25, 22, 1850)
    hall.shape("polygon", [(-525, -340), (525, -340), (525, 340), (-525, 340)], "Field")
    return hall.written((0, 0))


def pretix_plan():
    """A hall of 426 seats as pretix's editor writes it: stalls with an aisle, and two balconies whose rows have the same names."""
    def seat(zone, row, number, x, category):
        return {"seat_guid": f"{zone}-{row}-{number}", "seat_number": str(number), "position": {"x": x, "y": 0},
                "category": category, "radius": 8}

    def row(zone, name, y, xs, category):
        seats = [seat(zone, name, number, x, category) for number, x in enumerate(xs, 1)]
        return {"row_number": name, "row_number_position": "both", "position": {"x": 0, "y": y}, "seats": seats}

    def zone(id, name, x, y, rows, areas=()):
        return {"name": name, "zone_id": id, "position": {"x": x, "y": y}, "rows": rows, "areas": list(areas)}

    across = [25 * at + (25 if at >= 11 else 0) for at in range(22)]
    stalls = [row("stalls", str(number + 1), 28 * number, across, "Gold" if number < 6 else "Silver") for number in range(15)]
    side = lambda zone: [row(zone, str(number + 1), 28 * number, [25 * at for at in range(8)], "Bronze") for number in range(6)]
    stage = {"shape": "rectangle", "color": "#dddddd", "border_color": "#888888", "rotation": 0, "position": {"x": 60, "y": -110},
             "rectangle": {"width": 430, "height": 70}, "text": {"position": {"x": 215, "y": 35}, "color": "#333333", "text": "Stage"}}
    plan = {
        "name": "Municipal hall", "size": {"width": 1080, "height": 620},
        "categories": [{"name": "Gold", "color": "#ffd700"}, {"name": "Silver", "color": "#c0c0c0"}, {"name": "Bronze", "color": "#cd7f32"}],
        "zones": [zone("stalls", "Stalls", 265, 140, stalls, [stage]), zone("left", "Balcony left", 30, 160, side("left")),
                  zone("right", "Balcony right", 865, 160, side("right"))],
    }
    return json.dumps(plan, ensure_ascii=False, indent=1) + "\n"


FILES = {"cinema.json": cinema, "theatre.json": theatre, "arena.json": arena, "plan.pretix.json": pretix_plan}


def main(arguments):
    if arguments[:1] == ["--stadium"] and len(arguments) == 2:
        Path(arguments[1]).write_text(stadium(), encoding="utf-8")
        return 0
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 64
    differ = []
    for name, write in FILES.items():
        file, text = HERE / name, write()
        if arguments:
            differ += [] if file.exists() and file.read_text(encoding="utf-8") == text else [name]
        else:
            file.write_text(text, encoding="utf-8")
    if differ:
        print(f"not what generate.py writes: {', '.join(differ)}", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
