#!/usr/bin/env python3
"""Times vitc against PyTorch, ONNX Runtime and OpenVINO: the same weights, photographs and threads.

    python3 bench/peers.py --setup                       # once: the peers, into build/bench/venv
    cmake --preset release -DVITC_BENCH=ON && cmake --build --preset release
    python3 bench/peers.py                               # about 25 minutes; bench/RESULTS.md
    python3 bench/peers.py --quick                       # about 5 minutes; build/bench/RESULTS.md
    python3 bench/peers.py --models vit_tiny_patch16_224 --precisions int8 --batches 1 \\
        --only vitc,openvino                             # one cell

Every contender keeps its model loaded in a process of its own. A cell (model, precision, batch) is
measured in rounds: in each, one contender after the other warms up and then runs for a slice of
time, starting with another one each round. Medians and quartiles are over all runs of all slices.
Before that, each must agree with PyTorch's float32 logits. bench/README.md has the rest.

Exits with 1 when a contender failed or disagrees, with 2 when the machine is busy.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import bench_machine
import bench_report
import bench_start

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent

MODELS = ("vit_base_patch16_224", "vit_small_patch16_224", "vit_tiny_patch16_224")
PRECISIONS = ("f32", "bf16", "int8")
# Who computes in what. ONNX Runtime has no bf16 kernels for x86; PyTorch's compiler has no int8 of
# its own.
CONTENDERS = {
    "vitc": ("f32", "bf16", "int8"),
    "openvino": ("f32", "bf16", "int8"),
    "onnxruntime": ("f32", "int8"),
    "pytorch": ("f32", "bf16", "int8"),
    "pytorch-compiled": ("f32", "bf16"),
}
PACKAGES = ("torch", "timm", "onnx", "onnxruntime", "openvino", "nncf", "numpy", "pillow")

# How far logits may be from PyTorch's in float32, as a share of the largest of them. f32 is the
# project's bound. The others only tell a wrong model from a rounded one: bf16 keeps 8 bits of every
# product's operands, int8 as many with one scale for a whole row or tensor.
BOUNDS = {"f32": 1e-4, "bf16": 0.03, "int8": 0.2}

ATTEMPTS = 3  # at a slice that others disturb

COLD_MODEL = "vit_tiny_patch16_224"


class Failure(Exception):
    """One contender cannot do its part; the others go on."""


# ---- what is measured ----


class Server:
    """A contender's process, which peer_worker.py or forward_server.c describes."""

    def __init__(self, name, command, environment, log):
        self.name = name
        self.log = log
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        self.how = ""

    def read_line(self):
        line = self.process.stdout.readline()
        if not line:
            self.close()
            lines = self.log.read_text(errors="replace").strip().splitlines()
            raise Failure(lines[-1] if lines else "ended without a word")
        return line

    def wait_until_ready(self):
        while not (line := self.read_line()).startswith("ready "):
            pass  # libraries greet on standard output
        self.how = line.split(maxsplit=1)[1].strip()

    def ask(self, question, answers=1):
        try:
            print(question, file=self.process.stdin, flush=True)
        except OSError:
            pass  # its end is noticed below
        return [[float(value) for value in self.read_line().split()] for _ in range(answers)]

    def run(self, batch, seconds):
        return self.ask(f"run {batch} {seconds}")[0]

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def vitc_model(options, folder, precision):
    if precision != "int8":
        return folder / "timm"
    if "quantize" not in run_text([options.vitc, "--help"]):
        raise Failure("this build has no `vitc quantize`")
    model = folder / "vitc_int8.safetensors"
    run_text([options.vitc, "quantize", folder / "timm", "-o", model, "--dtype", "int8"])
    return model


