"""Write augment/: what torchvision's augmentations do to small pictures, on Pillow's images.

    python make_augment.py          # needs torchvision 0.28.0, Pillow 13.0.0, torch, numpy

augment/pixels.rgb   RGB bytes of all pictures, one after the other
augment/index.txt    one line per case: operation magnitude sampling red green blue width height
                     offsets of the pixels before and after; the magnitude as C writes a double in
                     hexadecimal, sampling "nearest" or "bilinear"
augment/levels.txt   strengths of RandAugment (31) and AutoAugment (10): operation bins index width
                     height magnitude, 1 where it comes with either sign
augment/cifar10.txt  AutoAugment's policy for CIFAR-10: operation probability level, twice a line
augment/versions.json
"""

import json
import platform
import random
from importlib import metadata
from pathlib import Path

from golden_common import fresh_folder

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode, functional
from torchvision.transforms.autoaugment import AutoAugment, AutoAugmentPolicy, RandAugment, _apply_op

HERE = Path(__file__).parent
MAGNITUDES = {
    "Identity": [0.0],
    "ShearX": [0.3, -0.17, 0.09],
    "ShearY": [0.3, -0.17, 0.09],
    "TranslateX": [4.35, -4.35, 0.9, 40.0],
    "TranslateY": [4.35, -4.35, 1.0],
    "Rotate": [9.0, -30.0, 17.5, 45.0],
    "Brightness": [0.27, -0.27, 0.9, -0.9, 1.5],
    "Color": [0.27, -0.27, 0.9, -0.9, -1.0],
    "Contrast": [0.27, -0.27, 0.9, -0.9],
    "Sharpness": [0.27, -0.27, 0.9, -0.9, 4.0],
    "Posterize": [1.0, 4.0, 7.0, 8.0],
    "Solarize": [0.0, 178.5, 128.0, 255.0, 256.0],
    "AutoContrast": [0.0],
    "Equalize": [0.0],
    "Invert": [0.0],
    "Hue": [0.1, -0.1, 0.5, -0.5, 0.003],
}
MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


def pictures():
    draw = np.random.default_rng(6)
    folder = HERE / "photos"
    names = sorted(p for p in folder.iterdir() if p.suffix not in (".txt", ".json"))
    for path, size in zip(names[::5], [(24, 18), (17, 23), (12, 12), (15, 11)]):
        yield Image.open(path).convert("RGB").resize(size, Image.Resampling.LANCZOS)

    def of(array):
        return Image.fromarray(array.astype(np.uint8))

    yield of(draw.integers(0, 256, (13, 14, 3)))
    yield of(draw.integers(100, 120, (9, 10, 3)))  # little contrast
    yield of(np.full((6, 7, 3), (40, 90, 200)))  # one colour
    yield of(np.where(draw.random((8, 5, 3)) < 0.5, 0, 255))  # corners of the colour cube
    yield of(np.arange(256 * 3).reshape(16, 16, 3) // 3)  # all greys
    yield of(draw.integers(0, 256, (1, 1, 3)))
    yield of(draw.integers(0, 256, (2, 3, 3)))
    yield of(draw.integers(0, 256, (7, 1, 3)))
    yield of(draw.integers(0, 256, (3, 3, 3)))


def run(image, operation, magnitude, sampling, fill):
    if operation == "Hue":
        return functional.adjust_hue(image, magnitude)
    mode = InterpolationMode.BILINEAR if sampling == "bilinear" else InterpolationMode.NEAREST
    return _apply_op(image, operation, magnitude, interpolation=mode, fill=fill)


def main():
    folder = fresh_folder(HERE / "augment")
    pixels, lines = bytearray(), []
    choose = random.Random(6)
    for number, image in enumerate(pictures()):
        before = len(pixels)
        pixels += image.tobytes()
        for operation, magnitudes in MAGNITUDES.items():
            # the first four pictures, photographs, and noise see all of them
            chosen = magnitudes if number < 5 else choose.sample(magnitudes, min(2, len(magnitudes)))
            for magnitude in chosen:
                for sampling in ("nearest", "bilinear") if operation in MOVES else ("nearest",):
                    fill = choose.choice([[0, 0, 0], [128, 128, 128], [9, 200, 77]])
                    after = run(image, operation, magnitude, sampling, fill)
                    assert after.size == image.size and after.mode == "RGB"
                    lines.append(
                        f"{operation} {magnitude.hex()} {sampling} {fill[0]} {fill[1]} {fill[2]} "
                        f"{image.width} {image.height} {before} {len(pixels)}\n"
                    )
                    pixels += after.tobytes()
    (folder / "pixels.rgb").write_bytes(pixels)
    (folder / "index.txt").write_text("".join(lines), encoding="utf-8")

    lines = []
    for bins, policy in ((31, RandAugment()), (10, AutoAugment(AutoAugmentPolicy.CIFAR10))):
        for height, width in ((32, 32), (224, 160)):
            for operation, (values, signed) in policy._augmentation_space(bins, (height, width)).items():
                for index in range(bins) if values.ndim > 0 else ():
                    value = float(values[index])
                    lines.append(f"{operation} {bins} {index} {width} {height} {value!r} {int(signed)}\n")
    (folder / "levels.txt").write_text("".join(lines), encoding="utf-8")

    policy = AutoAugment(AutoAugmentPolicy.CIFAR10)
    lines = [" ".join(f"{o} {p} {m or 0}" for o, p, m in pair) + "\n" for pair in policy.policies]
    (folder / "cifar10.txt").write_text("".join(lines), encoding="utf-8")

    versions = {"python": platform.python_version()}
    for package in ("torchvision", "torch", "pillow", "numpy"):
        versions[package] = metadata.version(package)
    (folder / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")


main()
