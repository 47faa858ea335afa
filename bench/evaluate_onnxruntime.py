#!/usr/bin/env python3
"""evaluate_onnxruntime.py MODEL.onnx SET CLASSES - a folder of class folders evaluated with Pillow
and ONNX Runtime, without start-up costs that a careful program can avoid.

    feed    threads decode ahead of one session that computes with all threads
    lanes   each thread decodes its batch and computes it with one thread: nobody waits for anybody

CLASSES is a file of lines "class,#label". Writes what bench/evaluate_common.py describes.
"""

import argparse
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import onnxruntime
from PIL import Image

from evaluate_common import Evaluation, read_classes

# timm's transform of these models, as their config.json has it: bicubic, crop_pct 0.9, mean and
# deviation 0.5.
SIDE = 224
SHORT_SIDE = int(SIDE / 0.9)
AHEAD = 4  # batches that are being decoded or are ready


def list_images(root):
    return sorted(path for path in Path(root).glob("*/*") if path.is_file())


def preprocess(path, out):
    """Into out [3, SIDE, SIDE]."""
    with Image.open(path) as image:
        image = image.convert("RGB")
    width, height = image.size
    short = min(width, height)
    # The longer side is rounded down, the crop's corner to the nearest: torchvision's arithmetic.
    size = [int(SHORT_SIDE * side / short) for side in (width, height)]
    left, top = (round((side - SIDE) / 2) for side in size)
    image = image.resize(size, Image.Resampling.BICUBIC)
    image = image.crop((left, top, left + SIDE, top + SIDE))
    out[...] = numpy.asarray(image).transpose(2, 0, 1)
    out *= 1 / 127.5
    out -= 1


def load_batch(paths):
    pixels = numpy.empty((len(paths), 3, SIDE, SIDE), numpy.float32)
    for path, out in zip(paths, pixels):
        preprocess(path, out)
    return pixels


def open_session(arguments):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if arguments.mode == "lanes" else arguments.threads
    options.inter_op_num_threads = 1
    if arguments.no_spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        arguments.model, options, providers=["CPUExecutionProvider"]
    )


def results_in_order(pool, work, batches):
    """work(batch) of each, in order, with AHEAD of them in the pool's hands."""
    running = deque()
    for batch in batches:
        running.append((batch, pool.submit(work, batch)))
        if len(running) > AHEAD:
            done, future = running.popleft()
            yield done, future.result()
    for done, future in running:
        yield done, future.result()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("set")
    parser.add_argument("classes")
    parser.add_argument("--mode", choices=("feed", "lanes"), default="feed")
    parser.add_argument("--no-spinning", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--predictions", help="file to write: path,label of every image")
    arguments = parser.parse_args()
    arguments.logits = None

    session = open_session(arguments)
    classes = read_classes(arguments.classes)
    paths = list_images(arguments.set)
    batches = [
        paths[first : first + arguments.batch] for first in range(0, len(paths), arguments.batch)
    ]

    def compute(pixels):
        return session.run(None, {"pixels": pixels})[0]

    def both(batch):
        return compute(load_batch(batch))

    evaluation = Evaluation([path.relative_to(arguments.set) for path in paths])
    with ThreadPoolExecutor(arguments.threads) as pool:
        lanes = arguments.mode == "lanes"
        for batch, made in results_in_order(pool, both if lanes else load_batch, batches):
            logits = made if lanes else compute(made)
            evaluation.add(logits, numpy.array([classes[path.parent.name] for path in batch]))
    evaluation.finish(arguments)


if __name__ == "__main__":
    main()