def run_text(command):
    command = list(map(str, command))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def start_server(options, name, model, precision):
    folder = options.work / model
    rest = [precision, options.threads, options.work / "photos.f32", *options.batches]
    if name == "vitc":
        command = [options.server, vitc_model(options, folder, precision), *rest]
    else:
        rest.insert(2, folder)
        command = [options.python, BENCH / "peer_worker.py", name, *rest]
    log = options.work / f"{name}.log"
    return Server(name, list(map(str, command)), environment(options), log)


def environment(options):
    return dict(
        os.environ,
        OMP_NUM_THREADS=str(options.threads),
        TORCHINDUCTOR_CACHE_DIR=str(options.work / "inductor"),
    )


def agreement(server, batch, expected):
    """How near a contender's logits are to PyTorch's float32 logits, over all photographs."""
    logits = server.ask(f"logits {batch}", len(expected))
    largest = max(abs(value) for row in expected for value in row)
    difference = 0.0
    same = 0
    for row, reference in zip(logits, expected):
        if len(row) != len(reference):
            raise Failure(f"{len(row)} logits instead of {len(reference)}")
        difference = max(difference, *(abs(a - b) for a, b in zip(row, reference)))
        same += row.index(max(row)) == reference.index(max(reference))
    return {"relative": difference / largest, "same_top1": same, "photos": len(expected)}


def time_slice(options, server, batch):
    """(ms per image of each run, share of the CPUs that others used meanwhile). A slice in which
    others were busy is measured again, whatever its times were; the last attempt stands."""
    for _ in range(ATTEMPTS):
        server.run(batch, options.warmup)
        others = bench_machine.Others(server.process.pid)
        times = server.run(batch, options.slice)
        share = others.share()
        if share <= bench_machine.BUSY_SHARE:
            break
    return [time / batch for time in times], share


def time_cell(options, servers, batch):
    """{contender: [slice of each round]}"""
    cell = {server.name: [] for server in servers}
    for number in range(options.rounds):
        first = number % len(servers)
        for server in servers[first:] + servers[:first]:
            cell[server.name].append(time_slice(options, server, batch))
    return cell


def measure(options, model, precision, results):
    """All batches of one model at one precision, appended to results."""
    expected = json.loads((options.work / model / "logits.json").read_text())
    servers = []

    def failed(name, why):
        print(f"{model} {precision}: {name}: {why}", flush=True)
        results["failures"].append(
            {"model": model, "precision": precision, "contender": name, "why": str(why)}
        )

    def keep_those_who_can(work, candidates):
        kept = []
        for server in candidates:
            try:
                work(server)
                kept.append(server)
            except Failure as failure:
                failed(server.name, failure)
                server.close()
        return kept

    agreements = defaultdict(dict)

    def check(server):
        for batch in options.batches:
            found = agreement(server, batch, expected)
            if not found["relative"] <= BOUNDS[precision]:
                raise Failure(
                    f"batch {batch}: logits differ by {found['relative']:.1e} of the largest, "
                    f"more than {BOUNDS[precision]:.0e}"
                )
            agreements[server.name][batch] = found

    try:
        for name in options.only:
            if precision in CONTENDERS[name]:
                try:
                    servers.append(start_server(options, name, model, precision))
                except (Failure, OSError) as failure:
                    failed(name, failure)
        servers = keep_those_who_can(Server.wait_until_ready, servers)
        servers = keep_those_who_can(check, servers)
        for batch in options.batches if servers else ():
            for name, slices in time_cell(options, servers, batch).items():
                rounds, shares = zip(*slices)
                cell = summary(rounds)
                results["cells"].append(
                    {
                        "model": model,
                        "precision": precision,
                        "batch": batch,
                        "contender": name,
                        "how": next(server.how for server in servers if server.name == name),
                        "others": round(max(shares), 3),
                        **cell,
                        "agreement": agreements[name][batch],
                    }
                )
                print(
                    f"{model} {precision} batch {batch} {name}: {cell['ms_per_image']:.2f} ms "
                    f"({cell['q1']:.2f}-{cell['q3']:.2f})",
                    flush=True,
                )
    finally:
        for server in servers:
            server.close()


