#!/usr/bin/env python3
"""Compares vitc with PyTorch on full-size models: prints the Markdown table of docs/parity.md.

Three models with seeded random weights are written to --work, each with its preprocessing:

    vit-b16          Hugging Face ViTForImageClassification, base, patch 16, 224x224, 1000 classes
    deit-s16-dist    Hugging Face DeiTForImageClassificationWithTeacher, small, patch 16
    timm-vit-ti16    timm vit_tiny_patch16_224

`vitc classify --logits --json` runs on the photographs of tests/golden/photos. PyTorch runs in
float32 on tensors that Pillow and the library's own preprocessing make of the same files (EXIF
followed, converted to RGB). `vitc preprocess --dump` gives vitc's tensors, so that a difference in
the pixels is told from one in the model.

    python bench/parity_full.py --vitc build/vitc --work /some/folder

Exits with 1 when a model is farther from PyTorch than 1e-4 of its largest logit, when a tensor
differs by more than 1e-6, when the five best labels differ, or when vitc fails on a file. Versions
are pinned in tests/golden/requirements.txt; about 500 MB of disk and 2 GB of memory are needed.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))

from golden_common import fresh_folder, versions  # noqa: E402

import numpy  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.models.deit.image_processing_pil_deit import (  # noqa: E402
    DeiTImageProcessorPil,
)
from transformers.models.vit.image_processing_pil_vit import (  # noqa: E402
    ViTImageProcessorPil,
)

from bench_common import (  # noqa: E402
    list_photos,
    load_timm_model,
    open_photo,
    randomize,
    save_timm_model,
    timm_preprocess,
)

# Bounds of the project: logits against the model's largest logit, preprocessed tensors absolutely.
LOGIT_TOLERANCE = 1e-4
TENSOR_TOLERANCE = 1e-6
TOP = 5

IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


# ---- the models: each returns (model, function from an RGB image to a tensor [3, H, W]) ----


def hugging_face(folder, name, kind, config, processor):
    model = randomize(kind(config), name)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")

    def preprocess(image):
        return processor(image, return_tensors="pt")["pixel_values"][0]

    return (lambda pixels: model(pixels).logits), preprocess


def vit_b16(folder, name):
    config = transformers.ViTConfig(num_labels=1000)
    return hugging_face(
        folder, name, transformers.ViTForImageClassification, config, ViTImageProcessorPil()
    )


def deit_s16_dist(folder, name):
    config = transformers.DeiTConfig(
        hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_labels=1000
    )
    return hugging_face(
        folder,
        name,
        transformers.DeiTForImageClassificationWithTeacher,
        config,
        DeiTImageProcessorPil(**IMAGENET),
    )


def timm_vit_ti16(folder, name):
    save_timm_model(folder, "vit_tiny_patch16_224", name)
    model = load_timm_model(folder)
    return model, timm_preprocess(model)


MODELS = {
    "vit-b16": ("ViT-B/16 (Hugging Face)", vit_b16),
    "deit-s16-dist": ("DeiT-S/16 distilled (Hugging Face)", deit_s16_dist),
    "timm-vit-ti16": ("ViT-Ti/16 (timm)", timm_vit_ti16),
}


# ---- vitc ----


def run_vitc(vitc, *arguments):
    command = [str(vitc), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)}\nexit status {done.returncode}\n"
            + done.stderr.decode(errors="replace")
        )
    return done.stdout.decode()


def vitc_logits(vitc, folder, photos):
    rows = run_vitc(vitc, "classify", "--json", "--logits", "-m", folder, *photos).splitlines()
    if len(rows) != len(photos):
        raise RuntimeError(f"vitc gave {len(rows)} rows for {len(photos)} photos")
    result = []
    for row, photo in zip(map(json.loads, rows), photos):
        if row["status"] != "ok" or Path(row["path"]) != photo:
            raise RuntimeError(f"{photo}: vitc says {row}")
        logits = torch.tensor(row["logits"], dtype=torch.float64)
        if not torch.isfinite(logits).all():
            raise RuntimeError(f"{photo}: vitc's logits are not finite")
        result.append((logits, [entry["index"] for entry in row["top"][:TOP]]))
    return result


def vitc_tensor(vitc, folder, photo, work):
    dump = work / "tensor.npy"
    dump.unlink(missing_ok=True)
    run_vitc(vitc, "preprocess", "-m", folder, "--dump", dump, photo)
    return torch.from_numpy(numpy.load(dump, allow_pickle=False))


# ---- comparison ----


def compare(vitc, work, name, photos):
    folder = fresh_folder(work / name)
    forward, preprocess = MODELS[name][1](folder, name)
    tensor_difference = logit_difference = largest = 0.0
    same_top = 0
    for photo, (logits, top) in zip(photos, vitc_logits(vitc, folder, photos)):
        pixels = preprocess(open_photo(photo))
        theirs = vitc_tensor(vitc, folder, photo, work)
        if theirs.shape != pixels.shape or theirs.dtype != torch.float32:
            raise RuntimeError(f"{photo}: vitc's tensor is {theirs.shape} {theirs.dtype}")
        with torch.no_grad():
            expected = forward(pixels[None])[0].double()
        if logits.shape != expected.shape:
            raise RuntimeError(f"{photo}: vitc gives {len(logits)} logits, not {len(expected)}")
        tensor_difference = max(tensor_difference, (theirs - pixels).abs().max().item())
        logit_difference = max(logit_difference, (logits - expected).abs().max().item())
        largest = max(largest, expected.abs().max().item())
        same_top += top == expected.topk(TOP).indices.tolist()
    return {
        "tensor": tensor_difference,
        "logit": logit_difference,
        "largest": largest,
        "relative": logit_difference / largest,
        "same_top": same_top,
        "photos": len(photos),
    }


def is_good(row):
    return (
        row["tensor"] <= TENSOR_TOLERANCE
        and row["relative"] <= LOGIT_TOLERANCE
        and row["same_top"] == row["photos"]
    )


def print_table(rows):
    print(
        "| Model | photos | max tensor difference | max logit difference | max logit | "
        "relative | same top 5 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        print(
            f"| {MODELS[name][0]} | {row['photos']} | {row['tensor']:.1e} | {row['logit']:.1e} | "
            f"{row['largest']:.2f} | {row['relative']:.1e} | {row['same_top']} of {row['photos']} |"
        )
    used = versions()
    names = ("torch", "transformers", "timm", "pillow", "numpy")
    print("\nReference: " + ", ".join(f"{name} {used[name]}" for name in names) + ".")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vitc", type=Path, required=True, help="the vitc program")
    parser.add_argument("--work", type=Path, required=True, help="folder for the models")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()

    photos = list_photos()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = {
        name: compare(options.vitc.resolve(), options.work.resolve(), name, photos)
        for name in options.models
    }
    print_table(rows)
    sys.exit(0 if all(map(is_good, rows.values())) else 1)


if __name__ == "__main__":
    main()
