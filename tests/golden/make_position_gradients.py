#!/usr/bin/env python3
"""Makes tests/golden/position_gradients/: what PyTorch's autograd says of every kind of position.

The model is written out here, in float64, from the papers' formulas: it shares no code with vitc or
timm. <kind>_<op>_<place>.safetensors, for each line of index.txt, holds

    pixel_values     [B, 3, H, W]  f32   random normal images
    targets          [B, K]        f32   probabilities
    loss             [1]           f32   mean cross-entropy over the images
    weights/<name>                 f32   every parameter, named as in vitc's files
    gradients/<name>               f32   of that loss
"""

import math
import zlib
from pathlib import Path

from golden_common import fresh_folder, write_index, write_versions

import safetensors.torch
import torch
from torch.nn.functional import cross_entropy, gelu, layer_norm, linear

FOLDER = Path(__file__).resolve().parent / "position_gradients"
BATCH, CLASSES, EPS = 3, 5, 1e-6
PATCH, GRID = 2, (3, 4)
WIDTH, HEADS, MLP, LAYERS, PREFIX = 16, 2, 24, 2, 2  # a class token and a register

CASES = [
    ("none", "add", "stem"),
    ("learned-1d", "add", "every"),
    ("learned-1d", "mul", "stem"),
    ("learned-2d", "add", "stem"),
    ("learned-2d", "mul", "every-shared"),
    ("factorized-sum", "add", "every-shared"),
    ("factorized-sum", "mul", "every"),
    ("sincos-2d", "add", "stem"),
    ("sincos-2d", "mul", "every"),
    ("relative", "add", "every"),
    ("relative", "add", "every-shared"),
    ("rope-2d", "add", "every"),
]


def position_shapes(kind):
    """Parameters of one set of positions, by their names at the stem and in a block."""
    rows, columns = GRID
    if kind == "learned-1d":
        return {"pos_embed": (1, PREFIX + rows * columns, WIDTH)}
    if kind in ("learned-2d", "factorized-sum"):
        width = WIDTH // 2 if kind == "learned-2d" else WIDTH
        return {"pos_embed_rows": (rows, width), "pos_embed_columns": (columns, width)}
    if kind == "relative":
        return {"relative_position_bias_table": ((2 * rows - 1) * (2 * columns - 1) + 3, HEADS)}
    return {}


def position_names(kind, place):
    """The names in vitc's files: for each block those that it uses."""
    names = []
    for layer in range(LAYERS):
        if place == "every":
            inside = "attn." if kind == "relative" else ""
            names.append({n: f"blocks.{layer}.{inside}{n}" for n in position_shapes(kind)})
        else:
            inside = "rel_pos_bias." if kind == "relative" else ""
            names.append({n: f"{inside}{n}" for n in position_shapes(kind)})
    return names


def shapes(kind, place):
    found = {
        "cls_token": (1, 1, WIDTH),
        "reg_token": (1, PREFIX - 1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "head.weight": (CLASSES, WIDTH),
        "head.bias": (CLASSES,),
    }
    for layer, names in enumerate(position_names(kind, place)):
        found |= {names[n]: shape for n, shape in position_shapes(kind).items()}
        block = {
            "norm1.weight": (WIDTH,),
            "norm1.bias": (WIDTH,),
            "attn.qkv.weight": (3 * WIDTH, WIDTH),
            "attn.qkv.bias": (3 * WIDTH,),
            "attn.proj.weight": (WIDTH, WIDTH),
            "attn.proj.bias": (WIDTH,),
            "norm2.weight": (WIDTH,),
            "norm2.bias": (WIDTH,),
            "mlp.fc1.weight": (MLP, WIDTH),
            "mlp.fc1.bias": (MLP,),
            "mlp.fc2.weight": (WIDTH, MLP),
            "mlp.fc2.bias": (WIDTH,),
        }
        found |= {f"blocks.{layer}.{n}": shape for n, shape in block.items()}
    return found


def places():
    """Row and column of every patch."""
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in GRID), indexing="ij")
    return rows.reshape(-1), columns.reshape(-1)


def table(kind, tables):
    """[PREFIX + patches, WIDTH]; None for kinds that have no table."""
    y, x = places()
    if kind == "learned-1d":
        return tables["pos_embed"][0]
    if kind == "learned-2d":
        found = torch.cat((tables["pos_embed_columns"][x], tables["pos_embed_rows"][y]), 1)
    elif kind == "factorized-sum":
        found = tables["pos_embed_rows"][y] + tables["pos_embed_columns"][x]
    elif kind == "sincos-2d":
        quarter = WIDTH // 4
        omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
        across, down = x[:, None] * omega, y[:, None] * omega
        found = torch.cat((across.sin(), across.cos(), down.sin(), down.cos()), 1)
    else:
        return None
    return torch.cat((torch.zeros(PREFIX, WIDTH, dtype=torch.float64), found))


