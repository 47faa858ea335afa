#!/usr/bin/env python3
"""Times the image path on one core: vitc, Pillow, Pillow-SIMD and OpenCV, in turn, on the same JPEGs.

Prints Markdown and writes JSON. bench/README.md says how to run it and what is compared.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import bench_machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "build" / "bench" / "image"
SIDE = 224
FILTERS = ("bilinear", "bicubic", "lanczos")
# What each stage is. A contender answers those that it has.
STAGES = {
    "decode": "JPEG in memory to RGB pixels",
    "resize-bilinear": f"RGB pixels to {SIDE}x{SIDE}",
    "resize-bicubic": f"RGB pixels to {SIDE}x{SIDE}",
    "resize-lanczos": f"RGB pixels to {SIDE}x{SIDE}",
    "normalize": f"{SIDE}x{SIDE} pixels to normalized float32",
    "path-bilinear": "JPEG to normalized float32: all three",
    "path-bicubic": "JPEG to normalized float32: all three",
    "fast-bilinear": "the same with a reduced decode: --fast-decode, draft()",
}
# The memory of an image goes back to the system after each one, or not, as the heap of a process
# happens to lie, and faulting it in again takes as long as decoding. Nobody's does here.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


# ---- the peers, each in a process of its own ----


class Pillow:
    """The calls that a careful user makes: pixels never copied without need, tensors in place."""

    def __init__(self):
        import numpy
        import PIL
        from PIL import Image, features

        self.numpy, self.image = numpy, Image
        self.filters = {name: Image.Resampling[name.upper()] for name in FILTERS}
        self.scale = [1 / 255 / std for std in STD]
        self.shift = [-mean / std for mean, std in zip(MEAN, STD)]
        self.tensor = numpy.empty((3, SIDE, SIDE), "f4")
        self.version = f"{PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"

    def decode(self, data):
        return self.image.open(io.BytesIO(data)).convert("RGB")

    def fast(self, data):
        image = self.image.open(io.BytesIO(data))
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        return image.convert("RGB")

    def resize(self, image, name):
        return image.resize((SIDE, SIDE), self.filters[name])

    def normalize(self, image):
        # The fastest of several ways in NumPy.
        self.tensor[...] = self.numpy.asarray(image).transpose(2, 0, 1)
        for plane, scale, shift in zip(self.tensor, self.scale, self.shift):
            plane *= scale
            plane += shift
        return self.tensor


class OpenCV:
    """Its filters do not widen when an image shrinks, so its pixels are other ones, and aliased."""

    def __init__(self):
        import cv2
        import numpy

        cv2.setNumThreads(1)
        self.cv2, self.numpy = cv2, numpy
        self.filters = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
        self.filters["lanczos"] = cv2.INTER_LANCZOS4
        self.version = cv2.__version__

    def decode(self, data):
        return self.cv2.imdecode(self.numpy.frombuffer(data, "u1"), self.cv2.IMREAD_COLOR)

    def resize(self, image, name):
        return self.cv2.resize(image, (SIDE, SIDE), interpolation=self.filters[name])

    def normalize(self, image):
        mean = [255 * m for m in MEAN]
        blob = self.cv2.dnn.blobFromImage(image, 1 / 255, mean=mean, swapRB=True)[0]
        for channel, std in enumerate(STD):
            blob[channel] *= 1 / std
        return blob


def stage_of(peer, name, photos):
    """The work of a stage on one photo, and what it works on."""
    kind, _, kernel = name.partition("-")
    if kind == "decode":
        return peer.decode, photos
    if kind == "resize":
        return lambda image: peer.resize(image, kernel), [peer.decode(p) for p in photos]
    if kind == "normalize":
        return peer.normalize, [peer.resize(peer.decode(p), "bilinear") for p in photos]
    decode = peer.fast if kind == "fast" else peer.decode
    return lambda data: peer.normalize(peer.resize(decode(data), kernel)), photos


def work(peer, paths):
    photos = [Path(path).read_bytes() for path in paths]
    print(peer.version, flush=True)
    stages = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in stages:
            stages[name] = stage_of(peer, name, photos)
        run, inputs = stages[name]
        start = time.perf_counter()
        for value in inputs:
            run(value)
        print((time.perf_counter() - start) / len(inputs) * 1e6, flush=True)


# ---- the comparison ----


class Contender:
    def __init__(self, name, command, stages):
        self.name, self.stages = name, stages
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **KEEP_MEMORY},
        )
        self.version = self.answer()
        self.times = {stage: [] for stage in stages}

    def answer(self):
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"{self.name} ended with status {self.process.wait()}")
        return line

    def ask(self, stage):
        print(stage, file=self.process.stdin, flush=True)
        return float(self.answer())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_photos(python, folder, count, width, height):
    """JPEGs of one size, quality 90, out of any photographs; made once."""
    made = WORK / f"{width}x{height}"
    done = sorted(made.glob("*.jpg"))
    if len(done) >= count:
        return done[:count]
    made.mkdir(parents=True, exist_ok=True)
    script = """
