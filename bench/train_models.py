#!/usr/bin/env python3
"""train_models.py WORK MODEL... - what bench/train.py trains, from timm's initialization.

Writes WORK/<model>/:

    timm/                config.json and model.safetensors; vitc and PyTorch load it
    images.f32           float32 tensors [3, H, W] of noise, BATCHES batches; number i is of class
                         i % K
    gradients.f32        those of the first batch's mean loss by PyTorch in float32
                         (train_common.py), with gradients.f32.names
    loss.json            that loss
"""

import json
import sys
from pathlib import Path

import bench_common
from golden_common import fresh_folder, write_json

import timm
import torch
from train_common import write_gradients

BATCHES = 4

# The architecture of the bundled model before its patches are enlarged.
SMALL = {
    "img_size": 32,
    "patch_size": 4,
    "embed_dim": 192,
    "depth": 9,
    "mlp_ratio": 2,
    "class_token": False,
    "global_pool": "avg",
    "num_classes": 10,
}
# batch, and how timm makes it
MODELS = {
    "train_tiny16_128": (64, "vit_tiny_patch16_224", {"img_size": 128}),
    "train_tiny16_224": (32, "vit_tiny_patch16_224", {}),
    "train_small4_heads6": (128, "vit_tiny_patch16_224", SMALL | {"num_heads": 6}),
    "train_small4_heads12": (128, "vit_tiny_patch16_224", SMALL | {"num_heads": 12}),
}


def make(work, name):
    batch, architecture, arguments = MODELS[name]
    folder = fresh_folder(work / name)
    torch.manual_seed(0)
    model = timm.create_model(architecture, pretrained=False, **arguments)
    bench_common.save_for_hf(
        model, folder / "timm", model_args=arguments, safe_serialization=True
    )
    side = model.patch_embed.img_size[0]
    images = torch.randn(BATCHES * batch, 3, side, side)
    images.numpy().tofile(folder / "images.f32")
    labels = torch.arange(batch) % model.num_classes
    loss = torch.nn.functional.cross_entropy(model(images[:batch]), labels)
    loss.backward()
    write_gradients(
        folder / "gradients.f32",
        ((key, value.grad.numpy()) for key, value in model.named_parameters()),
    )
    write_json(folder / "loss.json", loss.item())


def main():
    work = Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        make(work, name)
        print(json.dumps({"made": name}), flush=True)


if __name__ == "__main__":
    main()
