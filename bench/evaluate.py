#!/usr/bin/env python3
"""Times `vitc eval` against PyTorch and ONNX Runtime: from JPEG files on disk to metrics.

    python3 bench/peers.py --setup                       # once: the peers, into build/bench/venv
    cmake --preset release && cmake --build --preset release
    python3 bench/evaluate.py PHOTOS                     # about 15 minutes; bench/EVALUATE.md

PHOTOS is a folder of class folders of JPEGs; they are repeated to as many files as are evaluated.
Every run is a process of its own, timed from its start to its end. Each way of using a peer is
tried once on few images; the fastest ways then take turns with vitc. Labels predicted by every run
are compared with PyTorch's float32 logits, image by image. bench/README.md has the rest.

Runs are kept in WORK/evaluate/runs.json, so that the steps may be taken one by one:

    python3 bench/evaluate.py PHOTOS --steps choose --models vit_tiny_patch16_224
    python3 bench/evaluate.py PHOTOS --steps rounds --models vit_tiny_patch16_224 --rounds 1
    python3 bench/evaluate.py PHOTOS --steps report

Exits with 1 when a run failed or disagrees, with 2 when the machine is busy.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bench_machine
import evaluate_report
import peers

BENCH = Path(__file__).resolve().parent

# What is measured: images of a round and of a try, rounds, and the ways of using each contender.
# "@" is the model's folder of peer_models.py. vitc computes in lanes by itself.
MODELS = {
    "vit_base_patch16_224": {
        "images": 200,
        "choice_images": 32,
        "rounds": 3,
        "ways": {
            "vitc": ["--precision f32"],
            "vitc bench": ["--precision f32 --batch 8"],
            "pytorch": [
                "--precision f32 --threads 2 --batch 8",
                "--precision f32 --threads 2 --batch 16",
                "--precision f32 --threads 1 --batch 8",
            ],
            "onnxruntime": [
                "@model.onnx --mode feed --batch 1",
                "@model.onnx --mode feed --batch 8",
                "@model.onnx --mode feed --batch 8 --no-spinning",
            ],
            "onnxruntime-lanes": ["@model.onnx --mode lanes --batch 1"],
        },
    },
    "vit_tiny_patch16_224": {
        "images": 2000,
        "choice_images": 200,
        "rounds": 3,
        "ways": {
            "vitc": ["--precision int8", "--precision bf16"],
            "pytorch": [
                "--precision bf16 --threads 2 --batch 8",
                "--precision bf16 --threads 2 --batch 40",
                "--precision bf16 --threads 1 --batch 8",
                "--precision int8 --threads 2 --batch 8",
                "--precision bf16 --threads 2 --batch 8 --compiled",
                "--precision bf16 --threads 2 --batch 40 --compiled",
                "--precision bf16 --threads 1 --batch 8 --compiled",
            ],
            "onnxruntime": [
                "@model_int8.onnx --mode feed --batch 1",
                "@model_int8.onnx --mode feed --batch 8",
                "@model_int8.onnx --mode feed --batch 8 --no-spinning",
            ],
            "onnxruntime-lanes": [
                "@model_int8.onnx --mode lanes --batch 1",
                "@model_int8.onnx --mode lanes --batch 8",
                "@model.onnx --mode lanes --batch 1",
            ],
        },
    },
}
BENCH_SECONDS = 5  # of `vitc bench`


# ---- the images ----


class Set:
    """Copies of photos in class folders, made once, and which photo each of them is."""

    def __init__(self, options, count):
        photos = sorted(path for path in options.photos.glob("*/*") if path.is_file())
        classes = sorted({path.parent.name for path in photos})
        if not photos or len(classes) > 1000:
            sys.exit(f"{options.photos}: not 1 to 1000 class folders of photos")
        self.count = count
        self.folder = options.folder / f"{count}-images"
        self.classes = options.folder / f"{count}-images.csv"
        self.photo_of = {}
        used = set()
        for number in range(count):
            if count < len(photos):  # spread over all photos
                photo = photos[number * len(photos) // count]
            else:
                photo = photos[number % len(photos)]
            copy = f"{photo.parent.name}/{photo.stem}-{number // len(photos)}{photo.suffix}"
            self.photo_of[copy] = photo.relative_to(options.photos)
            used.add(photo.parent.name)
        labels = [f"{name},#{label}\n" for label, name in enumerate(classes) if name in used]
        self.make(options, "".join(labels))

    def make(self, options, labels):
        if self.classes.exists() and self.classes.read_text() == labels:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        for copy, photo in self.photo_of.items():
            (self.folder / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(options.photos / photo, self.folder / copy)
        self.classes.write_text(labels)


# ---- one run ----


def int8_model(options, model):
    """vitc's own quantization, made anew in every call, as the program may have changed."""
    path = options.folder / f"{model}-int8.safetensors"
    if path not in options.made:
        timm = options.work / model / "timm"
        peers.run_text([options.vitc, "quantize", timm, "-o", path, "--dtype", "int8"])
        options.made.add(path)
    return path


