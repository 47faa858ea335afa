#!/usr/bin/env python3
"""Makes tests/golden/preprocess/: preprocessing specs and the tensors that they lead to.

    images/<name>.png            small RGB photographs of awkward sizes, shared by all cases
    <case>/preprocessor_config.json    Hugging Face cases; with a config.json where only its
                                       model_type says which processor class is meant
    <case>/config.json                 timm cases
    <case>/golden.safetensors    one float32 tensor [3, H, W] per image, named as the image

Hugging Face specs run through AutoImageProcessor with the PIL backend, timm's through
timm.data.create_transform, each loaded from the written directory. Specs are what the tools
themselves write; those that repeat an older or hand-made form are given as text here.
Run without arguments; with case names, only these are remade.
"""

import json
import sys
from pathlib import Path

from golden_common import fresh_folder, write_index, write_json, write_versions

import numpy
import safetensors.torch
import skimage.data
import timm
import torch
from PIL import Image
from timm.models._hub import save_config_for_hf
from transformers import AutoImageProcessor
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

FOLDER = Path(__file__).resolve().parent / "preprocess"
MAX_TOTAL_BYTES = 3_000_000

IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
HALF = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])

# name: (scikit-image picture, crop box as left, top, right, bottom, size as width, height).
# Sizes: landscape, portrait, narrow, wide, square, smaller than every target, a real photo's ratio,
# and one (50x100) for which Pillow 13 resizes vertically first.
IMAGES = {
    "chelsea_61x47": ("chelsea", (90, 20, 395, 255), (61, 47)),
    "coffee_47x61": ("coffee", (150, 20, 433, 388), (47, 61)),
    "rocket_33x80": ("rocket", (240, 0, 416, 427), (33, 80)),
    "chelsea_128x96": ("chelsea", (51, 0, 451, 300), (128, 96)),
    "astronaut_40x40": ("astronaut", (130, 0, 330, 200), (40, 40)),
    "coffee_17x23": ("coffee", (200, 60, 370, 290), (17, 23)),
    "rocket_97x31": ("rocket", (0, 200, 640, 405), (97, 31)),
    "coffee_300x200": ("coffee", (0, 0, 600, 400), (300, 200)),
    "astronaut_50x100": ("astronaut", (100, 0, 356, 512), (50, 100)),
}
EVERY = list(IMAGES)

# Each group has upscaling and downscaling, both orientations and both pass orders.
GROUPS = [
    ["chelsea_61x47", "rocket_33x80", "coffee_17x23", "astronaut_40x40"],
    ["coffee_47x61", "chelsea_128x96", "coffee_17x23", "astronaut_50x100"],
    ["rocket_97x31", "coffee_300x200", "coffee_17x23", "rocket_33x80"],
]

CASES = {}


def make_images():
    folder = fresh_folder(FOLDER / "images")
    for name, (source, box, size) in IMAGES.items():
        picture = Image.fromarray(numpy.asarray(getattr(skimage.data, source)()))
        picture.crop(box).resize(size, Image.Resampling.LANCZOS).save(
            folder / f"{name}.png", optimize=True
        )
    (folder / "LICENSES.txt").write_text(
        "All pictures are crops, made smaller, of pictures that come with scikit-image 0.26.0\n"
        "(skimage.data), whose documentation states their origin and licence:\n\n"
        "chelsea_*    Chelsea the cat, photograph by Stefan van der Walt. CC0.\n"
        "coffee_*     Espresso, photograph by Rachel Michetti, courtesy of Pikolo Espresso Bar. "
        "CC0.\n"
        "astronaut_*  Eileen Collins, NASA Great Images database. Public domain.\n"
        "rocket_*     Launch of DSCOVR on Falcon 9, photograph by SpaceX. Public domain (CC0).\n",
        encoding="utf-8",
    )


def open_image(name):
    image = Image.open(FOLDER / "images" / f"{name}.png")
    assert image.mode == "RGB"
    return image