def combine(x, kind, op, tables):
    found = table(kind, tables)
    if found is None:
        return x
    return x + found if op == "add" else x * (1 + found)


def relative_bias(parameter):
    """[HEADS, tokens, tokens]: Swin's index between patches, BEiT's three rows for the others."""
    y, x = places()
    rows, columns = GRID
    down = y[:, None] - y[None, :] + rows - 1
    across = x[:, None] - x[None, :] + columns - 1
    last = (2 * rows - 1) * (2 * columns - 1)
    tokens = PREFIX + rows * columns
    index = torch.empty(tokens, tokens, dtype=torch.long)
    index[PREFIX:, PREFIX:] = down * (2 * columns - 1) + across
    index[:PREFIX, PREFIX:] = last
    index[PREFIX:, :PREFIX] = last + 1
    index[:PREFIX, :PREFIX] = last + 2
    return parameter[index].permute(2, 0, 1)


def rotate(x):
    """Axial: [B, HEADS, tokens, Dh], pairs of neighbours as complex numbers; patches only."""
    y, columns = places()
    width = x.shape[-1]
    f = 100.0 ** (-4.0 * torch.arange(width // 4, dtype=torch.float64) / width)
    angles = torch.cat((columns[:, None] * f, y[:, None] * f), 1)
    pairs = torch.view_as_complex(x[:, :, PREFIX:].reshape(*x.shape[:2], len(y), width // 2, 2))
    turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles))
    return torch.cat((x[:, :, :PREFIX], turned.reshape(*x.shape[:2], len(y), width)), 2)


def block(x, w, kind, tables):
    def norm(x, name):
        return layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], EPS)

    def dense(x, name):
        return linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    batch, tokens, _ = x.shape
    qkv = dense(norm(x, "norm1"), "attn.qkv").reshape(batch, tokens, 3, HEADS, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    if kind == "rope-2d":
        q, k = rotate(q), rotate(k)
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if kind == "relative":
        logits = logits + relative_bias(tables["relative_position_bias_table"])
    attended = (logits.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, WIDTH)
    x = x + dense(attended, "attn.proj")
    return x + dense(gelu(dense(norm(x, "norm2"), "mlp.fc1")), "mlp.fc2")


def forward(pixels, w, kind, op, place):
    names = position_names(kind, place)
    tables = [{n: w[full] for n, full in layer.items()} for layer in names]
    patches = torch.nn.functional.conv2d(
        pixels, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=PATCH
    )
    first = torch.cat((w["cls_token"], w["reg_token"]), 1).expand(len(pixels), -1, -1)
    x = torch.cat((first, patches.flatten(2).transpose(1, 2)), 1)
    for layer in range(LAYERS):
        if layer == 0 or place != "stem":
            x = combine(x, kind, op, tables[layer])
        start = f"blocks.{layer}."
        mine = {n.removeprefix(start): t for n, t in w.items() if n.startswith(start)}
        x = block(x, mine, kind, tables[layer])
    x = layer_norm(x, (WIDTH,), w["norm.weight"], w["norm.bias"], EPS)
    return linear(x[:, 0], w["head.weight"], w["head.bias"])


def make_case(kind, op, place):
    name = f"{kind}_{op}_{place}"
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    weights = {}
    for key, shape in shapes(kind, place).items():
        scale = 0.2 if len(shape) > 1 and "weight" in key else 0.3
        weights[key] = scale * torch.randn(shape, generator=random)
        if "norm" in key and key.endswith("weight"):
            weights[key] += 1
    pixels = torch.randn((BATCH, 3, GRID[0] * PATCH, GRID[1] * PATCH), generator=random)
    targets = torch.softmax(2 * torch.randn((BATCH, CLASSES), generator=random), 1)
    tensors = {"pixel_values": pixels, "targets": targets}
    tensors |= {f"weights/{key}": t for key, t in weights.items()}

    doubles = {key: t.double().requires_grad_() for key, t in weights.items()}
    loss = cross_entropy(forward(pixels.double(), doubles, kind, op, place), targets.double())
    loss.backward()
    tensors["loss"] = loss.detach().float().reshape(1)
    tensors |= {f"gradients/{key}": t.grad.float() for key, t in doubles.items()}
    file = FOLDER / f"{name}.safetensors"
    safetensors.torch.save_file({key: t.contiguous() for key, t in tensors.items()}, file)
    file.chmod(0o644)
    return name


def main():
    fresh_folder(FOLDER)
    write_index(FOLDER, [make_case(*case) for case in CASES])
    write_versions(FOLDER, ("torch", "safetensors"))


if __name__ == "__main__":
    main()