def command_of(options, model, contender, way, images, predictions):
    folder = options.work / model
    words = [str(folder / word[1:]) if word.startswith("@") else word for word in way.split()]
    threads = ["--threads", options.threads]
    if contender.startswith("vitc"):
        weights = int8_model(options, model) if "int8" in words else folder / "timm"
        command = [options.vitc, "eval" if contender == "vitc" else "bench", "-m", weights]
        command += ["--json", "-q", *threads, *words]
        if contender == "vitc bench":
            return [*command, "--seconds", BENCH_SECONDS]
        return [*command, "--map", images.classes, "--rows", predictions, images.folder]
    if contender == "pytorch":
        rest = [folder / "timm", images.folder, images.classes, *words]
        return [options.python, BENCH / "evaluate_pytorch.py", *rest, "--predictions", predictions]
    rest = [words[0], images.folder, images.classes, *threads, *words[1:]]
    return [options.python, BENCH / "evaluate_onnxruntime.py", *rest, "--predictions", predictions]


def run_command(options, command):
    """(standard output, seconds from start to end, share of the CPUs that others used)"""
    environment = dict(
        os.environ,
        OMP_NUM_THREADS=str(options.threads),
        TORCHINDUCTOR_CACHE_DIR=str(options.work / "inductor"),
    )
    others = bench_machine.Others()
    begin = time.perf_counter()
    with open(options.folder / "stderr.log", "wb") as errors:
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        lines = (options.folder / "stderr.log").read_text(errors="replace").strip().splitlines()
        raise peers.Failure(lines[-1] if lines else f"exit status {process.returncode}")
    own = (usage.ru_utime + usage.ru_stime) / (seconds * os.cpu_count())
    return output, seconds, max(0.0, others.share() - own)


def read_predictions(path, contender, images):
    """{copy: label}"""
    lines = path.read_text().splitlines()
    if contender != "vitc":
        pairs = [line.rpartition(",") for line in lines]
        return {copy: int(label) for copy, _, label in pairs}
    rows = [row for row in map(json.loads, lines) if "top" in row]
    return {os.path.relpath(row["path"], images.folder): row["top"][0]["index"] for row in rows}


def reference_logits(options, model):
    """PyTorch's float32 logits of every photo, computed once: {photo: logits}"""
    path = options.folder / f"{model}-logits.json"
    stamp = options.folder / f"{model}-logits.stamp"
    made_by = (options.work / model / "made_by.json").read_text() + str(options.photos)
    if not stamp.exists() or stamp.read_text() != made_by:
        classes = sorted({photo.parent.name for photo in options.photos.glob("*/*")})
        names = options.folder / "photos.csv"
        names.write_text("".join(f"{name},#{label}\n" for label, name in enumerate(classes)))
        script = BENCH / "evaluate_pytorch.py"
        peers.run_text(
            [options.python, script, options.work / model / "timm", options.photos, names]
            + ["--logits", path]
        )
        stamp.write_text(made_by)
    return json.loads(path.read_text())


