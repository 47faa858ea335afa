"""What kind of position embedding a small Vision Transformer learns best with, on CIFAR-10.

    python3 bench/posemb/ablation.py cifar10-train.tar        # 39 runs; bench/posemb/RESULTS.md
    python3 bench/posemb/ablation.py cifar10-train.tar --steps 100 --seeds 1 --out build/posemb

Needs nothing but Python and a built vitc. Every combination of kind and operation is trained with
the same recipe and the same seeds: one seed means the same order of images, the same augmentations
and the same held-out fifth of the training images for all combinations, so that differences are
taken within seeds. Two more variants of learned-2d try what might slow its start down. The test
images of CIFAR-10 are not touched. Finished runs are kept in results.json and not repeated: an
interrupted ablation goes on where it was.
"""

import argparse
import json
import math
import platform
import shutil
import subprocess
import sys
import tempfile
from multiprocessing.pool import ThreadPool
from pathlib import Path
from statistics import mean, stdev

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TABLES = ["learned-1d", "learned-2d", "factorized-sum", "sincos-2d"]
COMBINATIONS = (
    [("none", "add")]
    + [(kind, op) for kind in TABLES for op in ("add", "mul")]
    + [("relative", "add"), ("rope-2d", "add")]
)
STARTS = {
    "first values of 0.2": ["--pos-std", "0.2"],
    "16x16 patches of images enlarged to 128x128": ["--img-size", "128", "--patch", "16"],
}
# ViT, appendix D.4, table 8: 5-shot linear accuracy on ImageNet of ViT-B/16, pre-trained on JFT.
PAPER = {"none": 0.61382, "learned-1d": 0.64206, "learned-2d": 0.64001, "relative": 0.64032}
RECIPE = [
    *("--img-size", "32", "--patch", "4", "--dim", "128", "--depth", "6", "--heads", "4"),
    *("--mlp", "256", "--pool", "avg", "--batch", "128", "--warmup", "0.3"),
    *("--optimizer", "muon", "--lr", "0.004"),
    *("--augment", "light", "--ema", "0", "--val-split", "0.2", "--val-every", "1000"),
]
# Two-sided 95 % quantiles of Student's t by degrees of freedom.
STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def interval(values):
    """Half the width of the 95 % interval of the mean; None for a single value."""
    if len(values) < 2:
        return None
    return STUDENT[min(len(values) - 2, len(STUDENT) - 1)] * stdev(values) / math.sqrt(len(values))


def variants():
    """The options of each variant by its name."""
    for kind, op in COMBINATIONS:
        yield f"{kind} {op}", ["--pos", kind] + (["--pos-op", op] if op != "add" else [])
    for name, options in STARTS.items():
        yield name, ["--pos", "learned-2d", *options]


def train(vitc, data, options, seed, arguments):
    """Accuracy on the held-out images after the last step, and images per second."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(str(vitc), "train", str(data), "--out", f"{folder}/run", "--json"),
            *(*RECIPE, *options, "--seed", str(seed), "--max-steps", str(arguments.steps)),
            *("--epochs", "1000", "--precision", arguments.precision),
            *(["--threads", str(arguments.threads)] if arguments.threads else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        record = json.loads(Path(folder, "run", "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "accuracy": record["validation"]["accuracy"],
        "loss": record["validation"]["loss"],
        "images_per_second": record["images_per_second"],
    }


def load(path, setting):
    """What was measured with these settings so far."""
    if path.is_file():
        found = json.loads(path.read_text())
        if found["setting"] == setting:
            return found
        sys.exit(f"{path} has results of other settings; remove it, or give another --out")
    return {"setting": setting, "runs": {}}


def save(path, results):
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(path)


# ---- what is told ----


def accuracies(results, name, seeds):
    return [results["runs"][f"{name} {seed}"]["accuracy"] for seed in seeds]


def differences(results, name, other, seeds):
    pairs = zip(accuracies(results, name, seeds), accuracies(results, other, seeds))
    return spread([a - b for a, b in pairs]) if name != other else ""


def mean_difference(results, name, other, seeds):
    return mean(accuracies(results, name, seeds)) - mean(accuracies(results, other, seeds))


def percent(value, digits=2):
    return f"{100 * value:.{digits}f}"


def spread(values):
    half = interval(values)
    return percent(mean(values)) + (f" ± {percent(half)}" if half is not None else "")


def table(results, seeds):
    lines = [
        "| positions | op | accuracy, % | less none | less learned-1d | ViT paper, 5-shot % |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for kind, op in COMBINATIONS:
        own = f"{kind} {op}"
        cells = [
            kind,
            op if kind in TABLES else "",
            spread(accuracies(results, own, seeds)),
            *(differences(results, own, other, seeds) for other in ("none add", "learned-1d add")),
            percent(PAPER[kind], 1) if op == "add" and kind in PAPER else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def starts_table(results, seeds):
    lines = ["| learned-2d with | accuracy, % | less learned-2d |", "|---|---:|---:|"]
    for name in STARTS:
        own = spread(accuracies(results, name, seeds))
        lines.append(f"| {name} | {own} | {differences(results, name, 'learned-2d add', seeds)} |")
    return "\n".join(lines)


def chart(results, seeds):
    """Accuracies as marks with intervals."""
    rows = []
    for kind, op in COMBINATIONS:
        own = accuracies(results, f"{kind} {op}", seeds)
        rows.append((kind if op == "add" else f"{kind}, mul", own, interval(own) or 0))
    low = min(mean(own) - half for _, own, half in rows)
    high = max(mean(own) + half for _, own, half in rows)
    low, high = math.floor(100 * low) / 100, math.ceil(100 * high) / 100
    left, width, step = 150, 420, 24
    height = step * len(rows) + 44

    def x(value):
        return left + width * (value - low) / (high - low)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 30} {height}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Accuracy on held-out images, mean and 95 % interval over seeds</title>",
        f'<rect width="{left + width + 30}" height="{height}" fill="#fff"/>',
    ]
    ticks = max(1, round((high - low) * 100 / 8))
    for value in range(round(100 * low), round(100 * high) + 1, ticks):
        at = x(value / 100)
        out.append(f'<path d="M{at:.1f} 8V{height - 30}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{height - 14}" text-anchor="middle">{value} %</text>')
    for row, (name, own, half) in enumerate(rows):
        y = 20 + step * row
        out.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{name}</text>')
        ends = (x(mean(own) - half), x(mean(own) + half))
        out.append(f'<path d="M{ends[0]:.1f} {y}H{ends[1]:.1f}" stroke="#4477aa" stroke-width="2"/>')
        for value in own:
            out.append(f'<circle cx="{x(value):.1f}" cy="{y}" r="2" fill="#99bbdd"/>')
        out.append(f'<circle cx="{x(mean(own)):.1f}" cy="{y}" r="4" fill="#225588"/>')
    return "\n".join(out + ["</svg>"]) + "\n"


def report(results, seeds, arguments):
    none = accuracies(results, "none add", seeds)
    others = [
        (mean(accuracies(results, f"{kind} {op}", seeds)), kind, op)
        for kind, op in COMBINATIONS
        if kind != "none"
    ]
    best, worst = max(others), min(others)
    gain_low, gain_high = (100 * (value[0] - mean(none)) for value in (worst, best))
    multiplied = ", ".join(
        f"{kind} {100 * mean_difference(results, f'{kind} mul', f'{kind} add', seeds):+.1f}"
        for kind in TABLES
    )
    started = [
        f"{100 * mean_difference(results, name, 'learned-2d add', seeds):+.1f}" for name in STARTS
    ]
    images = arguments.steps * 128
    return f"""# Position embeddings compared