def finish(folder, names, transform):
    tensors = {}
    for name in names:
        value = torch.as_tensor(numpy.asarray(transform(open_image(name))))
        # bytes stay bytes where a spec neither rescales nor normalizes
        assert value.dtype in (torch.float32, torch.uint8), value.dtype
        tensors[name] = value.to(torch.float32).contiguous()
        assert tensors[name].ndim == 3 and tensors[name].shape[0] == 3
        assert torch.isfinite(tensors[name]).all()
    safetensors.torch.save_file(tensors, folder / "golden.safetensors")
    shapes = sorted({f"{t.shape[1]}x{t.shape[2]}" for t in tensors.values()})
    print(f"{folder.name:28} {len(tensors)} images  {' '.join(shapes)}")


# ---- Hugging Face ----


def hf(name, spec, images, model_type=None):
    """`spec` is a processor, which writes its own file, or the dictionary of a stored file."""

    def make():
        folder = fresh_folder(FOLDER / name)
        if isinstance(spec, dict):
            write_json(folder / "preprocessor_config.json", spec)
        else:
            spec.save_pretrained(folder)
        if model_type is not None:
            write_json(folder / "config.json", {"model_type": model_type})
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        assert type(processor).__name__.endswith("Pil"), type(processor)

        def transform(image):
            [pixels] = processor(image, return_tensors="np")["pixel_values"]
            return pixels

        finish(folder, images, transform)

    assert name not in CASES
    CASES[name] = make


def sized(height, width=None):
    return {"height": height, "width": height if width is None else width}


hf("hf_vit", ViTImageProcessorPil(size=sized(32)), EVERY)
hf("hf_vit_rect", ViTImageProcessorPil(size=sized(17, 32), resample=3, **IMAGENET), EVERY)
for code in range(6):
    hf(
        f"hf_vit_resample{code}",
        ViTImageProcessorPil(size=sized(23), resample=code),
        GROUPS[code % 2] + ["coffee_300x200"],
    )
hf(
    "hf_vit_no_rescale",
    ViTImageProcessorPil(
        size=sized(24),
        do_rescale=False,
        image_mean=[127.5, 120.0, 100.25],
        image_std=[127.5, 60.5, 64.0],
    ),
    GROUPS[0],
)
hf("hf_vit_no_normalize", ViTImageProcessorPil(size=sized(24), do_normalize=False), GROUPS[1])
hf(
    "hf_vit_bytes",
    ViTImageProcessorPil(size=sized(24), do_rescale=False, do_normalize=False),
    GROUPS[2],
)
hf(
    "hf_vit_rescale_127",
    ViTImageProcessorPil(
        size=sized(24),
        rescale_factor=1 / 127.5,
        image_mean=[1.0, 1.0, 1.0],
        image_std=[1.0, 1.0, 1.0],
    ),
    GROUPS[2],
)
hf("hf_deit", DeiTImageProcessorPil(size=sized(36), crop_size=sized(32), **IMAGENET), GROUPS[0])
hf("hf_deit_odd", DeiTImageProcessorPil(size=sized(37, 39), crop_size=sized(30, 32)), GROUPS[0])
hf("hf_deit_no_crop", DeiTImageProcessorPil(size=sized(27), do_center_crop=False), GROUPS[1])
hf(
    "hf_bit",
    BitImageProcessorPil(size={"shortest_edge": 27}, crop_size=sized(24), **IMAGENET),
    EVERY,
)
hf(
    "hf_bit_shortest_odd",
    BitImageProcessorPil(size={"shortest_edge": 35}, crop_size=sized(32, 30)),
    GROUPS[2],
)
hf("hf_bit_pad", BitImageProcessorPil(size={"shortest_edge": 15}, crop_size=sized(26, 25)), EVERY)
hf(
    "hf_bit_crop_only",
    BitImageProcessorPil(do_resize=False, crop_size=sized(36, 41)),
    GROUPS[0] + ["chelsea_128x96"],
)
hf("hf_bit_no_crop", BitImageProcessorPil(size={"shortest_edge": 13}, do_center_crop=False), EVERY)
hf(
    "hf_bit_longest_edge",
    BitImageProcessorPil(size={"shortest_edge": 16, "longest_edge": 23}, do_center_crop=False),
    EVERY,
)
hf(
    "hf_bit_untouched",
    BitImageProcessorPil(do_resize=False, do_center_crop=False),
    ["coffee_17x23", "astronaut_40x40"],
)
hf("hf_clip", CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=sized(24)), EVERY)
hf("hf_siglip", SiglipImageProcessorPil(size=sized(32), resample=3), GROUPS[1])
hf(
    "hf_siglip_int",
    {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        **HALF,
        "image_processor_type": "SiglipImageProcessor",
        "resample": 2,
        "size": 21,
    },
    GROUPS[2],
)
hf("hf_beit", BeitImageProcessorPil(size=sized(32), resample=2), GROUPS[2])
hf(
    "hf_beit_crop",
    BeitImageProcessorPil(size=sized(37), crop_size=sized(32), do_center_crop=True),
    GROUPS[0],
)

