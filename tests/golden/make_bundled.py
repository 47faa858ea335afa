#!/usr/bin/env python3
"""What Pillow, transformers and PyTorch say about a list of images under one Hugging Face ViT.

    make_bundled.py --model DIR [--round-weights bfloat16] --images FILE... --out FILE.json

Every image is opened with Pillow, turned upright by its EXIF orientation, converted to RGB,
preprocessed by the model's own image processor (PIL backend) and classified in float32. The result
is a JSON file:

    {"model": "<directory's name>", "weights": "float32" | "bfloat16", "versions": {...},
     "images": [{"file": "<name>", "width": W, "height": H, "logits": [K numbers],
                 "top": [{"index": i, "label": "...", "score": p}, ... five]}, ...]}

width and height are those of the upright image; scores are the softmax of the logits; equal scores
come in the order of their indices. --round-weights bfloat16 rounds what vitc convert --dtype bf16
rounds, the weights of linear layers and of the patch projection, so that the logits of such a file
can be compared; everything stays float32 otherwise. Images and their order are as given; names in
the result are file names without folders.
"""

import argparse
import sys
from pathlib import Path

from golden_common import versions, write_json

import torch
from PIL import Image, ImageOps
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

TOP = 5


def load(folder, rounding):
    folder = str(folder)
    kind = AutoConfig.from_pretrained(folder).architectures[0]
    if kind == "DeiTForImageClassificationWithTeacher":
        from transformers import DeiTForImageClassificationWithTeacher as model_class
    else:
        model_class = AutoModelForImageClassification
    model, report = model_class.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    if any(report.values()):
        sys.exit(f"{folder}: weights do not fit the model: {report}")
    if rounding is not None:
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                    module.weight.copy_(module.weight.to(rounding).to(torch.float32))
    return model.eval(), AutoImageProcessor.from_pretrained(folder, backend="pil")


def open_upright(path):
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def classify(model, processor, path):
    image = open_upright(path)
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        logits = model(pixels).logits[0]
    scores = logits.softmax(0)
    order = sorted(range(len(scores)), key=lambda index: (-scores[index].item(), index))
    return {
        "file": Path(path).name,
        "width": image.width,
        "height": image.height,
        "logits": logits.tolist(),
        "top": [
            {
                "index": index,
                "label": model.config.id2label[index],
                "score": scores[index].item(),
            }
            for index in order[:TOP]
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face directory")
    parser.add_argument("--images", nargs="+", required=True, help="image files")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--round-weights", choices=["bfloat16"])
    options = parser.parse_args()

    rounding = torch.bfloat16 if options.round_weights else None
    model, processor = load(options.model, rounding)
    result = {
        "model": options.model.resolve().name,
        "weights": options.round_weights or "float32",
        "versions": versions(),
        "images": [classify(model, processor, path) for path in options.images],
    }
    names = [image["file"] for image in result["images"]]
    if len(set(names)) != len(names):
        sys.exit("two images have the same file name")
    write_json(options.out, result)
    for image in result["images"]:
        best = image["top"][0]
        print(f"{image['file']:28} {best['label']:12} {best['score']:.4f}")


if __name__ == "__main__":
    main()
