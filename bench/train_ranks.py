"""Training by two processes with a thread each against one process with two threads.

    python3 bench/train_ranks.py cifar10-train.tar       # some minutes; bench/train_ranks.json

Needs Open MPI and a vitc built with it (-DVITC_MPI=ON). Both train the same model on the same images
for the same number of steps, turn by turn; images per second are those of `vitc train`, reading and
augmentation included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import bench_machine

ROOT = Path(__file__).resolve().parent.parent
RECIPE = [
    *("--img-size", "32", "--patch", "4", "--dim", "192", "--depth", "9", "--heads", "6"),
    *("--mlp", "384", "--pool", "avg", "--batch", "128", "--val-split", "0", "--ema", "0"),
    *("--epochs", "1"),
]
LAUNCHERS = {
    "1 process, 2 threads": (["--threads", "2"], []),
    "2 ranks, 1 thread": (["--threads", "1"], ["mpirun", "-np", "2"]),
}


def measure(vitc, data, steps, options, launcher):
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(*launcher, str(vitc), "train", str(data), "--out", f"{folder}/run"),
            *(*RECIPE, *options, "--max-steps", str(steps), "--quiet"),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **allowed}
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        record = Path(folder, "run", "metrics.jsonl").read_text().splitlines()[-1]
    return json.loads(record)["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="labelled images of 32x32 pixels")
    parser.add_argument("--vitc", type=Path, default=ROOT / "build" / "release" / "apps" / "vitc")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "train_ranks.json")
    arguments = parser.parse_args()
    speeds = {name: [] for name in LAUNCHERS}
    for round_number in range(arguments.rounds):
        names = list(LAUNCHERS)
        for name in names if round_number % 2 == 0 else names[::-1]:
            options, launcher = LAUNCHERS[name]
            speed = measure(arguments.vitc, arguments.data, arguments.steps, options, launcher)
            speeds[name].append(round(speed, 1))
            print(f"{name}: {speed:.0f} images/s", flush=True)
    one, two = speeds.values()
    ratios = sorted(b / a for a, b in zip(one, two))
    result = {
        "machine": bench_machine.describe(),
        "vitc": bench_machine.git_version(ROOT),
        "recipe": " ".join(RECIPE),
        "steps": arguments.steps,
        "images_per_second": speeds,
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"ranks against threads, median of the rounds: {result['ratio']:.2f}x")


main()