def agreement(predictions, images, reference, precision):
    """How many labels are PyTorch's. Another one has to be within the precision's bound: logits
    that far from the reference may change places."""
    same = 0
    for copy, photo in images.photo_of.items():
        logits = reference[str(photo)]
        largest = max(logits)
        label = predictions[copy]
        same += logits[label] == largest
        slack = 2 * peers.BOUNDS[precision] * max(map(abs, logits))
        if logits[label] < largest - slack:
            raise peers.Failure(f"{copy}: label {label} is wrong in {precision}")
    return same


def precision_of(way):
    for precision in peers.PRECISIONS:
        if precision in way:
            return precision
    return "f32"


def measure(options, model, contender, way, images, reference):
    """One run, checked: what runs.json keeps of it."""
    predictions = options.folder / "predictions"
    predictions.unlink(missing_ok=True)
    command = command_of(options, model, contender, way, images, predictions)
    output, seconds, others = run_command(options, command)
    result = json.loads(output)
    run = {
        "model": model,
        "contender": contender,
        "way": way,
        "images": images.count,
        "seconds": round(seconds, 3),
        "others": round(others, 3),
    }
    if contender == "vitc bench":
        run["images_per_second"] = 1e3 / result[0]["ms_per_image"]
        return run
    if result["n"] != images.count:
        raise peers.Failure(f"{result['n']} of {images.count} images")
    found = read_predictions(predictions, contender, images)
    run["same"] = agreement(found, images, reference, precision_of(way))
    run |= {name: result[name] for name in ("top1", "top5", "loss")}
    times = result.get("times", result)
    run["images_per_second"] = times["images_per_second"]
    if "times" in result:
        run["times"] = times
    return run


# ---- the steps ----


class Runs:
    """WORK/evaluate/runs.json, written after every run."""

    def __init__(self, options):
        self.path = options.folder / "runs.json"
        self.content = {"runs": [], "failures": []}
        if self.path.exists() and not options.anew:
            self.content = json.loads(self.path.read_text())

    def describe(self, versions):
        """Machine and versions; the latest, where steps are taken one by one."""
        self.content["machine"] = bench_machine.describe()
        del self.content["machine"]["load_average"]  # every run has what others used
        self.content["versions"] = {"vitc": bench_machine.git_version(BENCH.parent), **versions}

    def add(self, step, number, run):
        self.content["runs"].append({"step": step, "round": number, **run})
        self.save()

    def save(self):
        self.path.write_text(json.dumps(self.content, indent=1) + "\n")

    def of(self, step, model, images=None):
        return [
            run
            for run in self.content["runs"]
            if run["step"] == step and run["model"] == model and images in (None, run["images"])
        ]


def try_run(options, runs, step, number, model, contender, way, images, reference):
    label = f"{model} {step} {number} {contender} {way}"
    try:
        run = measure(options, model, contender, way, images, reference)
    except peers.Failure as failure:
        print(f"{label}: {failure}", flush=True)
        runs.content["failures"].append(
            {"model": model, "contender": contender, "precision": way, "why": str(failure)}
        )
        runs.save()
        return
    runs.add(step, number, run)
    print(
        f"{label}: {run['images_per_second']:.2f} images/s, {run['seconds']:.1f} s in all, "
        f"same {run.get('same', '-')}, others {run['others']:.0%}",
        flush=True,
    )


def choose(options, runs, model):
    """Every way once, where there is a choice; those that runs.json has are not tried again."""
    images = Set(options, MODELS[model]["choice_images"])
    reference = reference_logits(options, model)
    tried = [(run["contender"], run["way"]) for run in runs.of("choose", model)]
    for contender, ways in MODELS[model]["ways"].items():
        if contender in options.only and len(ways) > 1:
            for way in ways:
                if (contender, way) in tried:
                    continue
                try_run(options, runs, "choose", 0, model, contender, way, images, reference)


