#!/usr/bin/env python3
"""Makes tests/golden/image_size/: logits of checkpoints/ at other image sizes than their own.

golden.safetensors holds, for each line `CASE HEIGHT WIDTH` of index.txt,

    CASE.HEIGHTxWIDTH.pixel_values  [1, 3, H, W]  f32   a random normal image
    CASE.HEIGHTxWIDTH.logits        [1, K]        f32   timm with img_size=, transformers with
                                                        interpolate_pos_encoding=True

timm must give the same logits with dynamic_img_size, where it resamples in each forward pass.
"""

import zlib
from pathlib import Path

from golden_common import fresh_folder, write_index, write_versions

import safetensors.torch
import timm
import torch
import transformers

FOLDER = Path(__file__).resolve().parent / "image_size"
CHECKPOINTS = FOLDER.parent / "checkpoints"

# All have patches of 8x8 and, but for timm_vit_nonsquare (32x48), images of 32x32.
CASES = [
    ("timm_vit", 48, 48),
    ("timm_vit", 16, 40),
    ("timm_vit", 8, 8),
    ("timm_vit_nonsquare", 48, 32),
    ("timm_vit_nonsquare", 24, 24),
    ("timm_vit_no_embed_class", 40, 32),
    ("timm_vit_registers_embed", 24, 56),
    ("timm_vit_nocls", 40, 40),
    ("timm_deit_distilled", 64, 48),
    ("hf_vit", 48, 48),
    ("hf_vit", 16, 40),
    ("hf_vit", 24, 24),
    ("hf_deit_distilled", 40, 56),
]


def timm_logits(case, pixels):
    size = tuple(pixels.shape[2:])
    name = f"local-dir:{CHECKPOINTS / case}"
    model = timm.create_model(name, pretrained=True, img_size=size).eval()
    dynamic = timm.create_model(name, pretrained=True, dynamic_img_size=True).eval()
    logits, again = model(pixels), dynamic(pixels)
    assert torch.allclose(logits, again, rtol=0, atol=1e-5 * logits.abs().max().item()), case
    return logits


def hf_logits(case, pixels):
    kind = {
        "hf_vit": transformers.ViTForImageClassification,
        "hf_deit_distilled": transformers.DeiTForImageClassificationWithTeacher,
    }[case]
    model = kind.from_pretrained(CHECKPOINTS / case, local_files_only=True).eval()
    return model(pixels, interpolate_pos_encoding=True).logits


@torch.no_grad()
def main():
    fresh_folder(FOLDER)
    tensors, lines = {}, []
    for case, height, width in CASES:
        key = f"{case}.{height}x{width}"
        random = torch.Generator().manual_seed(zlib.crc32(key.encode()))
        pixels = torch.randn((1, 3, height, width), generator=random)
        logits = (timm_logits if case.startswith("timm") else hf_logits)(case, pixels)
        tensors[f"{key}.pixel_values"] = pixels
        tensors[f"{key}.logits"] = logits.contiguous()
        lines.append(f"{case} {height} {width}")
    safetensors.torch.save_file(tensors, FOLDER / "golden.safetensors")
    (FOLDER / "golden.safetensors").chmod(0o644)
    write_index(FOLDER, lines)
    write_versions(FOLDER)


if __name__ == "__main__":
    main()
