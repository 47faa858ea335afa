#!/usr/bin/env python3
"""Makes tests/golden/photos/: 16 small photographs in the formats and modes that vitc reads.

They are crops of CC0 and public-domain pictures from scikit-image (photos/LICENSES.txt). Every file
is opened again with Pillow and compared with what was meant to be stored.
"""

import struct
from pathlib import Path

from golden_common import fresh_folder, write_versions

import numpy
import skimage.data
from PIL import Image, ImageOps

FOLDER = Path(__file__).resolve().parent / "photos"
MAX_FILE_BYTES = 40_000

SOURCES = {
    "astronaut": "Eileen Collins, NASA Great Images database. Public domain.",
    "brick": "Brick wall, CC0Textures (Bricks25). CC0.",
    "camera": "Cameraman, photograph by Lav Varshney. CC0.",
    "chelsea": "Chelsea the cat, photograph by Stefan van der Walt. CC0.",
    "clock": "Wall clock, photograph by Stefan van der Walt. Public domain.",
    "coffee": "Espresso, photograph by Rachel Michetti, courtesy of Pikolo Espresso Bar. CC0.",
    "grass": "Grass, photograph by LinoLafett (DeviantArt, Grass 01). CC0.",
    "gravel": "Gravel, CC0Textures (Gravel04). CC0.",
    "hubble_deep_field": "Hubble eXtreme Deep Field, NASA. Public domain.",
    "retina": "Human retina, photograph by Mikael Häggström, Wikimedia Commons. CC0.",
    "rocket": "Launch of DSCOVR on Falcon 9, photograph by SpaceX. Public domain (CC0).",
}

made = {}


def source(name, box, size, mode="RGB"):
    """A crop (left, top, right, bottom) of a scikit-image picture, made `size` (width, height)."""
    picture = numpy.asarray(getattr(skimage.data, name)())
    image = Image.fromarray(picture).convert(mode)
    return image.crop(box).resize(size, Image.Resampling.LANCZOS)


def save(name, origin, image, exact=True, **options):
    path = FOLDER / name
    image.save(path, **options)
    made[name] = origin
    with Image.open(path) as again:
        assert again.size == image.size, name
        assert again.mode == image.mode, (name, again.mode, image.mode)
        if exact:
            assert again.tobytes() == image.tobytes(), name


def save_psd(name, origin, image):
    """A flat 8-bit RGB document without layers, its planes stored raw; Pillow cannot write PSD."""
    planes = numpy.asarray(image).transpose(2, 0, 1)
    channels, height, width = planes.shape
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, height, width, 8, 3)
    empty_sections = struct.pack(">III", 0, 0, 0)
    compression = struct.pack(">H", 0)
    (FOLDER / name).write_bytes(header + empty_sections + compression + planes.tobytes())
    made[name] = origin
    with Image.open(FOLDER / name) as again:
        assert again.format == "PSD" and again.mode == "RGB", name
        assert again.tobytes() == image.tobytes(), name


def exif_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def make():
    fresh_folder(FOLDER)
    jpeg = dict(exact=False, quality=88)
    cat = source("chelsea", (90, 10, 390, 290), (220, 205))
    save("cat.jpg", "chelsea", cat, subsampling="4:2:0", **jpeg)
    face = source("chelsea", (120, 30, 330, 240), (200, 200))
    save("cat_progressive.jpg", "chelsea", face, progressive=True, subsampling="4:4:4", **jpeg)
    man = source("camera", (100, 40, 400, 512), (150, 236), mode="L")
    save("man_grey.jpg", "camera", man, **jpeg)
    cup = source("coffee", (150, 20, 520, 390), (180, 180))
    save("cup_cmyk.jpg", "coffee", cup.convert("CMYK"), **jpeg)

    # Stored lying on its side; upright only for those who follow the orientation.
    portrait = source("astronaut", (60, 0, 400, 512), (150, 226))
    lying = portrait.transpose(Image.Transpose.ROTATE_90)
    save("astronaut_exif6.jpg", "astronaut", lying, exif=exif_orientation(6), **jpeg)
    with Image.open(FOLDER / "astronaut_exif6.jpg") as again:
        assert ImageOps.exif_transpose(again).size == portrait.size

    save("rocket.png", "rocket", source("rocket", (200, 0, 440, 427), (90, 160)), optimize=True)
    # Fades out towards the corners; the colours below stay, as Pillow's RGB wants them.
    spoon = source("coffee", (280, 130, 500, 350), (96, 96))
    y, x = numpy.mgrid[-1:1:96j, -1:1:96j]
    alpha = numpy.clip(255 * 1.6 * (1.25 - numpy.hypot(x, y)), 0, 255).astype(numpy.uint8)
    spoon.putalpha(Image.fromarray(alpha))
    save("spoon_rgba.png", "coffee", spoon, optimize=True)
    palette = source("coffee", (0, 0, 600, 400), (195, 130)).quantize(
        64, dither=Image.Dither.FLOYDSTEINBERG
    )
    save("table_palette.png", "coffee", palette, optimize=True, transparency=3)
    # 0 to 382: Pillow's RGB saturates 16-bit grey at 255, so that a third of the range is clipped.
    wide = numpy.asarray(source("clock", (60, 0, 360, 300), (160, 160), "L")).astype("<u2") * 3 // 2
    save("clock_16bit.png", "clock", Image.fromarray(wide), optimize=True)

    night = source("rocket", (0, 100, 640, 427), (235, 120))
    save("launch_lossy.webp", "rocket", night, exact=False, quality=80)
    wall = source("brick", (0, 0, 300, 300), (130, 130))
    save("wall_lossless.webp", "brick", wall, lossless=True)

    eye = source("retina", (0, 0, 1411, 1411), (150, 150)).quantize(128)
    second = source("retina", (200, 200, 1200, 1200), (150, 150)).quantize(128)
    save("eye_animated.gif", "retina", eye, exact=False, save_all=True, append_images=[second])
    with Image.open(FOLDER / "eye_animated.gif") as again:
        assert again.n_frames == 2
        assert again.convert("RGB").tobytes() == eye.convert("RGB").tobytes()

    save("astronaut.bmp", "astronaut", source("astronaut", (130, 0, 330, 200), (110, 110)))
    stars = source("hubble_deep_field", (200, 200, 500, 500), (100, 100))
    save("stars_rle.tga", "hubble_deep_field", stars, compression="tga_rle")
    save("gravel.ppm", "gravel", source("gravel", (0, 0, 400, 300), (130, 98)))
    save_psd("grass.psd", "grass", source("grass", (0, 0, 300, 360), (98, 117)))


def main():
    make()
    assert len(made) == 16, sorted(made)
    lines = [
        "Every file is a crop, made smaller and stored in another format, of a picture that comes",
        "with scikit-image 0.26.0 (skimage.data), whose documentation states origin and licence.",
        "",
    ]
    for name in sorted(made):
        size = (FOLDER / name).stat().st_size
        assert size <= MAX_FILE_BYTES, f"{name} has {size} bytes"
        print(f"{name:24} {size:6}")
        lines.append(f"{name:22} {SOURCES[made[name]]}")
    (FOLDER / "LICENSES.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_versions(FOLDER)


if __name__ == "__main__":
    main()