def chosen_ways(runs, model, contender, count):
    """The fastest while it runs, and the one with which `count` images would be done first."""
    ways = MODELS[model]["ways"][contender]
    tried = [run for run in runs.of("choose", model) if run["contender"] == contender]
    if len(ways) == 1:
        return ways
    if not tried:
        sys.exit(f"{model}: no way of using {contender} was tried: --steps choose")

    def whole(run):
        started = run["seconds"] - run["images"] / run["images_per_second"]
        return started + count / run["images_per_second"]

    best = [max(tried, key=lambda run: run["images_per_second"])["way"]]
    if (first := min(tried, key=whole)["way"]) not in best:
        best.append(first)
    return best


def take_turns(options, runs, model):
    count = options.images or MODELS[model]["images"]
    images = Set(options, count)
    reference = reference_logits(options, model)
    turns = [
        (contender, way)
        for contender in MODELS[model]["ways"]
        if contender in options.only
        for way in chosen_ways(runs, model, contender, count)
    ]
    done = 1 + max((run["round"] for run in runs.of("rounds", model, count)), default=-1)
    for number in range(done, done + (options.rounds or MODELS[model]["rounds"])):
        first = number % len(turns)
        for contender, way in turns[first:] + turns[:first]:
            try_run(options, runs, "rounds", number, model, contender, way, images, reference)


def report(options, runs):
    if not runs.content["runs"]:
        sys.exit(f"{runs.path}: no runs to report")
    settings = {"threads": options.threads, "bench_seconds": BENCH_SECONDS}
    results = {"settings": settings, **runs.content}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "evaluate.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "EVALUATE.md").write_text(evaluate_report.markdown(results))
    print(f"wrote {options.out / 'EVALUATE.md'}")


# ---- options ----

STEPS = {"choose": choose, "rounds": take_turns}
CONTENDERS = ("vitc", "vitc bench", "pytorch", "onnxruntime", "onnxruntime-lanes")


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, help="a folder of class folders of JPEGs")
    add("--build", type=Path, default=peers.ROOT / "build/release")
    add("--work", type=Path, default=peers.ROOT / "build/bench", help="that of peers.py")
    add("--venv", type=Path, help="the peers' virtual environment (WORK/venv)")
    add("--out", type=Path, default=BENCH, help="where EVALUATE.md and evaluate.json go")
    add("--steps", type=peers.listed((*STEPS, "report")), help="choose, rounds, report, by comma")
    add("--models", type=peers.listed(MODELS), default=list(MODELS))
    add("--only", type=peers.listed(CONTENDERS), default=list(CONTENDERS), help="the contenders")
    add("--images", type=int, help="of each run in the rounds (ViT-B/16 200, ViT-Ti/16 2000)")
    add("--rounds", type=int, help="to add (3)")
    add("--threads", type=int, default=2)
    add("--busy-ok", action="store_true", help="measure on a busy machine")
    options = parser.parse_args()
    options.anew = options.steps is None
    options.steps = options.steps or [*STEPS, "report"]
    options.photos = options.photos.resolve()
    options.work = options.work.resolve()
    options.folder = options.work / "evaluate"
    options.python = (options.venv or options.work / "venv").absolute() / "bin/python"
    options.vitc = options.build.resolve() / "apps/vitc"
    options.cold_rounds = 0  # peers.make_models asks
    options.made = set()
    return options


def main():
    options = parse_options()
    for path, advice in (
        (options.python, "run bench/peers.py --setup first"),
        (options.vitc, "build vitc first"),
    ):
        if shutil.which(path) is None:
            sys.exit(f"{path} is missing: {advice}")
    options.folder.mkdir(parents=True, exist_ok=True)
    runs = Runs(options)
    measured = [step for step in options.steps if step != "report"]
    if measured:
        versions = peers.peer_versions(options)
        peers.make_models(options, versions)
        peers.refuse_busy_machine(options)
        runs.describe(versions)
    for step in measured:
        for model in options.models:
            STEPS[step](options, runs, model)
    if "report" in options.steps:
        report(options, runs)
    sys.exit(1 if runs.content["failures"] else 0)


if __name__ == "__main__":
    main()
