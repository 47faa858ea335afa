#!/usr/bin/env python3
"""Exports models with vitc and compares what the libraries make of them: the tables of
docs/parity.md.

Each model is a golden checkpoint or the bundled model; `vitc convert --export hf|timm` writes it
as a directory into --work. transformers (AutoModelForImageClassification,
for timm's directories too) and timm (create_model("local-dir:...")) load that and run on the
photographs of tests/golden/photos, preprocessed by vitc (`vitc preprocess --dump`), so that only the
model is compared; and vitc classifies the same files with the checkpoint that was exported. The
libraries' own preprocessing, made from the exported files, is compared with vitc's tensors.

    python bench/parity_export.py --vitc build/vitc --work /some/folder

Exits with 1 when logits are farther apart than 1e-4 of the largest, when the best labels differ, or
when a tensor differs by more than 1e-6 (a warning of vitc's that a crop is rounded another way
excepts it). Versions are pinned in tests/golden/requirements.txt.
"""

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))

from golden_common import fresh_folder, versions  # noqa: E402

import numpy  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from bench_common import (  # noqa: E402
    bundled_model,
    list_photos,
    load_timm_model,
    open_photo,
    timm_preprocess,
)

LOGIT_TOLERANCE = 1e-4
TENSOR_TOLERANCE = 1e-6

GOLDEN = ROOT / "tests" / "golden" / "checkpoints"

# name -> libraries that can express it
MODELS = {
    "hf_vit": ["hf"],
    "hf_vit_gelu_new": ["hf"],
    "hf_vit_quick_gelu": ["hf"],
    "hf_vit_nonsquare": ["hf"],
    "hf_vit_eps1e_6_noqkvbias": ["hf", "timm"],
    "hf_deit_distilled": ["hf"],
    "hf_deit_single": ["hf"],
    "timm_vit": ["hf", "timm"],
    "timm_vit_labels": ["hf", "timm"],
    "timm_vit_no_embed_class": ["hf", "timm"],
    "timm_vit_layerscale": ["hf", "timm"],
    "timm_vit_gelutanh": ["hf", "timm"],
    "timm_deit_distilled": ["hf", "timm"],
    "timm_vit_nonsquare": ["timm"],
    "timm_vit_avg": ["timm"],
    "timm_vit_avg_nofcnorm": ["timm"],
    "timm_vit_nocls": ["timm"],
    "timm_vit_max": ["timm"],
    "timm_vit_avgmax": ["timm"],
    "timm_vit_registers": ["timm"],
    "timm_vit_registers_gap": ["timm"],
    "timm_vit_registers_embed": ["timm"],
    "timm_vit_prenorm": ["timm"],
    "timm_vit_quickgelu": ["timm"],
    "timm_vit_qknorm": ["timm"],
    "bundled": ["timm"],
}


def run_vitc(vitc, *arguments):
    command = [str(vitc), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stderr}")
    return done


def model_path(name):
    if name == "bundled":
        return bundled_model()
    return GOLDEN / name if name in MODELS else Path(name)


def vitc_logits(vitc, model, photos):
    rows = run_vitc(vitc, "classify", "--json", "--logits", "-m", model, *photos).stdout
    rows = list(map(json.loads, rows.splitlines()))
    assert [row["status"] for row in rows] == ["ok"] * len(photos)
    return torch.tensor([row["logits"] for row in rows], dtype=torch.float64)


def vitc_tensors(vitc, model, photos, work):
    tensors = []
    for photo in photos:
        run_vitc(vitc, "preprocess", "-m", model, "--dump", work / "tensor.npy", photo)
        tensors.append(torch.from_numpy(numpy.load(work / "tensor.npy", allow_pickle=False)))
    return torch.stack(tensors)


def load_transformers(folder):
    model, report = transformers.AutoModelForImageClassification.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise RuntimeError(f"{folder}: transformers reports {kind}: {report[kind]}")
    model.eval()
    return lambda pixels: model(pixels).logits


def opaque_photo(path):
    """Without the mark by which transformers would put a palette's picture on white."""
    image = open_photo(path)
    image.info.pop("transparency", None)
    return image


def transformers_pixels(folder, photos):
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return [
        processor(opaque_photo(photo), return_tensors="pt")["pixel_values"][0] for photo in photos
    ]


def timm_pixels(folder, photos):
    transform = timm_preprocess(load_timm_model(folder))
    return [transform(open_photo(photo)) for photo in photos]


LOADERS = {
    "hf": [("transformers", load_transformers)],
    "timm": [("timm", load_timm_model), ("transformers", load_transformers)],
}
PIXELS = {"hf": transformers_pixels, "timm": timm_pixels}


def compare(vitc, work, name, library, photos):
    model = model_path(name)
    folder = work / f"{model.stem}-{library}"
    if folder.exists():
        fresh_folder(folder)
    said = run_vitc(vitc, "convert", model, "--export", library, "-o", folder).stderr
    expected = vitc_logits(vitc, model, photos)
    tensors = vitc_tensors(vitc, model, photos, work)
    pixels = torch.stack(PIXELS[library](folder, photos))
    tensor = (pixels - tensors).abs().max().item()
    cropped = "cut one pixel aside" in said
    rows = []
    for loader, load in LOADERS[library]:
        with torch.no_grad():
            found = load(folder)(tensors).double()
        difference = (found - expected).abs().max().item()
        largest = expected.abs().max().item()
        rows.append(
            {
                "name": model.stem,
                "export": library,
                "loader": loader,
                "difference": difference,
                "relative": difference / largest,
                "same_top": int((found.argmax(1) == expected.argmax(1)).sum()),
                "photos": len(photos),
                "tensor": None if cropped else tensor,
            }
        )
    return rows


def is_good(row):
    return (
        row["relative"] <= LOGIT_TOLERANCE
        and row["same_top"] == row["photos"]
        and (row["tensor"] is None or row["tensor"] <= TENSOR_TOLERANCE)
    )


def print_table(rows):
    print("| Model | export | loaded by | max logit difference | relative | same best | tensors |")
    print("|---|---|---|---:|---:|---:|---:|")
    for row in rows:
        tensor = "crop" if row["tensor"] is None else f"{row['tensor']:.1e}"
        print(
            f"| {row['name']} | {row['export']} | {row['loader']} | {row['difference']:.1e} | "
            f"{row['relative']:.1e} | {row['same_top']} of {row['photos']} | {tensor} |"
        )
    names = ("torch", "transformers", "timm", "safetensors", "pillow")
    used = versions(names)
    print("\nReference: " + ", ".join(f"{name} {used[name]}" for name in names) + ".")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vitc", type=Path, required=True, help="the vitc program")
    parser.add_argument("--work", type=Path, required=True, help="folder for the directories")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--also", nargs="+", default=[], help="more models, for both libraries")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    photos = list_photos()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in options.models + options.also:
        for library in MODELS.get(name, ["hf", "timm"]):
            rows += compare(options.vitc.resolve(), options.work.resolve(), name, library, photos)
    print_table(rows)
    bad = [row for row in rows if not is_good(row)]
    for row in bad:
        print(f"too far: {row['name']}, {row['export']}, {row['loader']}", file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