import sys
from pathlib import Path
from PIL import Image, ImageOps
folder, made, count, width, height = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
names = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
for number, name in enumerate(names[:count]):
    with Image.open(name) as image:
        photo = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    photo.save(made / f"{number:03}.jpg", quality=90)
"""
    arguments = [str(folder), str(made), str(count), str(width), str(height)]
    subprocess.run([python, "-c", script, *arguments], check=True)
    done = sorted(made.glob("*.jpg"))
    if not done:
        sys.exit(f"{folder} holds no photographs")
    return done


def quartiles(times):
    q1, median, q3 = statistics.quantiles(times, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3}


def ratio(ours, theirs):
    """Within rounds, as a machine's speed changes for both halves of a round alike."""
    return quartiles([b / a for a, b in zip(ours, theirs)])


def table(results):
    names = list(results["contenders"])
    lines = [["stage, us per photo", *names, *(f"against {n}" for n in names[1:])]]
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    for stage, row in results["stages"].items():
        line = [stage]
        for name in names:
            cell = row["us"].get(name)
            line.append(f"{cell['median']:.0f} ({cell['q1']:.0f}-{cell['q3']:.0f})" if cell else "")
        for name in names[1:]:
            cell = row["speedup"].get(name)
            line.append(f"{cell['median']:.2f}x" if cell else "")
        lines.append(line)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def report(results):
    machine = results["machine"]
    width, height = results["size"]
    text = f"{results['photos']} JPEGs of {width}x{height}, quality 90, to {SIDE}x{SIDE}; one core of "
    text += f"{machine['cpu']} (family/model {machine['family']}); medians (quartiles) of "
    text += f"{results['rounds']} rounds; others used {results['others']:.0%} of the CPUs.\n\n"
    text += table(results) + "\n"
    for name, version in results["contenders"].items():
        text += f"- {name}: {version}\n"
    return text


def start(arguments, photos):
    paths = [str(path) for path in photos]
    script = str(Path(__file__).resolve())
    plain = [stage for stage in STAGES if not stage.startswith("fast")]
    contenders = [
        Contender("vitc", [str(arguments.vitc), *paths], list(STAGES)),
        Contender(
            "Pillow", [arguments.python, script, "--worker", "pillow", *paths], list(STAGES)
        ),
    ]
    if arguments.simd_python:
        command = [arguments.simd_python, script, "--worker", "pillow", *paths]
        contenders.append(Contender("Pillow-SIMD", command, list(STAGES)))
    if not arguments.no_opencv:
        command = [arguments.python, script, "--worker", "opencv", *paths]
        contenders.append(Contender("OpenCV", command, plain))
    return contenders


def compare(arguments, photos):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the contenders inherit it
    contenders = start(arguments, photos)
    for contender in contenders:
        for stage in contender.stages:
            contender.ask(stage)  # decodes what the stage needs, and warms up
    others = bench_machine.Others()
    for number in range(arguments.rounds):
        shift = number % len(contenders)
        for stage in STAGES:
            for contender in contenders[shift:] + contenders[:shift]:
                if stage in contender.stages:
                    contender.times[stage].append(contender.ask(stage))
    # One core of all was ours.
    share = others.share() - 1 / os.cpu_count()
    results = {
        "machine": bench_machine.describe(),
        "vitc": bench_machine.git_version(ROOT),
        "others": max(0.0, share),
        "photos": len(photos),
        "size": [arguments.width, arguments.height],
        "side": SIDE,
        "rounds": arguments.rounds,
        "contenders": {c.name: c.version for c in contenders},
        "stages": {},
    }
    ours = contenders[0]
    for stage, what in STAGES.items():
        having = [c for c in contenders if stage in c.stages]
        results["stages"][stage] = {
            "what": what,
            "us": {c.name: quartiles(c.times[stage]) for c in having},
            "speedup": {
                c.name: ratio(ours.times[stage], c.times[stage]) for c in having if c is not ours
            },
        }
    for contender in contenders:
        contender.close()
    return results


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="?", type=Path, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=64, help="how many of them")
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--python", default=sys.executable, help="one that has Pillow and OpenCV")
    parser.add_argument("--simd-python", help="one that has Pillow-SIMD in Pillow's place")
    parser.add_argument("--no-opencv", action="store_true")
    default = ROOT / "build" / "release" / "bench" / "image_path"
    parser.add_argument("--vitc", type=Path, default=default, help="the program image_path")
    parser.add_argument("--out", type=Path, default=HERE / "image_path.json")
    arguments = parser.parse_args()
    if arguments.photos is None:
        parser.error("a folder of photographs is needed")
    return arguments


def main():
    if sys.argv[1:2] == ["--worker"]:
        work({"pillow": Pillow, "opencv": OpenCV}[sys.argv[2]](), sys.argv[3:])
        return
    arguments = parse()
    photos = make_photos(
        arguments.python, arguments.photos, arguments.count, arguments.width, arguments.height
    )
    results = compare(arguments, photos)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(report(results))


if __name__ == "__main__":
    main()
