"""Write optimizer/: parameters after 20 steps of PyTorch's optimizers, and their running averages.

    python make_optimizer.py          # needs torch 2.13.0, timm 1.0.31, numpy, safetensors

optimizer/golden.safetensors   one f32 tensor per case of CASES: all parameters, one after the other,
                               after the steps; "<case>.average": timm's ModelEmaV3 of them;
                               "<case>.norms": the norm of the gradients in each step
optimizer/versions.json

PyTorch computes in float64 here, so the numbers are right to the last bit of float32. First
parameters, gradients and learning rates are made by the test, too (tests/unit/test_vit_optimizer.c):
nothing but results is kept.
"""

import platform
from importlib import metadata
from pathlib import Path

from golden_common import fresh_folder, write_json

import numpy as np
import torch
from safetensors.numpy import save_file
from timm.utils import ModelEmaV3

HERE = Path(__file__).parent
STEPS = 20
D, M, K, LAYERS = 8, 12, 3, 2
# The parameters of the test's model: name, layer for layer-wise decay, whether it is a matrix, size.
EMBEDDINGS = [
    ("cls_token", 0, False, D),
    ("pos_embed", 0, False, 5 * D),
    ("patch_embed.proj.weight", 0, True, D * 3 * 2 * 2),
    ("patch_embed.proj.bias", 0, False, D),
]
BLOCK = [
    ("norm1.weight", False, D),
    ("norm1.bias", False, D),
    ("attn.qkv.weight", True, 3 * D * D),
    ("attn.qkv.bias", False, 3 * D),
    ("attn.proj.weight", True, D * D),
    ("attn.proj.bias", False, D),
    ("norm2.weight", False, D),
    ("norm2.bias", False, D),
    ("mlp.fc1.weight", True, M * D),
    ("mlp.fc1.bias", False, M),
    ("mlp.fc2.weight", True, D * M),
    ("mlp.fc2.bias", False, D),
]
TAIL = [
    ("norm.weight", LAYERS + 1, False, D),
    ("norm.bias", LAYERS + 1, False, D),
    ("head.weight", LAYERS + 1, True, K * D),
    ("head.bias", LAYERS + 1, False, K),
]
TABLE = (
    EMBEDDINGS
    + [(f"blocks.{i}.{n}", i + 1, m, c) for i in range(LAYERS) for n, m, c in BLOCK]
    + TAIL
)
CASES = {
    "adamw": dict(weight_decay=0.05),
    "adamw_short": dict(weight_decay=0.3, betas=(0.8, 0.95), eps=1e-3),
    "adamw_layers_clip": dict(weight_decay=0.05, layer_decay=0.65, clip=0.5),
    "sgd": dict(weight_decay=1e-2, momentum=0.9),
    "sgd_nesterov": dict(weight_decay=1e-2, momentum=0.9, nesterov=True),
    "sgd_plain": dict(weight_decay=0, momentum=0, clip=3.0),
    "muon": dict(weight_decay=0.05),
    "muon_layers_clip": dict(weight_decay=0.05, momentum=0.9, layer_decay=0.65, clip=0.5),
}
MATRICES = {  # that Muon sees: how many stand below each other, columns
    "attn.qkv.weight": (3, D),
    "attn.proj.weight": (1, D),
    "mlp.fc1.weight": (1, D),
    "mlp.fc2.weight": (1, M),
}


class Muon:
    """torch.optim.Muon with adjust_lr_fn="match_rms_adamw", which only computes in bfloat16, in
    the number format of its parameters."""

    def __init__(self, groups, lr, momentum=0.95):
        self.param_groups = [dict(lr=lr, **g) for g in groups]
        self.beta = momentum
        self.momentum = {}

    @staticmethod
    def orthogonal(m):
        x = m if m.shape[0] <= m.shape[1] else m.T
        x = x / x.norm()
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
        return x if m.shape[0] <= m.shape[1] else x.T

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p, (count, columns) in zip(group["params"], group["matrices"]):
                m = self.momentum.setdefault(p, torch.zeros_like(p))
                m.lerp_(p.grad, 1 - self.beta)
                update = p.grad.lerp(m, self.beta).view(count, -1, columns)
                update = torch.stack([self.orthogonal(u) for u in update])
                scale = 0.2 * max(update.shape[1:]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * scale * update.reshape(-1))


def check_muon():
    """That the class above is torch.optim.Muon, but for bfloat16."""
    w = torch.from_numpy(numbers(M * D, 99).reshape(M, D))
    ours, theirs = (torch.nn.Parameter(w.clone().reshape(s)) for s in ((-1,), (M, D)))
    a = Muon([dict(params=[ours], matrices=[(1, D)], weight_decay=0.1)], lr=0.02)
    b = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        theirs.grad = torch.from_numpy(numbers(M * D, step).reshape(M, D))
        ours.grad = theirs.grad.reshape(-1)
        a.step()
        b.step()
    off = (ours.reshape(M, D) - theirs).abs().max() / (theirs - w).abs().max()
    assert off < 0.02, off


def numbers(count, salt):
    """numbers() of tests/unit/test_vit_optimizer.c: in [-0.5, 0.5), exact in float32"""
    i = np.arange(count, dtype=np.uint64)
    mixed = (i * 2654435761 + salt * 2246822519) % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 3266489917 % 2**32
    return (mixed >> 8).astype(np.float64) / 2**24 - 0.5


def run(name, layer_decay=1.0, clip=0.0, weight_decay=0.0, **options):
    total = sum(row[3] for row in TABLE)
    start, offset, parameters, groups, matrices = numbers(total, 0), 0, [], [], []
    for row_name, layer, matrix, count in TABLE:
        p = torch.nn.Parameter(torch.from_numpy(start[offset : offset + count].copy()))
        parameters.append(p)
        factor = layer_decay ** (LAYERS + 1 - layer)
        group = dict(params=[p], factor=factor, weight_decay=weight_decay if matrix else 0.0)
        shape = MATRICES.get(row_name.split(".", 2)[-1])
        if name.startswith("muon") and shape:
            matrices.append(dict(group, matrices=[shape]))
        else:
            groups.append(group)
        offset += count
    kind = torch.optim.SGD if name.startswith("sgd") else torch.optim.AdamW
    optimizers = [kind(groups, lr=1.0, **({} if matrices else options))]
    if matrices:
        optimizers.append(Muon(matrices, lr=1.0, **options))
    module = torch.nn.Module()
    module.all = torch.nn.ParameterList(parameters)
    average = ModelEmaV3(module, decay=0.75, use_warmup=True)
    norms = []
    for step in range(STEPS):
        gradients, offset = numbers(total, step + 1), 0
        for p in parameters:
            p.grad = torch.from_numpy(gradients[offset : offset + p.numel()].copy())
            offset += p.numel()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, clip or float("inf")).item())
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * (step + 1) / STEPS * group["factor"]
            optimizer.step()
        average.update(module, step=step + 1)

    def flat(module):
        return torch.cat([p.detach() for p in module.all]).numpy().astype(np.float32)

    return {
        name: flat(module),
        f"{name}.average": flat(average.module),
        f"{name}.norms": np.float32(norms),
    }


def main():
    check_muon()
    folder = fresh_folder(HERE / "optimizer")
    tensors = {}
    for name, options in CASES.items():
        tensors.update(run(name, **options))
    save_file(tensors, folder / "golden.safetensors")
    versions = {"python": platform.python_version()}
    for package in ("torch", "timm", "numpy", "safetensors"):
        versions[package] = metadata.version(package)
    write_json(folder / "versions.json", versions)


main()