def quartiles(values):
    if len(values) < 2:
        return 3 * values
    return statistics.quantiles(values, n=4, method="inclusive")


def summary(rounds):
    times = [time for times in rounds for time in times]
    q1, median, q3 = quartiles(times)
    return {
        "ms_per_image": round(median, 4),
        "q1": round(q1, 4),
        "q3": round(q3, 4),
        "runs": len(times),
        "round_medians": [round(statistics.median(times), 4) for times in rounds],
    }


def cold_starts(options, results):
    folder = options.work / COLD_MODEL
    photo = options.work / "photo.jpg"
    model = folder / "vitc.safetensors"
    run_text([options.vitc, "convert", folder / "timm", "-o", model])
    threads = str(options.threads)
    commands = {
        "vitc": [options.vitc, "classify", "-m", model, "--threads", threads, photo],
        "onnxruntime": [
            options.python,
            BENCH / "cold_onnxruntime.py",
            folder / "model.onnx",
            photo,
            threads,
        ],
    }
    if options.vitcpp:
        commands["vit.cpp"] = [
            options.vitcpp, "-m", options.vitcpp_model, "-i", photo, "-t", threads
        ]  # fmt: skip
    runs = bench_start.measure(commands, options.cold_rounds)
    floor = bench_start.own_peak()
    for name, pairs in runs.items():
        times, peaks = zip(*pairs)
        row = summary([[1e3 * seconds for seconds in times]])
        row["ms"] = row.pop("ms_per_image")
        del row["round_medians"]
        peak = statistics.median(peaks)
        row.update(contender=name, peak_mib=round(peak / 2**20, 1), peak_is_bound=peak <= floor)
        results["cold_starts"].append(row)
        print(f"cold start {name}: {row['ms']:.1f} ms, {row['peak_mib']} MiB", flush=True)


# ---- what is needed first ----


def set_up(options):
    venv = options.python.parent.parent
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [options.python, "-m", "pip", "install", "-r", BENCH / "requirements.txt"]
    subprocess.run(pip, check=True)


def peer_versions(options, packages=PACKAGES):
    code = (
        "import json, platform; from importlib.metadata import version;"
        f"print(json.dumps({{n: version(n) for n in {packages!r}}} | "
        "{'python': platform.python_version()}))"
    )
    return json.loads(run_text([options.python, "-c", code]))


def make_models(options, versions):
    models = [*options.models, *([COLD_MODEL] if options.cold_rounds else [])]
    make_by(options, versions, "peer_models.py", dict.fromkeys(models))


def make_by(options, versions, name, models):
    """Those that are missing or were made by other versions or another script."""
    script = BENCH / name
    stamp = json.dumps([versions, script.read_text(), (BENCH / "bench_common.py").read_text()])
    for model in models:
        made = options.work / model / "made_by.json"
        if made.exists() and made.read_text() == stamp:
            continue
        print(f"making {model} (minutes, once)", flush=True)
        log = options.work / f"{script.stem}.log"
        with open(log, "wb") as output:
            command = [options.python, script, options.work, model]
            if subprocess.run(command, stdout=output, stderr=output, check=False).returncode != 0:
                sys.exit(f"{name} failed: {log}")
        made.write_text(stamp)


def refuse_busy_machine(options):
    share = bench_machine.share_of_others()
    if share <= bench_machine.BUSY_SHARE:
        return
    text = f"others use {share:.0%} of the CPUs: timings would mean little"
    if not options.busy_ok:
        print(f"{Path(sys.argv[0]).name}: {text} (--busy-ok measures all the same)", file=sys.stderr)
        sys.exit(2)
    print(f"WARNING: {text}", file=sys.stderr)


def listed(allowed):
    def parse(text):
        names = text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name} is not one of {', '.join(allowed)}")
        return names

    return parse


