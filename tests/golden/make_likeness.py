"""Write likeness/: perceptual hashes by the Python package imagehash.

    python make_likeness.py          # needs imagehash 4.3.2, Pillow 13.0.0, numpy, scipy

likeness/images.txt   one line per picture of images/ and photos/: name, dhash, phash, 16 hexadecimal
                      digits each. The pictures are upright and RGB, as vitc decodes them.
likeness/noise.txt    the same for noise that the test makes itself: width, height, dhash, phash
likeness/versions.json

A phash of "-" stands for a picture whose coefficients around the median are equal but for rounding
(one colour, symmetric): there its bits depend on the order of the additions.
"""

import json
import platform
from importlib import metadata
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps
from scipy.fftpack import dct

HERE = Path(__file__).parent
FOLDER = HERE / "likeness"
NOISE = [(1, 1), (2, 2), (8, 9), (9, 8), (32, 32), (31, 33), (97, 3), (3, 97), (300, 200), (200, 450)]


def hashes(image):
    pixels = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS))
    low = np.sort(dct(dct(pixels, axis=0), axis=1)[:8, :8].ravel())
    settled = low[32] - low[31] > 1e-9 * np.abs(low).max()
    return f"{imagehash.dhash(image)} {imagehash.phash(image) if settled else '-'}"


def noise(width, height):
    """noise_image of tests/unit/test_datasets_likeness.c"""
    i = np.arange(width * height * 3, dtype=np.uint64)
    mixed = (i * 2654435761 + (i * i % 2**32) * 40503) % 2**32
    values = ((mixed >> 13) ^ (mixed >> 24)) & 255
    flat = i % 97 < 31
    values[flat] = i[flat] // 97 % 2 * 255
    return Image.fromarray(values.astype(np.uint8).reshape(height, width, 3))


def decoded():
    """The upright pictures of images/, whose pixels are kept there, and the photos."""
    pixels = (HERE / "images/pixels.rgb").read_bytes()
    for line in (HERE / "images/index.txt").read_text().splitlines():
        name, width, height, orientation, _, offset = line.split()
        size = int(width), int(height)
        if int(orientation) >= 5:
            size = size[::-1]
        offset = int(offset)
        data = pixels[offset : offset + size[0] * size[1] * 3]
        yield f"images/{name}", Image.frombytes("RGB", size, data)
    for path in sorted((HERE / "photos").iterdir()):
        if path.suffix not in (".txt", ".json"):
            yield f"photos/{path.name}", ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def main():
    FOLDER.mkdir(exist_ok=True)
    lines = [f"{name} {hashes(image)}\n" for name, image in decoded()]
    (FOLDER / "images.txt").write_text("".join(lines), encoding="utf-8")
    lines = [f"{w} {h} {hashes(noise(w, h))}\n" for w, h in NOISE]
    (FOLDER / "noise.txt").write_text("".join(lines), encoding="utf-8")
    versions = {"python": platform.python_version()}
    for package in ("imagehash", "pillow", "numpy", "scipy"):
        versions[package] = metadata.version(package)
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")


main()
