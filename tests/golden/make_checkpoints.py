#!/usr/bin/env python3
"""Makes tests/golden/checkpoints/<case>/: tiny real checkpoints and the logits PyTorch gives.

Every directory is what the library itself writes (transformers' save_pretrained, timm's
save_for_hf); the few that are then edited, to look like what older versions and well-known hub
repositories hold, say so in their function. golden.safetensors beside it holds

    pixel_values  [3, 3, H, W]  f32   three random normal images
    logits        [3, K]        f32   eval mode, float32, the library's default attention
    logits_f64    [3, K]        f64   the same weights and pixels in float64

logits and logits_f64 tell how far float32 arithmetic itself is from the exact answer.

Before a case is kept it is loaded again from its directory, by the library's own loader, and must
give the same logits bit for bit. Run without arguments; with case names, only these are remade.
"""

import json
import sys
import zlib
from pathlib import Path

from golden_common import fresh_folder, write_index, write_json, write_versions

import safetensors.torch
import timm
import torch
import transformers
from timm.models import save_for_hf
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

FOLDER = Path(__file__).resolve().parent / "checkpoints"
MAX_CASE_BYTES = 250_000

# Two labels are not ASCII (two and three bytes of UTF-8), one holds quotes, one a comma.
WORDS = [
    "tabby cat",
    "espresso",
    "rocket, projectile",
    "Kuchen-Käse",
    'grey "fox"',
    "雪兎 snow hare",
    "mountain bike",
    "wall clock",
    "lily of the valley",
    "brick",
    "gravel",
]

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


# ---- weights and logits ----


