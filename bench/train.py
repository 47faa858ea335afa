#!/usr/bin/env python3
"""Times vitc's training steps against PyTorch's: the same weights, images, optimizer and threads.

    python3 bench/peers.py --setup                       # once: the peers, into build/bench/venv
    cmake --preset release -DVITC_BENCH=ON && cmake --build --preset release
    python3 bench/train.py                               # about 6 minutes; bench/TRAINING.md
    python3 bench/train.py --quick                       # about 2 minutes; build/bench/TRAINING.md
    python3 bench/train.py --models train_tiny16_224 --precisions bf16 --only vitc,pytorch
    python3 bench/train.py --photos DIR ...              # and `vitc train` on a folder of photos

Every contender is a process of its own (train_server.c, train_worker.py). Before anything is timed
its gradients are compared with PyTorch's float32 gradients, and it takes steps until its memory has
been at its peak. Then contenders take turns in rounds, and their losses, step by step, are compared
too: all do the same work. bench/README.md has the rest.

Exits with 1 when a contender failed or disagrees, with 2 when the machine is busy.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import bench_machine
import peers
import train_report

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent

# Images of a batch, which train_models.py has, too.
MODELS = {
    "train_tiny16_128": 64,
    "train_tiny16_224": 32,
    "train_small4_heads6": 128,
    "train_small4_heads12": 128,
}
PRECISIONS = ("f32", "bf16")
CONTENDERS = ("vitc", "pytorch", "pytorch-compiled")

# |gradients - PyTorch's in float32| / |those|, all parameters together: float32 sums in other orders,
# or operands of 8 bits. Losses after the same steps from the same weights: relative.
GRADIENT_BOUNDS = {"f32": 1e-4, "bf16": 0.05}
LOSS_BOUNDS = {"f32": 1e-3, "bf16": 1e-2}
# What the program sets for itself where the user has not (apps/app_openmp.c).
PROGRAM_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}
FIRST_STEPS = 3  # until memory is at its peak and what is compiled is compiled


class Contender:
    """A process, what its first steps showed, and its slices."""

    def __init__(self, options, name, model, precision):
        folder = options.work / model
        batch = options.batches[model]
        if name == "vitc":
            command = [
                options.server, folder / "timm", precision, options.threads, batch,
                folder / "images.f32",
            ]  # fmt: skip
        else:
            command = [
                options.python, BENCH / "train_worker.py", name, precision, options.threads,
                folder, batch,
            ]  # fmt: skip
        self.name = name
        environment = peers.environment(options)
        if name == "vitc":
            environment = PROGRAM_ENVIRONMENT | environment
        log = options.work / f"{name}.log"
        self.server = peers.Server(name, list(map(str, command)), environment, log)
        self.losses = []
        self.slices, self.shares, self.peaks = [], [], []

    def start(self, options, model, precision):
        """Until steps may be timed; raises peers.Failure where the gradients are others."""
        self.server.wait_until_ready()
        folder = options.work / model
        found = folder / f"gradients.{self.name}"
        self.server.ask(f"gradients {found}")
        self.run(FIRST_STEPS, 0)
        self.peak_bytes = bench_machine.peak_memory(self.server.process.pid)
        command = [options.python, BENCH / "train_common.py", found, folder / "gradients.f32"]
        self.distance = float(peers.run_text(command))
        if not self.distance <= GRADIENT_BOUNDS[precision]:
            raise peers.Failure(
                f"gradients differ by {self.distance:.1e}, more than "
                f"{GRADIENT_BOUNDS[precision]:.0e}"
            )

    def run(self, least, seconds):
        times, losses = self.server.ask(f"run {least} {seconds}", 2)
        self.losses += losses
        return times

    def time_slice(self, options):
        """The first step, after others had the caches, does not count. Again where others were
        busy, whatever its times were; the last attempt stands."""
        for _ in range(options.attempts):
            others = bench_machine.Others(self.server.process.pid)
            times = self.run(options.steps + 1, options.slice)[1:]
            share = others.share()
            if share <= bench_machine.BUSY_SHARE:
                break
        self.slices.append(times)
        self.shares.append(share)
        if self.name == "vitc":
            self.peaks.append(self.server.ask("peak")[0])

    def cell(self, batch):
        rates = [[1e3 * batch / time for time in times] for times in self.slices]
        everything = [rate for times in rates for rate in times]
        q1, median, q3 = peers.quartiles(everything)
        cell = {
            "contender": self.name,
            "how": self.server.how,
            "images_per_second": round(median, 3),
            "q1": round(q1, 3),
            "q3": round(q3, 3),
            "steps": len(everything),
            "round_medians": [round(statistics.median(times), 3) for times in rates],
            "others": round(max(self.shares), 3),
            "peak_mib": round(self.peak_bytes / 2**20, 1),
            "gradient_distance": self.distance,
            "first_losses": self.losses[:FIRST_STEPS],
        }
        if self.peaks:
            cell["of_peak"] = [
                round(flops / batch * rate / peak, 4)
                for (flops, peak), rate in zip(self.peaks, cell["round_medians"])
            ]
        return cell


def check_losses(contenders, precision, failed):
    """After the same number of steps from the same weights, losses are the same."""
    steps = min(len(contender.losses) for contender in contenders)
    reference = next((c for c in contenders if c.name == "pytorch"), contenders[0])
    for contender in contenders:
        worst = max(
            abs(loss - other) / other
            for loss, other in zip(contender.losses[:steps], reference.losses[:steps])
        )
        contender.loss_distance = worst
        if not worst <= LOSS_BOUNDS[precision]:
            failed(contender.name, f"losses of {steps} steps differ by {worst:.1e}")
        if not contender.losses[-1] < contender.losses[0]:
            failed(contender.name, f"the loss went from {contender.losses[0]:.3f} to "
                   f"{contender.losses[-1]:.3f} in {len(contender.losses)} steps")  # fmt: skip
    return steps


def measure(options, model, precision, results):
    batch = options.batches[model]
    contenders = []

    def failed(name, why):
        print(f"{model} {precision}: {name}: {why}", flush=True)
        results["failures"].append(
            {"model": model, "precision": precision, "contender": name, "why": str(why)}
        )

    try:
        for name in options.only:
            contender = Contender(options, name, model, precision)
            try:
                contender.start(options, model, precision)
                contenders.append(contender)
            except (peers.Failure, OSError) as failure:
                failed(name, failure)
                contender.server.close()
        for number in range(options.rounds if contenders else 0):
            first = number % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                contender.time_slice(options)
        steps = check_losses(contenders, precision, failed) if contenders else 0
        for contender in contenders:
            cell = {"model": model, "precision": precision, "batch": batch}
            cell |= contender.cell(batch)
            cell |= {"losses_compared": steps, "loss_distance": contender.loss_distance}
            cell["last_loss"] = [len(contender.losses), contender.losses[-1]]
            results["cells"].append(cell)
            print(
                f"{model} {precision} {contender.name}: {cell['images_per_second']:.1f} images/s "
                f"({cell['q1']:.1f}-{cell['q3']:.1f}), {cell['peak_mib']:.0f} MiB",
                flush=True,
            )
    finally:
        for contender in contenders:
            contender.server.close()


# ---- with files and augmentation ----

WHOLE_ROUNDS = 2
WHOLE_MODEL = "train_tiny16_224"  # and what `vitc train` calls it:
WHOLE_CONFIG = ["--config", "vit-ti16", "--img-size", "224"]


def train_photos(options, precision, steps):
    """Images per second of each epoch but the first, which also reads files that no cache has."""
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        run = Path(folder) / "run"
        command = [
            options.vitc, "train", options.photos, "-o", run, *WHOLE_CONFIG, "--batch",
            MODELS[WHOLE_MODEL], "--max-steps", steps, "--val-split", "0", "--precision", precision,
            "--threads", options.threads, "-q",
        ]  # fmt: skip
        peers.run_text(command)
        lines = (run / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["images_per_second"] for line in lines]
    if len(rates) < 2:
        raise peers.Failure(f"{steps} steps are one epoch of {options.photos}")
    return rates[1:]


def measure_whole(options, precision, results):
    """`vitc train` on photos, and between its runs the peak, in a server that waits meanwhile."""
    contender = Contender(options, "vitc", WHOLE_MODEL, precision)
    try:
        contender.server.wait_until_ready()
        rates, shares, parts = [], [], []
        for _ in range(WHOLE_ROUNDS):
            others = bench_machine.Others()
            own = bench_machine.children_seconds()
            before = contender.server.ask("peak")[0]
            found = train_photos(options, precision, options.whole_steps)
            after = contender.server.ask("peak")[0]
            shares.append(others.share(bench_machine.children_seconds() - own))
            peak = (before[1] + after[1]) / 2
            rates += found
            parts += [before[0] / MODELS[WHOLE_MODEL] * rate / peak for rate in found]
    finally:
        contender.server.close()
    q1, median, q3 = peers.quartiles(rates)
    cell = {
        "model": WHOLE_MODEL,
        "precision": precision,
        "images_per_second": round(median, 3),
        "q1": round(q1, 3),
        "q3": round(q3, 3),
        "epochs": len(rates),
        "of_peak": [round(part, 4) for part in parts],
        "others": round(max(shares), 3),
    }
    results["whole"].append(cell)
    print(f"whole steps {precision}: {median:.1f} images/s, {statistics.median(parts):.0%}", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--build", type=Path, default=ROOT / "build/release", help="built with VITC_BENCH=ON")
    add("--work", type=Path, default=ROOT / "build/bench", help="models and logs")
    add("--venv", type=Path, help="the peers' virtual environment (WORK/venv)")
    add("--out", type=Path, help="where TRAINING.md and training.json go")
    add("--models", type=peers.listed(MODELS), default=list(MODELS)[:3], help=f"of {', '.join(MODELS)}")
    add("--precisions", type=peers.listed(PRECISIONS), default=list(PRECISIONS))
    add("--only", type=peers.listed(CONTENDERS), help="the contenders, by comma")
    add("--threads", type=int, default=2)
    add("--quick", action="store_true", help="fewer rounds, without pytorch-compiled")
    add("--rounds", type=int, help="of each cell (4; quick 2)")
    add("--steps", type=int, default=1, help="least steps of a slice that count")
    add("--slice", type=float, help="seconds of steps that count (1; quick 0.5)")
    add("--photos", type=Path, help="a folder of class folders of photos, for whole steps")
    add("--whole-steps", type=int, default=21, help="of each run of `vitc train`, some epochs")
    add("--busy-ok", action="store_true", help="measure on a busy machine")
    options = parser.parse_args()

    whole = not (options.quick or options.only) and all(
        getattr(options, name) == parser.get_default(name) for name in ("models", "precisions")
    )
    quick = {"rounds": 2, "slice": 0.5}
    full = {"rounds": 4, "slice": 1.0}
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.only is None:
        options.only = [n for n in CONTENDERS if not (options.quick and n == "pytorch-compiled")]
    options.attempts = 1 if options.busy_ok else peers.ATTEMPTS
    options.batches = MODELS
    options.work = options.work.resolve()
    options.out = options.out or (BENCH if whole else options.work)
    options.python = (options.venv or options.work / "venv").absolute() / "bin/python"
    options.server = options.build.resolve() / "bench/train_server"
    options.vitc = options.build.resolve() / "apps/vitc"
    return options


def main():
    options = parse_options()
    for path, advice in (
        (options.python, "run peers.py --setup first"),
        (options.server, "configure with -DVITC_BENCH=ON and build"),
    ):
        if shutil.which(path) is None:
            sys.exit(f"{path} is missing: {advice}")
    options.work.mkdir(parents=True, exist_ok=True)

    versions = peers.peer_versions(options, ("torch", "timm", "numpy"))
    models = [*options.models, *([WHOLE_MODEL] if options.photos else [])]
    peers.make_by(options, versions, "train_models.py", dict.fromkeys(models))
    peers.refuse_busy_machine(options)
    settings = ("threads", "rounds", "slice", "only")
    results = {
        "machine": bench_machine.describe(),
        "versions": {"vitc": bench_machine.git_version(ROOT), **versions},
        "settings": {name: getattr(options, name) for name in settings},
        "bounds": {"gradients": GRADIENT_BOUNDS, "losses": LOSS_BOUNDS},
        "cells": [],
        "whole": [],
        "failures": [],
    }
    for model in options.models:
        for precision in options.precisions:
            measure(options, model, precision, results)
    for precision in options.precisions if options.photos else ():
        measure_whole(options, precision, results)

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "training.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "TRAINING.md").write_text(train_report.markdown(results))
    print(f"wrote {options.out / 'TRAINING.md'}")
    sys.exit(1 if results["failures"] else 0)


if __name__ == "__main__":
    main()
