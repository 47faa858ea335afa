#!/usr/bin/env python3
"""Makes bundled.json: what Pillow, timm and PyTorch say about photos/ under the built-in model.

    make_bundled.py [--vitc PROGRAM]        default: build/release/apps/vitc

`vitc convert --export timm` writes the model as a directory; the rest is timm: its own
preprocessing on Pillow's pixels (turned upright by EXIF, converted to RGB) and its model in float32.

    {"model": "<its name>", "versions": {...},
     "images": [{"file": "<name>", "width": W, "height": H, "logits": [K numbers],
                 "top": [{"index": i, "label": "...", "score": p}, ... five]}, ...]}

width and height are those of the upright image; scores are the softmax of the logits; equal scores
come in the order of their indices.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from golden_common import versions, write_json

import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from bench_common import (  # noqa: E402
    bundled_model,
    list_photos,
    load_timm_model,
    open_photo,
    timm_preprocess,
)

TOP = 5


def classify(model, transform, labels, path):
    image = open_photo(path)
    with torch.no_grad():
        logits = model(transform(image)[None])[0]
    scores = logits.softmax(0)
    order = sorted(range(len(scores)), key=lambda index: (-scores[index].item(), index))
    return {
        "file": path.name,
        "width": image.width,
        "height": image.height,
        "logits": logits.tolist(),
        "top": [
            {"index": index, "label": labels[index], "score": scores[index].item()}
            for index in order[:TOP]
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vitc", default=str(ROOT / "build" / "release" / "apps" / "vitc"))
    options = parser.parse_args()

    path = bundled_model()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "timm")
        subprocess.run(
            [options.vitc, "convert", path, "--export", "timm", "-o", folder], check=True
        )
        model = load_timm_model(folder)
        labels = json.loads((folder / "config.json").read_text())["label_names"]
    transform = timm_preprocess(model)
    result = {
        "model": path.stem,
        "versions": versions(),
        "images": [classify(model, transform, labels, photo) for photo in list_photos()],
    }
    write_json(HERE / "bundled.json", result)
    for image in result["images"]:
        best = image["top"][0]
        print(f"{image['file']:28} {best['label']:12} {best['score']:.4f}")


if __name__ == "__main__":
    main()