def batch_list(text):
    batches = [int(batch) for batch in text.split(",")]
    if not all(1 <= batch <= 16 for batch in batches):
        raise argparse.ArgumentTypeError("batches are 1 to 16, the number of photographs")
    return batches


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--setup", action="store_true", help="install the peers into WORK/venv and stop")
    add("--build", type=Path, default=ROOT / "build/release", help="built with VITC_BENCH=ON")
    add("--work", type=Path, default=ROOT / "build/bench", help="models and logs (2 GB)")
    add("--venv", type=Path, help="the peers' virtual environment (WORK/venv)")
    add("--out", type=Path, help="where RESULTS.md and results.json go")
    add("--models", type=listed(MODELS), default=list(MODELS))
    add("--batches", type=batch_list, default=[1, 8])
    add("--precisions", type=listed(PRECISIONS), default=list(PRECISIONS))
    add("--only", type=listed(CONTENDERS), help="the contenders, by comma")
    add("--threads", type=int, default=2)
    add("--quick", action="store_true", help="short slices, without pytorch-compiled")
    add("--rounds", type=int, help="of each cell (7; quick 3)")
    add("--warmup", type=float, help="seconds before each slice (0.3; quick 0.2)")
    add("--slice", type=float, help="seconds of runs that count (1; quick 0.5)")
    add("--cold-rounds", type=int, help="cold starts of each (15; quick 7; 0 for none)")
    add("--vitcpp", type=Path, help="vit.cpp's program `vit`, for the cold start")
    add("--vitcpp-model", type=Path, help="its ViT-Ti/16 file")
    add("--busy-ok", action="store_true", help="measure on a busy machine")
    options = parser.parse_args()

    # Only a whole run replaces the results of the project.
    whole = not (options.quick or options.only) and all(
        getattr(options, name) == parser.get_default(name)
        for name in ("models", "batches", "precisions")
    )
    quick = {"rounds": 3, "warmup": 0.2, "slice": 0.5, "cold_rounds": 7}
    full = {"rounds": 7, "warmup": 0.3, "slice": 1.0, "cold_rounds": 15}
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.only is None:
        options.only = [n for n in CONTENDERS if not (options.quick and n == "pytorch-compiled")]
    if bool(options.vitcpp) != bool(options.vitcpp_model):
        parser.error("--vitcpp and --vitcpp-model go together")
    options.work = options.work.resolve()
    options.out = options.out or (BENCH if whole else options.work)
    options.python = (options.venv or options.work / "venv").absolute() / "bin/python"
    options.vitc = options.build.resolve() / "apps/vitc"
    options.server = options.build.resolve() / "bench/forward_server"
    return options


def main():
    options = parse_options()
    if options.setup:
        set_up(options)
        return
    for path, advice in (
        (options.python, "run --setup first"),
        (options.vitc, "build vitc first"),
        (options.server, "configure with -DVITC_BENCH=ON and build"),
    ):
        if shutil.which(path) is None:
            sys.exit(f"{path} is missing: {advice}")
    options.work.mkdir(parents=True, exist_ok=True)

    versions = peer_versions(options)
    make_models(options, versions)
    refuse_busy_machine(options)
    settings = ("threads", "rounds", "warmup", "slice", "cold_rounds", "batches", "only")
    results = {
        "machine": bench_machine.describe(),
        "versions": {"vitc": bench_machine.git_version(ROOT), **versions},
        "settings": {name: getattr(options, name) for name in settings},
        "bounds": BOUNDS,
        "cells": [],
        "cold_starts": [],
        "failures": [],
    }
    for model in options.models:
        for precision in options.precisions:
            measure(options, model, precision, results)
    if options.cold_rounds:
        cold_starts(options, results)

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "RESULTS.md").write_text(bench_report.markdown(results))
    print(f"wrote {options.out / 'RESULTS.md'}")
    sys.exit(1 if results["failures"] else 0)


if __name__ == "__main__":
    main()