Written by `ablation.py`; the numbers are in `results.json`. {len(seeds)} seeds each; mean and 95 %
interval (Student's t) of the accuracy on the fifth of CIFAR-10's training images that was held out.
Differences are taken seed by seed: one seed has the same images, order and augmentations everywhere.

{table(results, seeds)}

![accuracy of each](accuracy.svg)

The model: 32x32 pixels, patches of 4x4 (64 tokens), width 128, 6 blocks, mean pooling, {arguments.steps} steps of
128 images ({images:,} in all, {images / 40000:.1f} passes), Muon; everything else is in the script. In the paper:
ViT-B/16, pre-trained on 300 million images, and a linear probe on five images per class of ImageNet.

Two suspects for a slow start of learned positions, beside learned-2d as above (first values with a
deviation of 0.02, patches of 4x4 of 32x32 pixels):

{starts_table(results, seeds)}

## A sober reading

- The best kind ({best[1]} {best[2]}) is worth {gain_high:.1f} points here, the weakest ({worst[1]} {worst[2]}) {gain_low:.1f}, with the
  intervals above; in the paper all are worth 2.6 to 2.8: without positions a transformer sees a bag of patches.
- Among the kinds, three seeds tell apart only differences that are well outside of the intervals
  above. The paper found about 0.2 points between 1-D, 2-D and relative embeddings.
- This is a short training of a small model on small pictures: what is learned first may be ahead
  here and not after hundreds of passes. Fixed positions (sincos-2d, rope-2d) are whole from the first
  step; learned ones begin near nothing, and relative biases with nothing at all. Nothing here says
  how they do at other resolutions.
- Multiplying, x (1 + p), has no published comparison. Less adding, in points: {multiplied}.
  Small learned p are next to no change at first; sines and cosines are large from the start.
- Of the suspects, larger first values make {started[0]} points and patches of enlarged pictures {started[1]}
  (intervals above): for pictures of 32x32 pixels, train at 32 pixels and enlarge the model (`vitc
  convert --enlarge`).
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="labelled CIFAR-10 training images")
    parser.add_argument("--vitc", type=Path, default=ROOT / "build" / "release" / "apps" / "vitc")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--threads", type=int, help="of each run; results do not depend on them")
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    arguments.vitc = arguments.vitc.resolve()
    if not shutil.which(arguments.vitc):
        sys.exit(f"{arguments.vitc} is not there: build it, or say where it is with --vitc")
    setting = {
        "recipe": " ".join(RECIPE),
        "steps": arguments.steps,
        "precision": arguments.precision,
        "data": arguments.data.name,
        "machine": platform.machine(),
    }
    seeds = range(1, arguments.seeds + 1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "results.json"
    results = load(path, setting)
    # All of one seed first, so that a part of the runs is a comparison already.
    runs = [(name, options, seed) for seed in seeds for name, options in variants()]
    left = [run for run in runs if f"{run[0]} {run[2]}" not in results["runs"]]

    def measure(run):
        return run, train(arguments.vitc, arguments.data, run[1], run[2], arguments)

    with ThreadPool(arguments.jobs) as pool:
        for (name, _, seed), result in pool.imap_unordered(measure, left):
            results["runs"][f"{name} {seed}"] = result
            print(name, seed, percent(result["accuracy"]), flush=True)
            save(path, results)
    (arguments.out / "accuracy.svg").write_text(chart(results, seeds))
    (arguments.out / "RESULTS.md").write_text(report(results, seeds, arguments))


main()
