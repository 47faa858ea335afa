#!/usr/bin/env python3
"""Makes bundled.json: what Pillow, timm and PyTorch say about photos/ under the built-in model.

    make_bundled.py [--vitc PROGRAM]        default: build/vitc

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
import tempfile
from pathlib import Path

from golden_common import versions, write_json

import timm
import torch
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
PHOTOS = HERE / "photos"
MODELS = HERE.parent.parent / "models"
NOT_PHOTOS = {".txt", ".json"}
TOP = 5


def built_in():
    (path,) = MODELS.glob("*.safetensors")
    return path


def load(folder):
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    settings = timm.data.resolve_data_config({}, model=model)
    labels = json.loads(Path(folder, "config.json").read_text())["label_names"]
    return model, timm.data.create_transform(**settings, is_training=False), labels


def open_upright(path):
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def classify(model, transform, labels, path):
    image = open_upright(path)
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
    parser.add_argument("--vitc", default=str(MODELS.parent / "build" / "vitc"))
    options = parser.parse_args()

    model = built_in()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "timm")
        subprocess.run(
            [options.vitc, "convert", model, "--export", "timm", "-o", folder], check=True
        )
        loaded = load(folder)
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix not in NOT_PHOTOS)
    result = {
        "model": model.stem,
        "versions": versions(),
        "images": [classify(*loaded, path) for path in photos],
    }
    write_json(HERE / "bundled.json", result)
    for image in result["images"]:
        best = image["top"][0]
        print(f"{image['file']:28} {best['label']:12} {best['score']:.4f}")


if __name__ == "__main__":
    main()
