#!/usr/bin/env python3
"""Makes tests/golden/position_resize/: position tables resampled to other grids.

golden.safetensors holds, for each line `NUMBER FILTER PREFIX OLD_H OLD_W NEW_H NEW_W` of index.txt,

    NUMBER.table    [PREFIX + OLD_H * OLD_W, D]  f32   a random normal table
    NUMBER.resized  [PREFIX + NEW_H * NEW_W, D]  f32   torch's or scipy's answer in float64, rounded

Before a case is kept, timm's resample_abs_pos_embed and the interpolate_pos_encoding of transformers
must agree with it in the filters that they use.
"""

from importlib import metadata
from pathlib import Path

from golden_common import fresh_folder, versions, write_index, write_json

import numpy
import safetensors.torch
import scipy.ndimage
import torch
import transformers
from timm.layers import resample_abs_pos_embed
from transformers.models.vit.modeling_vit import ViTEmbeddings

FOLDER = Path(__file__).resolve().parent / "position_resize"
WIDTH = 3

# prefix tokens, old grid, new grid
GRIDS = [
    (1, (7, 7), (12, 12)),
    (1, (12, 12), (7, 7)),
    (5, (37, 37), (16, 16)),
    (0, (5, 9), (8, 3)),
    (2, (3, 4), (4, 11)),
    (1, (2, 2), (5, 7)),
    (1, (14, 14), (14, 15)),
    (0, (1, 1), (3, 2)),
    (1, (6, 5), (1, 1)),
    (2, (1, 8), (3, 5)),
    (1, (6, 4), (6, 4)),
    (1, (16, 16), (24, 32)),
]

TORCH = {
    "bicubic_antialias": dict(mode="bicubic", antialias=True),
    "bicubic": dict(mode="bicubic", align_corners=False),
    "bilinear_antialias": dict(mode="bilinear", antialias=True),
    "bilinear": dict(mode="bilinear", align_corners=False),
}


def interpolate(grid, new, filter_name):
    """[H, W, D] in float64 to [*new, D]"""
    if filter_name == "bilinear_corners":  # as vision_transformer's interpolate_posembed
        zoom = (new[0] / grid.shape[0], new[1] / grid.shape[1], 1)
        out = torch.from_numpy(scipy.ndimage.zoom(grid.numpy(), zoom, order=1))
        assert out.shape[:2] == new
        return out
    planes = grid.permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(planes, size=new, **TORCH[filter_name])[0].permute(1, 2, 0)


def check_timm(table, prefix, old, new, resized):
    theirs = resample_abs_pos_embed(table[None], new, old, num_prefix_tokens=prefix)[0]
    assert torch.allclose(theirs, resized, rtol=0, atol=1e-5), (theirs - resized).abs().max()


def check_transformers(table, new, resized):
    config = transformers.ViTConfig(hidden_size=WIDTH, patch_size=8, image_size=8)
    embeddings = ViTEmbeddings(config)
    embeddings.position_embeddings = torch.nn.Parameter(table[None])
    tokens = torch.zeros(1, 1 + new[0] * new[1], WIDTH)
    theirs = embeddings.interpolate_pos_encoding(tokens, 8 * new[0], 8 * new[1])[0]
    assert torch.allclose(theirs, resized, rtol=0, atol=1e-5), (theirs - resized).abs().max()


def main():
    fresh_folder(FOLDER)
    random = torch.Generator().manual_seed(15)
    tensors, lines = {}, []
    for filter_name in [*TORCH, "bilinear_corners"]:
        for prefix, old, new in GRIDS:
            table = torch.randn(prefix + old[0] * old[1], WIDTH, generator=random)
            grid = table[prefix:].double().reshape(*old, WIDTH)
            resized = interpolate(grid, new, filter_name).reshape(-1, WIDTH)
            resized = torch.cat([table[:prefix], resized.float()])
            if filter_name == "bicubic_antialias":
                check_timm(table, prefix, old, new, resized)
            if filter_name == "bicubic" and prefix == 1 and old[0] == old[1]:
                check_transformers(table, new, resized)
            number = len(lines)
            tensors[f"{number}.table"] = table
            tensors[f"{number}.resized"] = resized.contiguous()
            sizes = " ".join(str(size) for size in (*old, *new))
            lines.append(f"{number} {filter_name} {prefix} {sizes}")
    safetensors.torch.save_file(tensors, FOLDER / "golden.safetensors")
    write_index(FOLDER, lines)
    write_json(FOLDER / "versions.json", {**versions(), "scipy": metadata.version("scipy")})
    assert numpy.isfinite([t.sum().item() for t in tensors.values()]).all()


if __name__ == "__main__":
    main()