# Forms that older releases wrote and that the hub is full of.
hf("hf_bare_vit", {"do_normalize": True, "do_resize": True, **HALF, "size": 32}, GROUPS[0], "vit")
hf(
    "hf_bare_vit_mae",
    {"do_normalize": True, "do_resize": True, **IMAGENET, "size": 32, "resample": 2},
    GROUPS[1],
    "vit_mae",
)
hf(
    "hf_bare_deit",
    {"do_normalize": True, "do_resize": True, "size": 36, "crop_size": 32},
    GROUPS[2],
    "deit",
)
hf(
    "hf_old_vit",
    {
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "ViTFeatureExtractor",
        **HALF,
        "resample": 2,
        "size": 32,
    },
    GROUPS[0],
)
hf(
    "hf_old_deit",
    {
        "crop_size": 32,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "DeiTFeatureExtractor",
        **IMAGENET,
        "resample": 3,
        "size": 36,
    },
    GROUPS[1],
)
hf(
    "hf_old_clip",
    {
        "crop_size": 32,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3,
        "size": 32,
    },
    GROUPS[2],
)
hf(
    "hf_old_vit_both_types",
    {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "feature_extractor_type": "ViTFeatureExtractor",
        **HALF,
        "image_processor_type": "ViTImageProcessor",
        "resample": 2,
        "rescale_factor": 0.00392156862745098,
        "size": sized(24),
    },
    GROUPS[0],
)
hf(
    "hf_fast_vit",
    {
        "crop_size": None,
        "data_format": "channels_first",
        "default_to_square": True,
        "device": None,
        "do_center_crop": None,
        "do_convert_rgb": None,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        **HALF,
        "image_processor_type": "ViTImageProcessorFast",
        "input_data_format": None,
        "resample": 2,
        "rescale_factor": 0.00392156862745098,
        "return_tensors": None,
        "size": sized(24),
    },
    GROUPS[1],
)
# null is None, which switches a step off whatever the class's default is.
hf(
    "hf_null_flags",
    {
        "image_processor_type": "DeiTImageProcessor",
        "size": sized(28),
        "crop_size": None,
        "do_center_crop": None,
        "do_normalize": None,
        "image_mean": None,
        "image_std": None,
    },
    GROUPS[2],
)
hf(
    "hf_null_resize",
    {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": None,
        "resample": None,
        "size": None,
        "crop_size": sized(24),
        "do_rescale": None,
        "rescale_factor": None,
    },
    GROUPS[0],
)
hf("hf_size_list", {"image_processor_type": "ViTImageProcessor", "size": [24, 31]}, GROUPS[0])
hf(
    "hf_mean_scalar",
    {
        "image_processor_type": "ViTImageProcessor",
        "size": 24,
        "image_mean": 0.45,
        "image_std": 0.22,
    },
    GROUPS[1],
)
hf(
    "hf_bit_int_sizes",
    {
        "image_processor_type": "BitImageProcessor",
        "size": 30,
        "crop_size": 25,
        "resample": 2,
        **IMAGENET,
    },
    GROUPS[2],
)
hf(
    "hf_extra_keys",
    {
        "_valid_processor_keys": ["images", "do_resize", "size"],
        "processor_class": "CLIPProcessor",
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": sized(24),
        "do_convert_rgb": True,
        "size": {"shortest_edge": 24},
    },
    GROUPS[0],
)


