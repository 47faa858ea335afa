#!/usr/bin/env python3
"""Makes tests/golden/views/: logits averaged over views of a picture, as PyTorch users do it.

golden.safetensors holds, for each line `CASE PICTURE` of index.txt (a checkpoint of checkpoints/ and
a picture of photos/), three tensors of the shape [K]:

    CASE.PICTURE.one    the logits of the library's own preprocessing
    CASE.PICTURE.hflip  the mean of these and of those of the mirrored input
    CASE.PICTURE.five   the mean over torchvision's five_crop of the resized picture, whose centre
                        crop is the library's own; not there where nothing is cut away
"""

from pathlib import Path

from golden_common import fresh_folder, write_index, write_versions

import numpy
import safetensors.torch
import timm
import torch
import transformers
from PIL import Image
from torchvision.transforms.functional import five_crop
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

FOLDER = Path(__file__).resolve().parent / "views"
CHECKPOINTS = FOLDER.parent / "checkpoints"
PHOTOS = FOLDER.parent / "photos"

HF = {
    "hf_vit": (transformers.ViTForImageClassification, ViTImageProcessorPil),
    "hf_deit_distilled": (
        transformers.DeiTForImageClassificationWithTeacher,
        DeiTImageProcessorPil,
    ),
}
CASES = ["timm_vit", "timm_vit_nonsquare", "hf_vit", "hf_deit_distilled"]
PICTURES = ["astronaut.bmp", "cat.jpg", "rocket.png", "launch_lossy.webp"]


def timm_inputs(case, picture):
    """The model, its input, and the whole resized picture as a tensor."""
    model = timm.create_model(f"local-dir:{CHECKPOINTS / case}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(model)
    resize, crop, to_tensor, normalize = timm.data.create_transform(**config).transforms
    whole = normalize(to_tensor(resize(picture)))
    return model, normalize(to_tensor(crop(resize(picture)))), whole


def hf_inputs(case, picture):
    model_class, processor_class = HF[case]
    model = model_class.from_pretrained(CHECKPOINTS / case, local_files_only=True).eval()
    processor = processor_class.from_pretrained(CHECKPOINTS / case, local_files_only=True)
    seen = processor(picture, return_tensors="pt")["pixel_values"][0]
    whole = processor(picture, return_tensors="pt", do_center_crop=False)["pixel_values"][0]
    return (lambda pixels: model(pixels).logits), seen, whole


@torch.no_grad()
def main():
    fresh_folder(FOLDER)
    tensors, lines = {}, []
    for case in CASES:
        for name in PICTURES:
            picture = Image.open(PHOTOS / name).convert("RGB")
            inputs = hf_inputs if case in HF else timm_inputs
            model, seen, whole = inputs(case, picture)
            size = seen.shape[1:]
            one = model(seen[None])[0]
            mirrored = model(seen.flip(2)[None])[0]
            tensors[f"{case}.{name}.one"] = one
            tensors[f"{case}.{name}.hflip"] = (one + mirrored) / 2
            if whole.shape != seen.shape:
                corners = five_crop(whole, size)[:4]
                logits = model(torch.stack([*corners, seen]))
                assert (logits - logits[:1]).abs().max() > 1e-2 * logits.abs().max()
                tensors[f"{case}.{name}.five"] = logits.mean(0)
            assert (one - mirrored).abs().max() > 1e-2 * one.abs().max()
            lines.append(f"{case} {name}")
    assert numpy.isfinite([tensor.sum().item() for tensor in tensors.values()]).all()
    safetensors.torch.save_file(tensors, FOLDER / "golden.safetensors")
    (FOLDER / "golden.safetensors").chmod(0o644)
    write_index(FOLDER, lines)
    write_versions(FOLDER)


if __name__ == "__main__":
    main()
