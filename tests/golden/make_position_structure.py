#!/usr/bin/env python3
"""Makes tests/golden/position_structure.json: what numpy finds in tables of positions.

Tables are made by a formula that float32 and both languages compute exactly, so that the file holds
results alone. For each case: the grid, the width, the numbers of patches_structure, and two cosines
of the first patch with the last, as they are and centred.
"""

import itertools
from pathlib import Path

from golden_common import versions, write_json

import numpy

FILE = Path(__file__).resolve().parent / "position_structure.json"

# grid height, grid width, width, whether the rows follow the grid
CASES = [(8, 8, 16, False), (5, 7, 6, False), (5, 7, 6, True), (3, 11, 4, True), (2, 2, 1, False),
         (14, 14, 32, True)]


def table_of(height, width, depth, structured):
    """[height, width, depth]: noise from a counter, and multiples of 1/8 that follow row and column."""
    index = numpy.arange(height * width * depth, dtype=numpy.uint64)
    noise = ((index * 2654435761 + 12345) % 2**32 // 4096 / 2**20 - 0.5).reshape(height, width, depth)
    if not structured:
        return noise
    y, x, d = numpy.meshgrid(range(height), range(width), range(depth), indexing="ij")
    return noise + (y * (d + 1) % 5) / 8 + (x * x % 7) / 8 * (d % 2)


def explained(values, labels):
    """The share of the variance of values that the means of their groups have."""
    groups = {}
    for value, label in zip(values, labels):
        groups.setdefault(label, []).append(value)
    mean = numpy.mean(values)
    return sum(len(g) * (numpy.mean(g) - mean) ** 2 for g in groups.values()) / sum(
        (numpy.array(values) - mean) ** 2)


def cosines_of(rows):
    unit = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


def neighbours(lines):
    """The mean cosine of each line with the next."""
    cosines = cosines_of(lines)
    return numpy.mean([cosines[i, i + 1] for i in range(len(lines) - 1)])


def measure(table):
    height, width, depth = table.shape
    centred = table - table.mean(axis=(0, 1))
    total = (centred**2).sum()
    row = (centred.mean(axis=1) ** 2).sum() * width / total
    column = (centred.mean(axis=0) ** 2).sum() * height / total
    flat = centred.reshape(-1, depth)
    cosines = cosines_of(flat)
    places = list(itertools.product(range(height), range(width)))
    values, offsets, lengths, across, down = [], [], [], [], []
    for (p, (y, x)), (q, (v, u)) in itertools.product(enumerate(places), repeat=2):
        if p == q:
            continue
        values.append(cosines[p, q])
        offsets.append((v - y, u - x))
        lengths.append((v - y) ** 2 + (u - x) ** 2)
        if v == y and abs(u - x) == 1:
            across.append(cosines[p, q])
        if u == x and abs(v - y) == 1:
            down.append(cosines[p, q])
    singular = numpy.linalg.svd(flat, compute_uv=False)
    return {
        "rows": row,
        "columns": column,
        "rest": 1 - row - column,
        "shift": explained(values, offsets),
        "radial": explained(values, lengths),
        "row_neighbours": neighbours(centred.mean(axis=1)),
        "column_neighbours": neighbours(centred.mean(axis=0)),
        "anisotropy": numpy.mean(across) - numpy.mean(down),
        "effective_rank": (singular**2).sum() ** 2 / (singular**4).sum(),
        "common": 1 - total / (table**2).sum(),
        "cosine": cosines_of(table.reshape(-1, depth))[0, -1],
        "centred_cosine": cosines[0, -1],
    }


def main():
    cases = []
    for height, width, depth, structured in CASES:
        numbers = measure(table_of(height, width, depth, structured))
        cases.append({"height": height, "width": width, "depth": depth, "structured": structured}
                     | {name: float(value) for name, value in numbers.items()})
    write_json(FILE, {"versions": versions(["numpy"]), "cases": cases})


if __name__ == "__main__":
    main()
