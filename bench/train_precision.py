"""Loss curves of training in float32 and in bfloat16, drawn over each other.

    python3 bench/train_precision.py cifar10-train.tar     # docs/bf16.svg; some minutes

Needs nothing but Python and a built vitc. Two runs of `vitc train` that differ in nothing but
--precision: the same first weights, order of images and augmentations. A fifth of the images is
trained on, the rest only gives the validation loss its steadiness.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = [
    *("--img-size", "32", "--patch", "4", "--dim", "128", "--depth", "6", "--heads", "4"),
    *("--mlp", "256", "--pool", "avg", "--batch", "64", "--val-split", "0.8", "--ema", "0"),
    *("--augment", "light", "--json", "--seed", "1"),
]
COLOURS = {"f32": "#225588", "bf16": "#cc6633"}


def train(vitc, data, precision, epochs):
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(vitc, "train", data, "--out", f"{folder}/run", *RECIPE),
            *("--precision", precision, "--epochs", str(epochs)),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        lines = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def panel(out, left, title, curves):
    width, height, top = 300, 200, 30
    values = [value for curve in curves.values() for value in curve]
    low, high = min(values), max(values)
    count = max(len(curve) for curve in curves.values())
    out.append(f'<text x="{left}" y="18" font-size="13">{title}</text>')
    for i in range(5):
        value = low + (high - low) * i / 4
        y = top + height - height * i / 4
        out.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for epoch in range(1, count + 1):
        x = left + width * (epoch - 1) / max(1, count - 1)
        out.append(f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">{epoch}</text>')
    for name, curve in curves.items():
        points = " ".join(
            f"{left + width * i / max(1, count - 1):.1f},"
            f"{top + height - height * (value - low) / (high - low):.1f}"
            for i, value in enumerate(curve)
        )
        dashes = ' stroke-dasharray="5 4"' if name == "bf16" else ""
        out.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" '
            f'stroke-width="2"{dashes}/>'
        )


def draw(runs):
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 290" font-family="sans-serif" '
        'font-size="11">',
        "<title>Loss by epoch, float32 and bfloat16</title>",
        '<rect width="760" height="290" fill="#fff"/>',
    ]
    training = {name: [r["loss"] for r in run] for name, run in runs.items()}
    validation = {name: [r["validation"]["loss"] for r in run] for name, run in runs.items()}
    panel(out, 50, "training loss, by epoch", training)
    panel(out, 430, "validation loss", validation)
    for i, name in enumerate(runs):
        dashes = ' stroke-dasharray="5 4"' if name == "bf16" else ""
        out.append(
            f'<path d="M{50 + 90 * i} 275h24" stroke="{COLOURS[name]}" stroke-width="2"{dashes}/>'
            f'<text x="{80 + 90 * i}" y="279">{name}</text>'
        )
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="labelled images")
    parser.add_argument("--vitc", default=str(ROOT / "build" / "release" / "apps" / "vitc"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "bf16.svg")
    arguments = parser.parse_args()
    runs = {
        precision: train(arguments.vitc, arguments.data, precision, arguments.epochs)
        for precision in COLOURS
    }
    arguments.out.write_text(draw(runs))
    for a, b in zip(*runs.values()):
        print(
            f"epoch {a['epoch']:2}  training {a['loss']:.4f} {b['loss']:.4f}  "
            f"validation {a['validation']['loss']:.4f} {b['validation']['loss']:.4f}  "
            f"accuracy {100 * a['validation']['accuracy']:.2f} "
            f"{100 * b['validation']['accuracy']:.2f}"
        )


main()
