#!/usr/bin/env python3
"""What bench/train.py's parts share; needs NumPy only.

    python3 train_common.py FOUND EXPECTED     how far apart two files of gradients are

A file of gradients holds float32 numbers, one parameter after the other; beside it, FILE.names has
a line "name count" for each. bench/train_server.c writes them too.
"""

import sys

import numpy


def write_gradients(path, gradients):
    """`gradients`: pairs of a name and an array."""
    with open(path, "wb") as file, open(f"{path}.names", "w", encoding="utf-8") as names:
        for name, values in gradients:
            values.tofile(file)
            names.write(f"{name} {values.size}\n")


def read_gradients(path):
    values = numpy.fromfile(path, numpy.float32).astype(numpy.float64)
    gradients, at = {}, 0
    with open(f"{path}.names", encoding="utf-8") as names:
        for line in names:
            name, count = line.split()
            gradients[name] = values[at : at + int(count)]
            at += int(count)
    if at != values.size:
        sys.exit(f"{path}: {values.size} numbers, {at} of them named")
    return gradients


def distance(found, expected):
    """|found - expected| / |expected|, over all parameters together."""
    if found.keys() != expected.keys():
        sys.exit(f"other parameters: {sorted(found.keys() ^ expected.keys())}")
    difference = sum(((found[name] - expected[name]) ** 2).sum() for name in expected)
    return (difference / sum((values**2).sum() for values in expected.values())) ** 0.5


if __name__ == "__main__":
    print(distance(read_gradients(sys.argv[1]), read_gradients(sys.argv[2])))
