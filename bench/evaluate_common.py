"""What the peers of bench/evaluate.py share: classes, metrics and what they write.

Standard output is one JSON object: n, top1, top5, loss, and images_per_second from the end of the
first batch to the end of the last one. Starting worker processes and compiling are over by then.
"""

import json
import time

import numpy


def read_classes(path):
    """{class folder: label} of lines "class,#label", which vitc's --map reads too."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").rpartition(",#") for line in file]
    return {name: int(label) for name, _, label in lines}


class Evaluation:
    """Metrics of batches of logits, in the order of paths."""

    def __init__(self, paths):
        self.paths = [str(path) for path in paths]
        self.logits, self.labels = [], []
        self.first_seconds = None

    def add(self, logits, labels):
        self.logits.append(logits)
        self.labels.append(labels)
        if self.first_seconds is None:
            self.first_seconds = time.perf_counter()

    def finish(self, arguments):
        seconds = time.perf_counter() - self.first_seconds
        after_first = len(self.paths) - len(self.labels[0])
        logits = numpy.concatenate(self.logits).astype(numpy.float64)
        labels = numpy.concatenate(self.labels)
        own = numpy.take_along_axis(logits, labels[:, None], 1)
        rank = (logits > own).sum(1)
        largest = logits.max(1, keepdims=True)
        sums = numpy.log(numpy.exp(logits - largest).sum(1)) + largest[:, 0]
        if arguments.predictions:
            with open(arguments.predictions, "w", encoding="utf-8") as file:
                for path, label in zip(self.paths, logits.argmax(1).tolist()):
                    file.write(f"{path},{label}\n")
        if arguments.logits:
            with open(arguments.logits, "w", encoding="utf-8") as file:
                json.dump(dict(zip(self.paths, logits.tolist())), file)
        result = {
            "n": len(labels),
            "top1": float((rank < 1).mean()),
            "top5": float((rank < 5).mean()),
            "loss": float((sums - own[:, 0]).mean()),
            "images_per_second": after_first / seconds,
        }
        print(json.dumps(result), flush=True)
