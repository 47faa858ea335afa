#!/usr/bin/env python3
"""Makes tests/golden/gradients/: what PyTorch's autograd says of small models of timm.

<case>.safetensors, for each line of index.txt, holds

    pixel_values     [B, 3, H, W]  f32   random normal images
    targets          [B, K]        f32   probabilities
    loss             [1]           f32   mean cross-entropy over the images
    weights/<name>                 f32   every parameter
    gradients/<name>               f32   of that loss, computed in float64
"""

import zlib
from functools import partial
from pathlib import Path

from golden_common import fresh_folder, write_index, write_versions

import safetensors.torch
import timm.layers
import torch
from timm.models.vision_transformer import VisionTransformer

FOLDER = Path(__file__).resolve().parent / "gradients"
BATCH = 3
SIZES = {
    "img_size": (12, 16),
    "patch_size": 4,
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
    "mlp_ratio": 2,
    "num_classes": 5,
}

CASES = {
    "token": {},
    "average": {
        "global_pool": "avg",
        "class_token": False,
        "fc_norm": True,
        "qkv_bias": False,
        "init_values": 1.0,
    },
    "registers": {
        "reg_tokens": 2,
        "no_embed_class": True,
        "pre_norm": True,
        "act_layer": timm.layers.GELUTanh,
        "norm_layer": partial(torch.nn.LayerNorm, eps=1e-5),
    },
}


def randomize(model, random):
    """Numbers that let every part of the model be seen in the loss."""
    for name, parameter in model.named_parameters():
        scale = 0.2 if parameter.dim() > 1 and "weight" in name else 0.3
        values = scale * torch.randn(parameter.shape, generator=random)
        if "norm" in name and name.endswith("weight") or name.endswith("gamma"):
            values += 1
        parameter.data = values


def make_case(name, arguments):
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    model = VisionTransformer(**SIZES, **arguments).eval()
    randomize(model, random)
    pixels = torch.randn((BATCH, 3, *SIZES["img_size"]), generator=random)
    targets = torch.softmax(2 * torch.randn((BATCH, SIZES["num_classes"]), generator=random), 1)
    tensors = {"pixel_values": pixels, "targets": targets}
    tensors |= {f"weights/{key}": p.detach().clone() for key, p in model.named_parameters()}

    model = model.double()
    loss = torch.nn.functional.cross_entropy(model(pixels.double()), targets.double())
    loss.backward()
    tensors["loss"] = loss.detach().float().reshape(1)
    tensors |= {f"gradients/{key}": p.grad.float() for key, p in model.named_parameters()}
    file = FOLDER / f"{name}.safetensors"
    safetensors.torch.save_file({key: t.contiguous() for key, t in tensors.items()}, file)
    file.chmod(0o644)


def main():
    fresh_folder(FOLDER)
    for name, arguments in CASES.items():
        make_case(name, arguments)
    write_index(FOLDER, CASES)
    write_versions(FOLDER, ("torch", "timm", "safetensors"))


if __name__ == "__main__":
    main()
