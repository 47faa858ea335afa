"""Loss curves of training in float32 and in bfloat16, drawn over each other.

    python3 bench/train_precision.py cifar10-train.tar     # docs/bf16.svg; some minutes

Needs nothing but Python and a built vitc. For each seed, two runs of `vitc train` that differ in
nothing but --precision: the same first weights, order of images and augmentations. What the seeds
differ by tells how much a difference between the precisions means.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parent.parent
RECIPE = [
    *("--img-size", "32", "--patch", "4", "--dim", "128", "--depth", "6", "--heads", "4"),
    *("--mlp", "256", "--pool", "avg", "--batch", "64", "--val-split", "0.2", "--ema", "0"),
    *("--augment", "light", "--optimizer", "muon", "--json"),
]
IMAGES = 12500  # a fifth of them for validation
SEEDS = (1, 2, 3)
COLOURS = {"f32": "#225588", "bf16": "#cc6633"}


def take_images(data, path):
    """Copy the first images of a tar into a smaller one."""
    with tarfile.open(data) as whole, tarfile.open(path, "w") as part:
        files = (member for member in whole if member.isfile())
        for _, member in zip(range(IMAGES), files):
            part.addfile(member, whole.extractfile(member))


def train(vitc, data, precision, seed, epochs):
    """The lines of metrics.jsonl, one for each epoch."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(vitc, "train", str(data), "--out", f"{folder}/run", *RECIPE),
            *("--precision", precision, "--seed", str(seed), "--epochs", str(epochs)),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        lines = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def panel(out, left, title, curves):
    """`curves`: of each precision, one list of values for each seed."""
    width, height, top = 300, 200, 30
    values = [value for seeds in curves.values() for curve in seeds for value in curve]
    low, high = min(values), max(values)
    count = max(len(curve) for seeds in curves.values() for curve in seeds)
    out.append(f'<text x="{left}" y="18" font-size="13">{title}</text>')
    for i in range(5):
        value = low + (high - low) * i / 4
        y = top + height - height * i / 4
        out.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for epoch in range(1, count + 1):
        x = left + width * (epoch - 1) / max(1, count - 1)
        out.append(f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">{epoch}</text>')
    for name, seeds in curves.items():
        for curve in seeds:
            points = " ".join(
                f"{left + width * i / max(1, count - 1):.1f},"
                f"{top + height - height * (value - low) / (high - low):.1f}"
                for i, value in enumerate(curve)
            )
            out.append(f'<polyline points="{points}" fill="none" {stroke(name)}/>')


def stroke(name):
    dashes = ' stroke-dasharray="5 4"' if name == "bf16" else ""
    return f'stroke="{COLOURS[name]}" stroke-width="1.5"{dashes}'


def draw(runs):
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 290" font-family="sans-serif" '
        'font-size="11">',
        "<title>Loss by epoch, float32 and bfloat16</title>",
        '<rect width="760" height="290" fill="#fff"/>',
    ]
    training = {n: [[e["loss"] for e in run] for run in seeds] for n, seeds in runs.items()}
    validation = {
        n: [[e["validation"]["loss"] for e in run] for run in seeds] for n, seeds in runs.items()
    }
    panel(out, 50, "training loss, by epoch", training)
    panel(out, 430, "validation loss", validation)
    for i, name in enumerate(runs):
        out.append(f'<path d="M{50 + 90 * i} 275h24" {stroke(name)}/>')
        out.append(f'<text x="{80 + 90 * i}" y="279">{name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def spread(values):
    return f"{mean(values):.4f} [{min(values):.4f}, {max(values):.4f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a tar of labelled images")
    parser.add_argument("--vitc", default=str(ROOT / "build" / "release" / "apps" / "vitc"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "bf16.svg")
    arguments = parser.parse_args()
    runs = {precision: [] for precision in COLOURS}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "images.tar")
        take_images(arguments.data, data)
        for seed in SEEDS:
            for precision, seeds in runs.items():
                seeds.append(train(arguments.vitc, data, precision, seed, arguments.epochs))
                last = seeds[-1][-1]
                print(f"seed {seed} {precision}: loss {last['loss']:.4f}", file=sys.stderr)
    arguments.out.write_text(draw(runs))
    print("mean over the seeds [least, most], last epoch")
    for precision, seeds in runs.items():
        last = [run[-1] for run in seeds]
        print(
            f"{precision:5} training {spread([e['loss'] for e in last])}"
            f"  validation {spread([e['validation']['loss'] for e in last])}"
            f"  accuracy {spread([e['validation']['accuracy'] for e in last])}"
        )


main()