def generator(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


# A tiny residual stream in front of the first LayerNorm makes its eps visible: with a variance near
# 1 nobody could tell 1e-12 from 1e-6 in the logits.
STREAM = 0.006

# GELU's erf and tanh forms differ by at most 5e-4. That is visible where GELU's own value is small:
# inputs around -1.5, as most are in trained models, with larger weights behind.
FC1_BIAS, FC2_GAIN = -1.5, 4.0


def reinitialize(model, name):
    """Weights under which every part of the model matters, see check_sensitivity.

    Fresh models have zero biases, zero tokens and weights so small that GELU and softmax are
    nearly linear: a wrong GELU or a swapped head would hide below the tolerance.
    """
    random = generator(name)

    def normal(tensor, std, mean=0.0):
        return torch.randn(tensor.shape, generator=random) * std + mean

    def has(key, *parts):
        return any(part in key for part in parts)

    qk_norm = any("q_norm" in key for key in model.state_dict())
    with torch.no_grad():
        for key, tensor in sorted(model.state_dict().items()):
            leaf = key.rsplit(".", 1)[-1]
            if "norm" in key:
                value = normal(tensor, 0.2, 1.0) if leaf == "weight" else normal(tensor, 0.1)
            elif leaf in ("gamma", "lambda1"):
                value = torch.rand(tensor.shape, generator=random) + 0.3
            elif leaf == "bias":
                value = normal(tensor, 0.2)
                if has(key, "fc1"):
                    value += FC1_BIAS
            elif leaf == "weight":
                value = normal(tensor, 1.2 / (tensor[0].numel() ** 0.5))
                if has(key, "qkv"):
                    value[: 2 * tensor.shape[0] // 3] *= STREAM if qk_norm else 1.5
                elif has(key, "q_proj", "k_proj"):
                    value *= 1.5
                elif has(key, "fc2"):
                    value *= FC2_GAIN
            else:  # class, distillation and register tokens, position embeddings
                value = normal(tensor, 0.7)
            if has(key, "patch_embed", "_token", "pos_embed", "position_embeddings"):
                value = value * STREAM
            if has(key, "qkv.bias") and qk_norm:
                value[: 2 * tensor.shape[0] // 3] *= STREAM
            tensor.copy_(value)
    return model.eval()


def run(model, pixels):
    with torch.no_grad():
        out = model(pixels)
    return out if torch.is_tensor(out) else out.logits


def golden_tensors(model, name, size):
    pixels = torch.randn((3, 3, *size), generator=generator(name + " pixels"))
    logits = run(model.float(), pixels)
    exact = run(model.double(), pixels.double())
    model.float()

    assert logits.dtype == torch.float32 and exact.dtype == torch.float64
    spread = (logits.max(1).values - logits.min(1).values).max().item()
    between = (logits - logits[:1]).abs().max().item()
    error = ((logits - exact).abs().max() / exact.abs().max()).item()
    assert torch.isfinite(exact).all() and spread > 0.2 and between > 0.1, (spread, between)
    assert error < 1e-5, f"{name}: float32 is {error} away from float64"
    check_sensitivity(model, name, pixels, logits)
    return {"pixel_values": pixels, "logits": logits, "logits_f64": exact}, error


# Ten times what a reader may be wrong by (1e-4 of the largest logit) where the mistake is gross,
# three times where only a constant is wrong.
GROSS, SUBTLE = 1e-3, 3e-4

ACTIVATIONS = {
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


class Activation(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def check_sensitivity(model, name, pixels, logits):
    """Every parameter, the LayerNorm eps and the activation change the logits if they are wrong.

    Otherwise the case could not find a reader that ignores them.
    """

    def change():
        return ((run(model, pixels) - logits).abs().max() / logits.abs().max()).item()

    for key, parameter in model.named_parameters():
        if has_no_effect(key):
            continue
        kept = parameter.detach().clone()
        neutral = "norm" in key and key.endswith("weight") or "gamma" in key
        with torch.no_grad():
            parameter.fill_(1.0 if neutral else 0.0)
        assert change() > GROSS, f"{name}: without {key} the logits change only by {change()}"
        if key.endswith("qkv.bias"):  # the value part alone would do
            with torch.no_grad():
                parameter.copy_(kept)
                parameter[: kept.numel() // 3] = 0.0
            assert change() > GROSS, f"{name}: without the query part of {key}: {change()}"
        with torch.no_grad():
            parameter.copy_(kept)

    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    kept = [module.eps for module in norms]
    for eps in {1e-12, 1e-6, 1e-5}.difference(kept):
        for module in norms:
            module.eps = eps
        assert change() > SUBTLE, f"{name}: with eps {eps} the logits change only by {change()}"
    for module, eps in zip(norms, kept):
        module.eps = eps

    places = [
        (module, key)
        for module in model.modules()
        for key in ("act", "activation_fn")
        if isinstance(getattr(module, key, None), torch.nn.Module)
    ]
    kept = [getattr(module, key) for module, key in places]
    assert len(places) == sum(key.endswith("fc1.weight") for key in model.state_dict())
    changes = []
    for function in ACTIVATIONS.values():
        for module, key in places:
            setattr(module, key, Activation(function))
        changes.append(change())
    for (module, key), activation in zip(places, kept):
        setattr(module, key, activation)
    right = [value for value in changes if value < 1e-6]
    assert (
        len(right) == 1 and sum(value > SUBTLE for value in changes) == 2
    ), f"{name}: with {list(ACTIVATIONS)} the logits change by {changes}"
    assert torch.equal(run(model, pixels), logits)


def has_no_effect(key):
    """A constant added to all keys shifts all scores of a query alike: softmax does not see it."""
    return key.endswith(("k_proj.bias", "k_norm.bias"))


def finish(folder, golden, reloaded, error):
    """Checks that what lies in `folder` gives the golden logits, then writes them."""
    again = run(reloaded, golden["pixel_values"])
    assert torch.equal(
        again, golden["logits"]
    ), f"{folder.name}: reloaded logits differ by {(again - golden['logits']).abs().max()}"
    safetensors.torch.save_file(golden, folder / "golden.safetensors")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size <= MAX_CASE_BYTES, f"{folder.name} has {size} bytes"
    print(f"{folder.name:32} {size // 1024:4} KB  float32 error {error:.1e}")


# ---- transformers ----


def labels(count, names=WORDS):
    return {index: names[index] for index in range(count)}


def hf_config(kind=transformers.ViTConfig, classes=6, **changes):
    values = dict(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        id2label=labels(classes),
        label2id={label: index for index, label in labels(classes).items()},
    )
    values.update(changes)
    return kind(**values)


def hf_save(
    name,
    config,
    kind=transformers.ViTForImageClassification,
    dtype=torch.float32,
    processor=None,
    change=None,
    edit=None,
    **save,
):
    """Builds, saves with a processor beside, lets `edit(folder, model)` change files, verifies."""
    folder = fresh_folder(FOLDER / name)
    model = reinitialize(kind(config), name).to(dtype)
    if change is not None:
        change(model)
    model.save_pretrained(folder, **save)
    size = config.image_size
    size = (size, size) if isinstance(size, int) else tuple(size)
    if processor is None:
        processor = ViTImageProcessorPil(size={"height": size[0], "width": size[1]})
    processor.save_pretrained(folder)
    if edit is not None:
        edit(folder, model)

    golden, error = golden_tensors(model, name, size)
    reloaded, report = kind.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    assert not any(report.values()), f"{name}: {report}"
    finish(folder, golden, reloaded.eval(), error)


@case
def hf_vit(name):
    hf_save(name, hf_config())


@case
def hf_vit_eps1e_6_noqkvbias(name):
    """Eleven labels: the writer sorts their ids as text, so "10" comes before "2"."""
    config = hf_config(classes=11, layer_norm_eps=1e-6, qkv_bias=False, intermediate_size=72)
    hf_save(name, config)


@case
def hf_vit_gelu_new(name):
    hf_save(name, hf_config(hidden_act="gelu_new", num_hidden_layers=3, hidden_size=24))


@case
def hf_vit_quick_gelu(name):
    hf_save(name, hf_config(hidden_act="quick_gelu", num_attention_heads=2))


@case
def hf_vit_nonsquare(name):
    hf_save(name, hf_config(image_size=[32, 48]))


@case
def hf_vit_f16(name):
    hf_save(name, hf_config(), dtype=torch.float16)


@case
def hf_vit_bf16(name):
    hf_save(name, hf_config(), dtype=torch.bfloat16)


@case
def hf_vit_f64(name):
    """Weights with all 53 bits; the logits are those of the weights rounded to float32."""

    def widen(model):
        random = generator(name + " tail")
        with torch.no_grad():
            for tensor in model.parameters():
                tail = torch.rand(tensor.shape, generator=random, dtype=torch.float64) - 0.5
                tensor.mul_(1 + tail * 1e-7)

    config = hf_config(num_hidden_layers=1, patch_size=16, hidden_size=24)
    hf_save(name, config, dtype=torch.float64, change=widen)


@case
def hf_vit_sharded(name):
    hf_save(name, hf_config(), max_shard_size="48KB")


@case
def hf_vit_v5names(name):
    """Tensors under the names that transformers 5 uses in memory, which it also reads."""

    def rename(folder, model):
        tensors = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
        assert any(".q_proj." in key for key in tensors)
        safetensors.torch.save_file(
            tensors, folder / "model.safetensors", metadata={"format": "pt"}
        )

    hf_save(name, hf_config(), edit=rename)


@case
def hf_vit_bare_size(name):
    """The preprocessor file of google/vit-base-patch16-224 in its form: a bare integer size and
    neither resample, do_rescale, rescale_factor nor a processor type. Labels out of order."""

    def edit(folder, model):
        write_json(
            folder / "preprocessor_config.json",
            {
                "do_normalize": True,
                "do_resize": True,
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
                "size": 32,
            },
        )
        path = folder / "config.json"
        config = json.loads(path.read_text())
        order = ["3", "0", "5", "1", "4", "2"]
        assert sorted(order) == sorted(config["id2label"])
        config["id2label"] = {key: config["id2label"][key] for key in order}
        write_json(path, config)

    hf_save(name, hf_config(), edit=edit)


@case
def hf_vit_default_labels(name):
    """Two labels with their default names: `id2label` in the form that from_pretrained fills in."""
    config = hf_config(id2label=None, label2id=None, num_labels=2)
    hf_save(name, config)


@case
def hf_vit_no_id2label(name):
    """Older writers left id2label out when there were two classes; the classifier still has two."""

    def edit(folder, model):
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config.pop("id2label", None)
        config.pop("label2id", None)
        write_json(path, config)

    hf_save(name, hf_config(id2label=None, label2id=None, num_labels=2), edit=edit)


@case
def hf_deit_plain(name):
    """model_type vit beside a DeiT preprocessor, as facebook/deit-base-patch16-224 has it."""

    def edit(folder, model):
        write_json(
            folder / "preprocessor_config.json",
            {
                "do_center_crop": False,
                "do_normalize": True,
                "do_resize": True,
                "feature_extractor_type": "DeiTFeatureExtractor",
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
                "resample": 2,
                "size": 32,
            },
        )

    hf_save(name, hf_config(), edit=edit)


def deit_processor(size):
    return DeiTImageProcessorPil(
        size={"height": size + 4, "width": size + 4},
        crop_size={"height": size, "width": size},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


@case
def hf_deit_distilled(name):
    hf_save(
        name,
        hf_config(transformers.DeiTConfig, hidden_size=40, num_attention_heads=5),
        kind=transformers.DeiTForImageClassificationWithTeacher,
        processor=deit_processor(32),
    )


@case
def hf_deit_single(name):
    hf_save(
        name,
        hf_config(transformers.DeiTConfig, classes=5, num_hidden_layers=3, hidden_size=24),
        kind=transformers.DeiTForImageClassification,
        processor=deit_processor(32),
    )


# ---- timm ----


def timm_save(
    name,
    architecture,
    classes=7,
    size=32,
    label_names=None,
    label_descriptions=None,
    edit=None,
    **model_args,
):
    """model_args not given keep the architecture's own value, as timm does when it rebuilds it."""
    folder = fresh_folder(FOLDER / name)
    args = dict(img_size=size, patch_size=8, embed_dim=32, depth=2, num_heads=4, mlp_ratio=2)
    args.update(model_args)
    model = timm.create_model(architecture, pretrained=False, num_classes=classes, **args)
    reinitialize(model, name)
    config = {}
    if label_names is not None:
        config["label_names"] = label_names
    if label_descriptions is not None:
        config["label_descriptions"] = label_descriptions
    save_for_hf(model, folder, model_config=config, safe_serialization=True)
    if edit is not None:
        edit(folder, model)

    size = (size, size) if isinstance(size, int) else tuple(size)
    golden, error = golden_tensors(model, name, size)
    reloaded = timm.create_model(f"local-dir:{folder}", pretrained=True)
    finish(folder, golden, reloaded.eval(), error)


@case
def timm_vit(name):
    timm_save(name, "vit_tiny_patch16_224", label_names=WORDS[:7])


@case
def timm_vit_avg(name):
    timm_save(name, "vit_tiny_patch16_224", global_pool="avg")


@case
def timm_vit_avg_nofcnorm(name):
    """The final norm stays before the pooling."""
    timm_save(name, "vit_tiny_patch16_224", global_pool="avg", fc_norm=False)


@case
def timm_vit_nocls(name):
    """No class token, average pooling, no qkv bias, layer scale: all said by the architecture."""
    timm_save(name, "vit_medium_patch16_gap_240")


@case
def timm_vit_no_embed_class(name):
    timm_save(name, "vit_small_patch16_224", no_embed_class=True)


@case
def timm_vit_registers(name):
    """Registers without positions and layer scale, from the architecture; head dimension 12."""
    timm_save(name, "vit_small_patch14_reg4_dinov2", embed_dim=24, num_heads=2)


@case
def timm_vit_registers_gap(name):
    """Registers, no class token, average over the patches only."""
    timm_save(name, "vit_base_patch16_reg4_gap_256")


@case
def timm_vit_registers_embed(name):
    """Two registers whose positions are part of the table."""
    timm_save(name, "vit_small_patch16_224", reg_tokens=2)


@case
def timm_vit_layerscale(name):
    timm_save(name, "vit_tiny_patch16_224", init_values=0.1, depth=3, embed_dim=24)


@case
def timm_vit_prenorm(name):
    """A CLIP architecture: its name alone says that the LayerNorms have eps 1e-5."""
    timm_save(name, "vit_base_patch32_clip_224")


@case
def timm_vit_prenorm_arg(name):
    """pre_norm given as an argument; eps is 1e-6."""
    timm_save(name, "vit_tiny_patch16_224", pre_norm=True)


@case
def timm_vit_quickgelu(name):
    """The activation is said by the architecture's name alone."""
    timm_save(name, "vit_base_patch32_clip_quickgelu_224")


@case
def timm_vit_qknorm(name):
    timm_save(name, "vit_tiny_patch16_224", qk_norm=True)


@case
def timm_vit_noqkvbias(name):
    timm_save(name, "vit_tiny_patch16_224", qkv_bias=False)


@case
def timm_vit_max(name):
    timm_save(name, "vit_tiny_patch16_224", global_pool="max")


@case
def timm_vit_avgmax(name):
    timm_save(name, "vit_tiny_patch16_224", global_pool="avgmax")


@case
def timm_vit_gelutanh(name):
    timm_save(name, "vit_tiny_patch16_224", act_layer="gelu_tanh")


@case
def timm_vit_nonsquare(name):
    timm_save(name, "vit_tiny_patch16_224", size=(32, 48))


# Three heads are vit_tiny_patch16_224's own number. Files without model_args say the rest by their
# tensors' shapes; timm itself must be told, because it would build the architecture's full size.
SILENT = dict(img_size=32, patch_size=8, embed_dim=48, depth=2, mlp_ratio=2)


def timm_save_silent(name, classes, config, rewrite):
    folder = fresh_folder(FOLDER / name)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=classes, **SILENT)
    reinitialize(model, name)
    save_for_hf(model, folder, model_config=config, safe_serialization=True)
    path = folder / "config.json"
    write_json(path, rewrite(json.loads(path.read_text())))
    golden, error = golden_tensors(model, name, (32, 32))
    reloaded = timm.create_model(f"local-dir:{folder}", pretrained=True, **SILENT)
    finish(folder, golden, reloaded.eval(), error)


@case
def timm_vit_noargs(name):
    """config.json without model_args, as published ImageNet models have it."""

    def rewrite(config):
        del config["model_args"]
        return config

    timm_save_silent(name, 5, {}, rewrite)


@case
def timm_vit_oldconfig(name):
    """The oldest files: pretrained_cfg's keys at the root and labels called `labels`."""

    def rewrite(config):
        old = {"architecture": config["architecture"], "num_features": config["num_features"]}
        old.update(config["pretrained_cfg"])
        old["labels"] = config["label_names"]
        return old

    timm_save_silent(name, 6, {"label_names": WORDS[:6]}, rewrite)


@case
def timm_deit_distilled(name):
    timm_save(name, "deit_tiny_distilled_patch16_224", embed_dim=36, num_heads=3)


@case
def timm_vit_labels(name):
    """Labels as names with descriptions, the way ImageNet repositories give synsets."""
    names = [f"n{1000 + index:08}" for index in range(7)]
    timm_save(
        name,
        "vit_small_patch16_224",
        label_names=names,
        label_descriptions=dict(zip(reversed(names), reversed(WORDS[:7]))),
    )


@case
def timm_vit_labels_dict(name):
    """label_names as a map from index to name, out of order."""
    timm_save(
        name,
        "vit_small_patch16_224",
        label_names={str(index): WORDS[index] for index in (4, 0, 6, 1, 5, 2, 3)},
    )


def main():
    wanted = sys.argv[1:] or list(CASES)
    FOLDER.mkdir(exist_ok=True)
    for name in wanted:
        CASES[name](name)
    write_index(FOLDER, CASES)
    write_versions(FOLDER)


if __name__ == "__main__":
    main()
