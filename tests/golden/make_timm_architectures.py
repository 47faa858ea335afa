#!/usr/bin/env python3
"""Makes tests/golden/timm_architectures.txt: what timm builds for each architecture name that begins
like a Vision Transformer's. One line each,

    <name> <heads> <LayerNorm eps> <activation> <global_pool>
    <name> unsupported

where the second form marks models with other parts than the plain block: rotary or relative
positions, convolutional stems, gated MLPs, parallel blocks, RMS norms. These are the properties
that leave no trace in the tensors' names and shapes, so that a reader has to know them by name.

Models are built on the meta device: nothing is computed. Run without arguments.
"""

from pathlib import Path

import golden_common  # noqa: F401  (prepares the import of timm)

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

FILE = Path(__file__).resolve().parent / "timm_architectures.txt"
PREFIXES = ("vit_", "deit", "flexivit", "test_vit")
ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu"}


def is_plain(model):
    if not isinstance(model, VisionTransformer):
        return False
    block = model.blocks[0]
    parts = (model.patch_embed, block, getattr(block, "attn", None), getattr(block, "mlp", None))
    if [type(part).__name__ for part in parts] != ["PatchEmbed", "Block", "Attention", "Mlp"]:
        return False
    norms = {type(module).__name__ for name, module in model.named_modules() if "norm" in name}
    return norms <= {"LayerNorm", "Identity"}


def describe(name):
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    if not is_plain(model):
        return f"{name} unsupported"
    (eps,) = {m.eps for m in model.modules() if isinstance(m, torch.nn.LayerNorm)}
    (act,) = {type(block.mlp.act).__name__ for block in model.blocks}
    (heads,) = {block.attn.num_heads for block in model.blocks}
    assert not model.pool_include_prefix or model.global_pool == "map", name
    return f"{name} {heads} {eps:g} {ACTIVATIONS[act]} {model.global_pool}"


def main():
    names = [name for name in timm.list_models() if name.startswith(PREFIXES)]
    lines = [f"# timm {timm.__version__}, torch {torch.__version__}"]
    lines += [describe(name) for name in names]
    FILE.write_text("\n".join(lines) + "\n")
    print(f"{len(names)} architectures")


if __name__ == "__main__":
    main()