# ---- timm ----

TINY = dict(patch_size=8, embed_dim=16, depth=1, num_heads=2)


def timm_case(name, images, size=32, edit=None, **data_config):
    size = (size, size) if isinstance(size, int) else size

    def make():
        folder = fresh_folder(FOLDER / name)
        path = folder / "config.json"
        model = timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=size, **TINY)
        save_config_for_hf(model, path, data_config=dict(data_config, input_size=(3, *size)))
        written = json.loads(path.read_text())["pretrained_cfg"]
        for key, value in data_config.items():
            value = list(value) if isinstance(value, tuple) else value
            assert written[key] == value, f"{name}: timm did not store {key}"
        if edit is not None:
            config = json.loads(path.read_text())
            edit(config)
            write_json(path, config)
        loaded = timm.create_model(f"local-dir:{folder}", pretrained=False)
        config = timm.data.resolve_data_config({}, model=loaded)
        assert tuple(config["input_size"]) == (3, *size), config
        finish(folder, images, timm.data.create_transform(**config, is_training=False))

    assert name not in CASES
    CASES[name] = make


def without(*keys):
    def edit(config):
        for key in keys:
            config["pretrained_cfg"].pop(key, None)

    return edit


timm_case("timm_default", EVERY)  # crop_pct 0.9, bicubic, 0.5: resize to 35, crop differs by 3
timm_case("timm_875", GROUPS[0], size=24, crop_pct=0.875, interpolation="bilinear")
timm_case(
    "timm_95",
    GROUPS[1],
    size=24,
    crop_pct=0.95,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
timm_case("timm_1", GROUPS[2], crop_pct=1.0)
timm_case("timm_odd", EVERY, size=24, crop_pct=0.78)  # resize to 30; the longer side varies
timm_case("timm_pad", EVERY, size=24, crop_pct=1.25)  # resize to 19, then 5 missing pixels
timm_case("timm_squash", GROUPS[0], crop_mode="squash", crop_pct=1.0)
timm_case("timm_squash_9", GROUPS[1], crop_mode="squash", crop_pct=0.9)
timm_case("timm_border", EVERY, size=24, crop_mode="border", crop_pct=1.0)
timm_case(
    "timm_border_9",
    GROUPS[1],
    size=24,
    crop_mode="border",
    crop_pct=0.9,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
timm_case("timm_rect", EVERY, size=(16, 32), crop_pct=0.9)
timm_case("timm_rect_tall", GROUPS[0], size=(40, 24), crop_pct=1.0, interpolation="bilinear")
timm_case("timm_rect_squash", GROUPS[1], size=(16, 32), crop_pct=0.95, crop_mode="squash")
timm_case("timm_rect_border", GROUPS[2], size=(16, 32), crop_pct=0.95, crop_mode="border")
for number, filter_name in enumerate(("nearest", "lanczos", "box", "hamming")):
    timm_case(f"timm_{filter_name}", GROUPS[number % 3], size=24, interpolation=filter_name)
timm_case("timm_no_crop_pct", GROUPS[0], edit=without("crop_pct"))
timm_case(
    "timm_bare", GROUPS[2], edit=without("crop_pct", "crop_mode", "interpolation", "mean", "std")
)


def main():
    FOLDER.mkdir(exist_ok=True)
    make_images()
    for name in sys.argv[1:] or CASES:
        CASES[name]()
    write_index(FOLDER, CASES)
    write_versions(FOLDER)
    total = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file())
    print(f"{len(CASES)} cases, {total // 1024} KB")
    assert total < MAX_TOTAL_BYTES


if __name__ == "__main__":
    main()
