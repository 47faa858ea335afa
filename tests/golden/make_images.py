"""Write images/: small files of every kind that imgio reads, and the pixels Pillow makes of them.

    python make_images.py            # needs Pillow 13.0.0, numpy, and cjpeg of libjpeg-turbo

images/index.txt    one file a line: name, stored width and height, orientation, offsets of the stored
                    and of the upright pixels
images/pixels.rgb   the pixels: Image.convert("RGB"), without and with ImageOps.exif_transpose
images/bad.txt      one damaged or foreign file a line: name, status
images/resize.txt   one resize a line: sizes in and out, filter, pass order, CRC-32 of the result
images/versions.json

Kinds that Pillow cannot write (PNG of every depth, interlaced; palettes that are too short; PSD) are
put together here by hand, and what Pillow reads in them is what counts.
"""

import io
import json
import platform
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

FOLDER = Path(__file__).parent / "images"
WIDTH, HEIGHT = 37, 29

files = {}  # name -> (bytes, expected pixels or None for Pillow's own)
bad = {}  # name -> (bytes, status)


def add(name, data, pixels=None):
    assert name not in files, name
    files[name] = (bytes(data), pixels)


def add_bad(name, data, status):
    assert name not in bad, name
    bad[name] = (bytes(data), status)


# ---- pictures ----


def picture(width=WIDTH, height=HEIGHT, channels=3):
    """Smooth waves with hard edges and a corner that tells every orientation apart."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = []
    for c in range(channels):
        wave = 127.5 + 90 * np.sin(x / (4 + c) + c) + 70 * np.cos(y / (3 + c) - x / 9)
        wave[(x // 6 + y // 5) % 4 == c % 4] += 60
        planes.append(wave)
    pixels = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    pixels[: height // 4, : width // 5] = (np.arange(channels) * 110 + 20) % 256
    return pixels if channels > 1 else pixels[..., 0]


def deep_picture(channels):
    """16-bit samples, many of them below 256."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [(x * 1771 + y * 2503 + c * 9999 + (x * y) % 257) % 65536 for c in range(channels)]
    pixels = np.stack(planes, -1).astype(np.uint16)
    pixels[::3] >>= 8
    return pixels if channels > 1 else pixels[..., 0]


RGB = Image.fromarray(picture())
GREY = Image.fromarray(picture(channels=1))
RGBA = Image.fromarray(picture(channels=4))
PALETTE = RGB.quantize(61)


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def exif(value, order="<", kind=3, count=1):
    """A TIFF structure whose only entry is the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + body
    return mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


def xmp(value, element=False):
    said = f"><tiff:Orientation>{value}</tiff:Orientation></rdf:Description" if element else (
        f' tiff:Orientation="{value}"/'
    )
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description'
        f"{said}></rdf:RDF></x:xmpmeta>"
    ).encode()


# ---- JPEG ----


def segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def with_segments(jpeg, *segments):
    assert jpeg[:2] == b"\xff\xd8"
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def without_segment(jpeg, marker):
    start = jpeg.index(bytes([0xFF, marker]))
    return jpeg[:start] + jpeg[start + 2 + struct.unpack(">H", jpeg[start + 2 : start + 4])[0] :]


def cjpeg(image, *options):
    return subprocess.run(
        ["cjpeg", *options], input=saved(image, "PPM"), capture_output=True, check=True
    ).stdout


def app1_exif(*arguments, **options):
    return segment(0xE1, b"Exif\0\0" + exif(*arguments, **options))


def app1_xmp(*arguments, **options):
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(*arguments, **options))


def make_jpeg():
    for subsampling, word in enumerate(("444", "422", "420")):
        for progressive in (False, True):
            kind = "progressive" if progressive else "baseline"
            data = saved(RGB, "JPEG", subsampling=subsampling, progressive=progressive, quality=88)
            add(f"jpeg_{word}_{kind}.jpg", data)
    for sample in ("4x1", "1x2", "2x4", "4x2", "3x1", "1x4"):
        add(f"jpeg_sample{sample}.jpg", cjpeg(RGB, "-sample", f"{sample},1x1,1x1"))
    add("jpeg_sample_odd.jpg", cjpeg(RGB, "-sample", "2x2,1x2,2x1"))
    for quality in (5, 50, 100):
        add(f"jpeg_quality{quality}.jpg", saved(RGB, "JPEG", quality=quality))
    add("jpeg_grey.jpg", saved(GREY, "JPEG"))
    add("jpeg_grey_progressive.jpg", saved(GREY, "JPEG", progressive=True))
    add("jpeg_grey_sample2x2.jpg", cjpeg(GREY.convert("RGB"), "-grayscale", "-sample", "2x2"))
    add("jpeg_optimized.jpg", saved(RGB, "JPEG", optimize=True))
    add("jpeg_restarts.jpg", saved(RGB, "JPEG", restart_marker_blocks=2))
    add("jpeg_arithmetic.jpg", cjpeg(RGB, "-arithmetic"))
    add("jpeg_arithmetic_progressive.jpg", cjpeg(RGB, "-arithmetic", "-progressive"))
    add("jpeg_rgb.jpg", saved(RGB, "JPEG", keep_rgb=True))
    add("jpeg_not_interleaved.jpg", not_interleaved())
    for width, height in ((1, 1), (1, 17), (17, 1), (8, 8), (16, 16), (2, 3), (33, 9)):
        image = Image.fromarray(picture(width, height))
        add(f"jpeg_{width}x{height}.jpg", saved(image, "JPEG"))

    cmyk = Image.frombytes("CMYK", (WIDTH, HEIGHT), picture(channels=4).tobytes())
    data = saved(cmyk, "JPEG", quality=92)
    add("jpeg_cmyk_adobe.jpg", data)
    add("jpeg_cmyk_progressive.jpg", saved(cmyk, "JPEG", progressive=True))
    add("jpeg_cmyk_bare.jpg", without_segment(data, 0xEE))
    adobe = data.index(b"Adobe")
    add("jpeg_ycck.jpg", data[: adobe + 11] + b"\2" + data[adobe + 12 :])

    plain = saved(RGB, "JPEG", quality=85)
    adobe_app14 = b"Adobe\0\x64\0\0\0\0"
    bare = without_segment(plain, 0xE0)
    add("jpeg_adobe_rgb.jpg", with_segments(bare, segment(0xEE, adobe_app14 + b"\0")))
    add("jpeg_adobe_ycc.jpg", with_segments(bare, segment(0xEE, adobe_app14 + b"\1")))
    add("jpeg_no_app.jpg", bare)
    # As in motion JPEG: the tables of the standard, section K.3, are meant.
    add("jpeg_no_huffman_tables.jpg", without_segment(plain, 0xC4))
    add("jpeg_comment.jpg", with_segments(plain, segment(0xFE, b"a comment"), b"\xff\xff"))
    add("jpeg_junk_between.jpg", with_segments(plain, segment(0xFE, b"x"), b"junk"))
    add("jpeg_trailing.jpg", plain + b"what follows is no image" * 9)
    add("jpeg_icc_gamma.jpg", saved(RGB, "JPEG", icc_profile=b"not a profile" * 40))
    second = Image.fromarray(picture()[::-1].copy())
    add("jpeg_mpo.jpg", saved(RGB, "MPO", save_all=True, append_images=[second]))

    for value in range(1, 9):
        add(f"jpeg_exif{value}.jpg", with_segments(plain, app1_exif(value)))
    add("jpeg_exif6_big.jpg", with_segments(plain, app1_exif(6, order=">")))
    add("jpeg_exif5_long.jpg", with_segments(plain, app1_exif(5, kind=4)))
    add("jpeg_exif8_grey.jpg", with_segments(saved(GREY, "JPEG"), app1_exif(8)))
    add("jpeg_exif7_cmyk.jpg", with_segments(data, app1_exif(7)))
    add("jpeg_exif0.jpg", with_segments(plain, app1_exif(0)))
    add("jpeg_exif9.jpg", with_segments(plain, app1_exif(9)))
    add("jpeg_exif_count2.jpg", with_segments(plain, app1_exif(6, count=2)))
    add("jpeg_exif_twice.jpg", with_segments(plain, app1_exif(6), app1_exif(3)))
    add("jpeg_xmp6.jpg", with_segments(plain, app1_xmp(6)))
    add("jpeg_xmp3_element.jpg", with_segments(plain, app1_xmp(3, element=True)))
    add("jpeg_exif1_xmp6.jpg", with_segments(plain, app1_exif(1), app1_xmp(6)))
    add("jpeg_exif_cut.jpg", with_segments(plain, segment(0xE1, b"Exif\0\0" + exif(6)[:14])))
    for value in range(2, 9):  # an even size and a single row and column
        image = Image.fromarray(picture(32, 34) if value % 2 else picture(1, 7))
        add(f"jpeg_exif{value}_other.jpg", with_segments(saved(image, "JPEG"), app1_exif(value)))

    add_bad("jpeg_half.jpg", plain[: len(plain) // 2], "truncated")
    add_bad("jpeg_header.jpg", plain[:200], "truncated")
    add_bad("jpeg_soi.jpg", b"\xff\xd8\xff\xe0", "truncated")
    progressive = saved(RGB, "JPEG", progressive=True)
    add_bad("jpeg_progressive_half.jpg", progressive[: len(progressive) // 2], "truncated")
    add_bad("jpeg_progressive_end.jpg", progressive[:-2], "truncated")
    add_bad("jpeg_half_with_end.jpg", plain[: len(plain) * 2 // 3] + b"\xff\xd9", "corrupt")
    add_bad("jpeg_no_scan.jpg", plain[: plain.index(b"\xff\xda")] + b"\xff\xd9", "corrupt")
    frame = plain.index(b"\xff\xc0")
    add_bad("jpeg_12bit.jpg", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :], "unsupported")
    add_bad("jpeg_lossless.jpg", plain[: frame + 1] + b"\xc3" + plain[frame + 2 :], "unsupported")
    huge = plain[: frame + 5] + b"\xff\xff\xff\xff" + plain[frame + 9 :]
    add_bad("jpeg_65535x65535.jpg", huge, "too_large")
    empty = plain[: frame + 5] + b"\0\0\0\x25" + plain[frame + 9 :]
    add_bad("jpeg_no_rows.jpg", empty, "corrupt")
    tables = without_segment(plain, 0xDB)
    add_bad("jpeg_no_table.jpg", tables, "corrupt")
    add_bad("text.jpg", b"This is a text file that somebody called .jpg.\n" * 9, "unsupported")
    add_bad("empty.jpg", b"", "truncated")


def not_interleaved():
    return cjpeg_scans("0;\n1;\n2;\n")


def cjpeg_scans(script):
    path = FOLDER / "scans.txt"
    path.write_text(script)
    data = cjpeg(RGB, "-scans", str(path))
    path.unlink()
    return data


# ---- PNG ----


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_rows(samples, depth):
    """[height, width, channels] to packed rows."""
    height = samples.shape[0]
    if depth == 16:
        return [samples[y].astype(">u2").tobytes() for y in range(height)]
    if depth == 8:
        return [samples[y].astype(np.uint8).tobytes() for y in range(height)]
    bits = (samples.reshape(height, -1, 1) >> np.arange(depth)[::-1]) & 1
    return [np.packbits(bits[y].astype(np.uint8).ravel()).tobytes() for y in range(height)]


def png_filter(rows, pixel_bytes):
    """Each row by another of the five filters (PNG specification, section 9)."""
    out = []
    before = bytes(len(rows[0]))
    for number, row in enumerate(rows):
        kind = number % 5
        line = bytearray([kind])
        for i, value in enumerate(row):
            a = row[i - pixel_bytes] if i >= pixel_bytes else 0
            b = before[i]
            c = before[i - pixel_bytes] if i >= pixel_bytes else 0
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line.append((value - (0, a, b, (a + b) // 2, near)[kind]) & 255)
        out.append(bytes(line))
        before = row
    return b"".join(out)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(samples, kind, depth, interlaced=False, before=b"", after=b"", palette=None, parts=1):
    if samples.ndim == 2:
        samples = samples[..., None]
    height, width, channels = samples.shape
    pixel_bytes = max(1, channels * depth // 8)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b""
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            raw += png_filter(png_rows(part, depth), pixel_bytes)
    packed = zlib.compress(raw, 9)
    step = -(-len(packed) // parts)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + (chunk(b"PLTE", palette) if palette is not None else b"")
        + b"".join(chunk(b"IDAT", packed[i : i + step]) for i in range(0, len(packed), step))
        + after
        + chunk(b"IEND", b"")
    )


def make_png():
    eight = {0: picture(channels=1), 2: picture(), 4: picture(channels=2), 6: picture(channels=4)}
    names = {0: "grey", 2: "rgb", 4: "greyalpha", 6: "rgba"}
    for interlaced in (False, True):
        tail = "_interlaced.png" if interlaced else ".png"
        for kind, pixels in eight.items():
            add(f"png_{names[kind]}8{tail}", png(pixels, kind, 8, interlaced))
            deep = deep_picture(pixels.shape[2] if pixels.ndim == 3 else 1)
            add(f"png_{names[kind]}16{tail}", png(deep, kind, 16, interlaced))
        for depth in (1, 2, 4):
            add(f"png_grey{depth}{tail}", png(eight[0] >> (8 - depth), 0, depth, interlaced))
        for depth in (1, 2, 4, 8):
            colours = picture(1 << depth, 1).tobytes()
            indices = eight[0] >> (8 - depth)
            add(f"png_palette{depth}{tail}", png(indices, 3, depth, interlaced, palette=colours))
    short = picture(9, 1).tobytes()
    add("png_palette8_short.png", png(eight[0] % 16, 3, 8, palette=short))
    add("png_palette4_short.png", png(eight[0] % 16, 3, 4, palette=short))
    add("png_palette4_short_interlaced.png", png(eight[0] % 16, 3, 4, True, palette=short))
    trns = {0: b"\0\x14", 2: b"\0\x14\0\x82\0\xf0", 3: bytes(range(0, 180, 3))}
    add("png_grey8_trns.png", png(eight[0], 0, 8, before=chunk(b"tRNS", trns[0])))
    add("png_rgb8_trns.png", png(eight[2], 2, 8, before=chunk(b"tRNS", trns[2])))
    add("png_palette8_trns.png", saved(PALETTE, "PNG", transparency=trns[3]))
    add("png_grey16_trns.png", png(deep_picture(1), 0, 16, before=chunk(b"tRNS", trns[0])))
    add("png_parts.png", png(eight[2], 2, 8, parts=9))
    add("png_palette_suggested.png", png(eight[2], 2, 8, palette=short))
    for width, height in ((1, 1), (1, 9), (9, 1), (3, 2), (8, 8)):
        pixels = picture(width, height)
        add(f"png_{width}x{height}.png", png(pixels, 2, 8))
        add(f"png_{width}x{height}_interlaced.png", png(pixels, 2, 8, True))
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    add("png_gamma.png", png(eight[2], 2, 8, before=gamma))
    add("png_text.png", png(eight[2], 2, 8, before=chunk(b"tEXt", b"Title\0a title")))
    for value in (1, 3, 6):
        turned = chunk(b"eXIf", exif(value, ">"))
        add(f"png_exif{value}.png", png(eight[2], 2, 8, before=turned))
    add("png_exif8_after.png", png(eight[2], 2, 8, after=chunk(b"eXIf", exif(8))))
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(5)
    add("png_xmp5.png", png(eight[2], 2, 8, before=chunk(b"iTXt", text)))
    frames = [Image.fromarray(picture()[::-1].copy())]
    add("png_animated.png", saved(RGB, "PNG", save_all=True, append_images=frames))
    hidden = saved(RGB, "PNG", save_all=True, default_image=True, append_images=frames)
    add("png_animated_default.png", hidden)

    plain = png(eight[2], 2, 8)
    add("png_no_iend.png", plain[:-12])
    add("png_trailing.png", plain + b"more" * 50)
    # 5 MB of rows behind the last one.
    rows = zlib.compress(png_filter(png_rows(eight[2], 8), 3) + bytes(5_000_000), 9)
    head = png(eight[2], 2, 8)[:33]
    add("png_bomb_pixels.png", head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    empty = chunk(b"IDAT", b"")
    add("png_empty_parts.png", plain[:-12] + empty * 3 + plain[-12:])
    data = plain.index(b"IDAT")
    length = struct.unpack(">I", plain[data - 4 : data])[0]
    add("png_idat_checksum.png", plain[: data + 4 + length] + b"nope" + plain[data + 8 + length :])
    late = plain[:-12] + struct.pack(">I", 4) + b"tEXta\0bc" + b"nope" + plain[-12:]
    add("png_late_checksum.png", late)

    # Metadata that would inflate to 32 MB is never inflated. Pillow refuses the text.
    bomb = zlib.compress(bytes(32 << 20), 9)
    add(
        "png_bomb_text.png",
        png(eight[2], 2, 8, before=chunk(b"zTXt", b"Comment\0\0" + bomb)),
        pixels=picture(),
    )
    add(
        "png_bomb_profile.png",
        png(eight[2], 2, 8, before=chunk(b"iCCP", b"profile\0\0" + bomb)),
        pixels=picture(),
    )

    add_bad("png_half.png", plain[: len(plain) // 2], "truncated")
    add_bad("png_header.png", plain[:20], "truncated")
    add_bad("png_signature.png", plain[:8], "truncated")
    add_bad("png_no_pixels.png", plain[: data - 4] + chunk(b"IEND", b""), "corrupt")
    add_bad("png_few_rows.png", png_few_rows(), "corrupt")
    damaged = bytearray(plain)
    damaged[data + 60] ^= 0xFF
    add_bad("png_damaged.png", damaged, "corrupt")
    note = png(eight[2], 2, 8, before=chunk(b"tEXt", b"a\0b")[:-4] + b"nope")
    add_bad("png_checksum.png", note, "corrupt")
    for name, width, height in (("65535x65535", 65535, 65535), ("wide", 70000, 1)):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        body = chunk(b"IDAT", zlib.compress(bytes(100)))
        huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")
        add_bad(f"png_{name}.png", huge, "too_large")
    header = struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0)
    add_bad(
        "png_no_columns.png",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""),
        "corrupt",
    )
    header = struct.pack(">IIBBBBB", 4, 4, 7, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    add_bad("png_depth7.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body, "corrupt")


def png_few_rows():
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(9 * 5)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


# ---- WebP ----


def riff(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def le24(value):
    return struct.pack("<I", value)[:3]


def webp_animation(canvas, frames, alpha=True):
    """Still WebP files as frames: (file, x, y, width, height)."""
    flags = 0x02 | (0x10 if alpha else 0)
    chunks = [
        riff_chunk(b"VP8X", struct.pack("<I", flags) + le24(canvas[0] - 1) + le24(canvas[1] - 1)),
        riff_chunk(b"ANIM", b"\x20\x40\x80\xff" + b"\0\0"),
    ]
    for data, x, y, width, height in frames:
        header = le24(x // 2) + le24(y // 2) + le24(width - 1) + le24(height - 1) + le24(100)
        payload = data[12:] if data[12:16] != b"VP8X" else data[12 + 18 :]
        chunks.append(riff_chunk(b"ANMF", header + b"\0" + payload))
    return riff(*chunks)


def make_webp():
    add("webp_lossy.webp", saved(RGB, "WEBP", quality=80))
    add("webp_lossy_low.webp", saved(RGB, "WEBP", quality=10, method=6))
    add("webp_lossy_alpha.webp", saved(RGBA, "WEBP", quality=80))
    add("webp_lossless.webp", saved(RGB, "WEBP", lossless=True))
    add("webp_lossless_alpha.webp", saved(RGBA, "WEBP", lossless=True))
    add("webp_lossless_exact.webp", saved(RGBA, "WEBP", lossless=True, exact=True))
    add("webp_lossless_palette.webp", saved(PALETTE.convert("RGB"), "WEBP", lossless=True))
    add("webp_grey.webp", saved(GREY, "WEBP"))
    for width, height in ((1, 1), (2, 2), (1, 9), (17, 3)):
        image = Image.fromarray(picture(width, height))
        add(f"webp_{width}x{height}.webp", saved(image, "WEBP"))
    for value in (1, 2, 6, 7):
        add(f"webp_exif{value}.webp", saved(RGB, "WEBP", exif=exif(value)))
    add("webp_exif6_prefix.webp", saved(RGB, "WEBP", exif=b"Exif\0\0" + exif(6)))
    add("webp_xmp8.webp", saved(RGB, "WEBP", xmp=xmp(8)))
    frames = [Image.fromarray(picture()[::-1].copy())]
    add("webp_animated.webp", saved(RGB, "WEBP", save_all=True, append_images=frames))
    add("webp_trailing.webp", saved(RGB, "WEBP") + b"more" * 20)
    small = Image.fromarray(picture(15, 11, 4))
    lossless = saved(small, "WEBP", lossless=True, exact=True)
    lossy = saved(small.convert("RGB"), "WEBP")
    both = saved(small, "WEBP", quality=70)
    add("webp_frame_lossless.webp", webp_animation((WIDTH, HEIGHT), [(lossless, 8, 4, 15, 11)]))
    add("webp_frame_lossy.webp", webp_animation((WIDTH, HEIGHT), [(lossy, 22, 18, 15, 11)], False))
    add("webp_frame_alpha.webp", webp_animation((20, 16), [(both, 0, 0, 15, 11)]))
    plain = saved(RGB, "WEBP")
    add_bad("webp_half.webp", plain[: len(plain) // 2], "truncated")
    inner = plain[: len(plain) * 2 // 3]
    cut = inner[:4] + struct.pack("<I", len(inner) - 8) + inner[8:]
    add_bad("webp_half_inside.webp", cut, "corrupt")
    add_bad("webp_header.webp", plain[:12], "truncated")
    outside = webp_animation((20, 16), [(lossy, 8, 8, 15, 11)])
    add_bad("webp_frame_outside.webp", outside, "corrupt")
    add_bad("webp_no_frame.webp", webp_animation((20, 16), []), "corrupt")
    wide = webp_animation((1 << 24, 1 << 7), [(lossy, 0, 0, 15, 11)])
    add_bad("webp_wide_canvas.webp", wide, "too_large")


# ---- GIF ----


def make_gif():
    plain = saved(PALETTE, "GIF", interlace=0)
    assert plain[10] & 0x80
    add("gif_palette.gif", plain)
    add("gif_interlaced.gif", saved(PALETTE, "GIF", interlace=1))
    add("gif_grey.gif", saved(GREY, "GIF"))
    add("gif_grey_palette.gif", saved(GREY.quantize(7), "GIF"))
    add("gif_two_colours.gif", saved(GREY.convert("1"), "GIF"))
    add("gif_transparent.gif", saved(PALETTE, "GIF", transparency=3))
    frames = [Image.fromarray(picture()[::-1].copy()).quantize(9)]
    animated = saved(PALETTE, "GIF", save_all=True, append_images=frames, duration=50, loop=0)
    add("gif_animated.gif", animated)
    add("gif_comment.gif", saved(PALETTE, "GIF", comment=b"a comment " * 60))
    for width, height in ((1, 1), (1, 9), (9, 1), (7, 3)):
        image = Image.fromarray(picture(width, height)).quantize(16)
        add(f"gif_{width}x{height}.gif", saved(image, "GIF"))
    for rows in (1, 2, 3, 4, 5, 8, 9):
        image = Image.fromarray(picture(6, rows)).quantize(16)
        add(f"gif_interlaced_{rows}.gif", saved(image, "GIF", interlace=1))

    # The frame's own palette, a frame smaller than the screen, one that sticks out of it.
    size = 3 << ((plain[10] & 7) + 1)
    colours, rest = plain[13 : 13 + size], plain[13 + size :]
    frame = rest.index(b",")
    local = bytes([rest[frame + 9] | 0x80 | (plain[10] & 7)])
    other = bytes(255 - c for c in colours)
    moved = rest[:frame] + rest[frame : frame + 9] + local + other + rest[frame + 10 :]
    add("gif_local.gif", plain[: 13 + size] + moved)
    bare = plain[:10] + bytes([plain[10] & 0x7F]) + plain[11:13]
    add("gif_local_only.gif", bare + moved)
    add("gif_no_palette.gif", bare + rest)
    ramp = bytes(c for i in range(size // 3) for c in (i, i, i))
    add("gif_ramp.gif", plain[:13] + ramp + rest)

    def placed(data, at, screen, left, top):
        frame = at + data[at:].index(b",")
        data = data[:6] + struct.pack("<HH", *screen) + data[10:]
        return data[: frame + 1] + struct.pack("<HH", left, top) + data[frame + 5 :]

    add("gif_smaller.gif", placed(plain, 13 + size, (WIDTH + 9, HEIGHT + 5), 4, 3))
    clear = saved(PALETTE, "GIF", transparency=3)
    at = 13 + (3 << ((clear[10] & 7) + 1))
    add("gif_smaller_transparent.gif", placed(clear, at, (WIDTH + 9, HEIGHT + 5), 4, 3))
    add("gif_sticks_out.gif", placed(plain, 13 + size, (10, 8), 2, 1))
    background = bytearray(placed(plain, 13 + size, (WIDTH + 9, HEIGHT + 5), 4, 3))
    background[11] = 5
    add("gif_smaller_background.gif", background)
    few = plain[:10] + bytes([plain[10] & 0xF8 | 2]) + plain[11:13] + colours[:24] + rest
    add("gif_few_colours.gif", few)
    add("gif_trailing.gif", plain + b"more" * 9)
    add("gif_no_trailer.gif", plain[:-1])

    add_bad("gif_half.gif", plain[: len(plain) // 2 + 60], "truncated")
    add_bad("gif_header.gif", plain[:9], "truncated")
    add_bad("gif_no_frame.gif", plain[: 13 + size] + b";", "corrupt")
    huge = plain[:6] + b"\xff\xff\xff\xff" + plain[10:]
    add_bad("gif_65535x65535.gif", huge, "too_large")
    code = 13 + size + frame + 10
    add_bad("gif_code_size.gif", plain[:code] + b"\x0d" + plain[code + 1 :], "corrupt")


# ---- BMP ----


def bmp(samples, bits, header=40, colours=b"", masks=b"", compression=0, flip=False, used=0, gap=0):
    """Rows packed by `bits`; samples are indices, BGR(X) bytes or 16-bit values."""
    height, width = samples.shape[:2]
    rows = []
    for y in range(height):
        row = samples[y]
        if bits < 8:
            planes = (row[:, None] >> np.arange(bits)[::-1]) & 1
            data = np.packbits(planes.astype(np.uint8).ravel()).tobytes()
        elif bits == 16:
            data = row.astype("<u2").tobytes()
        else:
            data = row.astype(np.uint8).tobytes()
        rows.append(data + b"\0" * (-len(data) % 4))
    if not flip:
        rows.reverse()
    pixels = b"".join(rows)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII", header, width, -height if flip else height, 1, bits, compression,
            len(pixels), 2835, 2835, used, 0,
        )
        if header > 40:
            info += masks.ljust(header - 40, b"\0")
            masks = b""
    offset = 14 + len(info) + len(masks) + len(colours) + gap
    start = b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset)
    return start + info + masks + colours + bytes(gap) + pixels


def make_bmp():
    grey, rgb = picture(channels=1), picture()
    bgr = rgb[..., ::-1]
    bgrx = np.concatenate([bgr, picture(channels=4)[..., 3:]], -1)

    def colours(count, padding=b"\x07"):
        return b"".join(bytes(c[::-1]) + padding for c in picture(count, 1)[0])

    add("bmp_rgb.bmp", saved(RGB, "BMP"))
    add("bmp_grey.bmp", saved(GREY, "BMP"))
    add("bmp_palette.bmp", saved(PALETTE, "BMP"))
    add("bmp_bilevel.bmp", saved(GREY.convert("1"), "BMP"))
    add("bmp_rgba.bmp", saved(RGBA, "BMP"))
    for bits in (1, 4, 8):
        indices = grey >> (8 - bits)
        add(f"bmp_palette{bits}.bmp", bmp(indices, bits, colours=colours(1 << bits)))
        add(f"bmp_palette{bits}_flip.bmp", bmp(indices, bits, colours=colours(1 << bits), flip=True))
        add(f"bmp_palette{bits}_os2.bmp", bmp(indices, bits, 12, colours(1 << bits, b"")))
    add("bmp_palette8_short.bmp", bmp(grey % 16, 8, colours=colours(9), used=9))
    add("bmp_palette4_gap.bmp", bmp(grey >> 4, 4, colours=colours(16), gap=6))
    add("bmp_rgb_flip.bmp", bmp(bgr, 24, flip=True))
    add("bmp_rgb_os2.bmp", bmp(bgr, 24, 12))
    add("bmp_rgb_gap.bmp", bmp(bgr, 24, gap=10))
    for header in (56, 64, 108, 124):
        add(f"bmp_rgb_v{header}.bmp", bmp(bgr, 24, header))
    add("bmp_rgbx.bmp", bmp(bgrx, 32))
    add("bmp_rgbx_v108.bmp", bmp(bgrx, 32, 108))
    for header in (40, 52, 56, 108, 124):
        masks = struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)
        swapped = np.roll(bgrx, 1, -1)
        add(f"bmp_masks_v{header}.bmp", bmp(swapped, 32, header, masks=masks, compression=3))
    # stb_image widens 5 and 6 bits by repeating them, Pillow by v * 255 / 31: up to 1 apart.
    values = deep_picture(1)
    add("bmp_555.bmp", bmp(values & 0x7FFF, 16))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    add("bmp_565.bmp", bmp(values, 16, masks=masks, compression=3))
    add("bmp_565_v108.bmp", bmp(values, 16, 108, masks=masks, compression=3))
    for width, height in ((1, 1), (3, 2), (4, 4), (1, 9)):
        image = Image.fromarray(picture(width, height))
        add(f"bmp_{width}x{height}.bmp", saved(image, "BMP"))
    plain = saved(RGB, "BMP")
    add("bmp_trailing.bmp", plain + b"more")
    add_bad("bmp_half.bmp", plain[: len(plain) // 2], "truncated")
    add_bad("bmp_header.bmp", plain[:30], "truncated")
    add_bad("bmp_rle.bmp", bmp(grey, 8, colours=colours(256), compression=1), "unsupported")
    add_bad("bmp_huge.bmp", plain[:18] + struct.pack("<ii", 65535, 65535) + plain[26:], "too_large")
    add_bad("bmp_negative.bmp", plain[:18] + struct.pack("<i", -5) + plain[22:], "corrupt")
    add_bad("bmp_depth.bmp", plain[:28] + struct.pack("<H", 5) + plain[30:], "unsupported")


# ---- TGA ----


def tga(samples, kind, depth, flags=0, start=0, colours=b"", map_depth=0, note=b""):
    height, width = samples.shape[:2]
    rows = samples if flags & 0x20 else samples[::-1]
    count = len(colours) // (map_depth // 8) if map_depth else 0
    header = struct.pack(
        "<BBBHHBHHHHBB", len(note), int(bool(colours)), kind, start, count, map_depth, 0, 0, width,
        height, depth, flags,
    )
    return header + note + colours + rows.astype("<u2" if depth == 16 else np.uint8).tobytes()


def make_tga():
    grey, rgb = picture(channels=1), picture()
    two = GREY.convert("LA")
    two.putalpha(GREY.transpose(Image.Transpose.ROTATE_180))
    images = {"rgb": RGB, "rgba": RGBA, "grey": GREY, "greyalpha": two, "palette": PALETTE}
    for name, image in images.items():
        for compression in (None, "tga_rle"):
            tail = "_rle" if compression else ""
            for orientation in (1, -1):
                up = "_top" if orientation == 1 else ""
                data = saved(image, "TGA", compression=compression, orientation=orientation)
                add(f"tga_{name}{tail}{up}.tga", data)
    mirrored = bytearray(saved(RGB, "TGA"))
    mirrored[17] |= 0x10
    add("tga_mirrored.tga", mirrored)
    deep = deep_picture(1)
    add("tga_16.tga", tga(deep, 2, 16))
    add("tga_16_alpha.tga", tga(deep, 2, 16, flags=0x21))
    colours = picture(40, 1).tobytes()
    add("tga_palette_start.tga", tga(grey % 30 + 5, 1, 8, 0, 5, colours[:90], 24))
    add("tga_palette16.tga", tga(grey % 32, 1, 8, 0x20, 0, deep[:2].tobytes()[:64], 16))
    add("tga_palette32.tga", tga(grey % 32, 1, 8, 0x20, 0, picture(32, 1, 4).tobytes(), 32))
    add("tga_palette_short.tga", tga(grey % 16, 1, 8, 0, 0, colours[:27], 24))
    add("tga_note.tga", tga(rgb, 2, 24, note=b"a note in the header"))
    # Pillow fails on a palette that the pixels do not use.
    add("tga_map_unused.tga", tga(rgb, 2, 24, 0, 0, colours[:30], 24), pixels=rgb[..., ::-1])
    for width, height in ((1, 1), (3, 2), (1, 9)):
        add(f"tga_{width}x{height}.tga", saved(Image.fromarray(picture(width, height)), "TGA"))
    plain = saved(RGB, "TGA")
    packed = saved(RGB, "TGA", compression="tga_rle")
    footer = len(packed) - packed.rfind(b"TRUEVISION") + 8
    add_bad("tga_half.tga", plain[: len(plain) // 2], "truncated")
    add_bad("tga_rle_half.tga", packed[: (len(packed) - footer) // 2], "truncated")
    add_bad("tga_header.tga", plain[:18], "truncated")
    add_bad("tga_interleaved.tga", plain[:17] + b"\x40" + plain[18:], "unsupported")
    add_bad("tga_huge.tga", plain[:12] + b"\xff\xff\xff\xff" + plain[16:], "too_large")


# ---- PNM ----


def make_pnm():
    grey, rgb, deep = picture(channels=1), picture(), deep_picture(1).astype(int)
    size = b"%d %d" % (WIDTH, HEIGHT)
    add("pnm_rgb.ppm", saved(RGB, "PPM"))
    add("pnm_grey.pgm", saved(GREY, "PPM"))
    for maximum in (1, 15, 100, 254):
        head = size + b"\n%d\n" % maximum
        add(f"pnm_grey_max{maximum}.pgm", b"P5\n" + head + (grey % (maximum + 1)).tobytes())
        add(f"pnm_rgb_max{maximum}.ppm", b"P6\n" + head + (rgb % (maximum + 1)).tobytes())
    add("pnm_over_max.pgm", b"P5\n" + size + b"\n100\n" + grey.tobytes())
    for maximum in (256, 1000, 4095, 65535):
        head = size + b"\n%d\n" % maximum
        values = (deep % (maximum + 1)).astype(">u2")
        add(f"pnm_grey_max{maximum}.pgm", b"P5\n" + head + values.tobytes())
        values = (deep_picture(3).astype(int) % (maximum + 1)).astype(">u2")
        add(f"pnm_rgb_max{maximum}.ppm", b"P6\n" + head + values.tobytes())
    head = b"P5 # a comment\n# 9 9\n%d#inside\n\t%d\r\n# more\n255 " % (WIDTH, HEIGHT)
    add("pnm_comments.pgm", head + grey.tobytes())
    add("pnm_trailing.ppm", saved(RGB, "PPM") + b"more")
    plain = saved(RGB, "PPM")
    add_bad("pnm_half.ppm", plain[: len(plain) // 2], "truncated")
    add_bad("pnm_header.ppm", b"P6\n37 ", "truncated")
    add_bad("pnm_words.ppm", b"P6\nwidth height\n255\n", "corrupt")
    add_bad("pnm_max0.ppm", b"P6\n1 1\n0\n\0\0\0", "corrupt")
    add_bad("pnm_huge.ppm", b"P6\n99999 99999\n255\n", "too_large")
    add_bad("pnm_plain.ppm", b"P3\n1 1\n255\n1 2 3\n", "unsupported")
    add_bad("pnm_bitmap.pbm", b"P4\n8 1\n\xaa", "unsupported")


# ---- PSD ----


def packbits(row):
    out = b""
    i = 0
    while i < len(row):
        run = 1
        while i + run < len(row) and run < 128 and row[i + run] == row[i]:
            run += 1
        if run > 2:
            out += bytes([257 - run, row[i]])
        else:
            run = min(3, len(row) - i)
            out += bytes([run - 1]) + row[i : i + run]
        i += run
    return out


def psd(samples, compression=0, depth=8, mode=3, sections=(b"", b"", b""), version=1):
    height, width, channels = samples.shape
    header = b"8BPS" + struct.pack(">H6xHIIHH", version, channels, height, width, depth, mode)
    body = b"".join(struct.pack(">I", len(s)) + s for s in sections)
    planes = samples.transpose(2, 0, 1)
    if compression == 0:
        data = planes.astype(">u2" if depth == 16 else np.uint8).tobytes()
    else:
        rows = [packbits(planes[c, y].tobytes()) for c in range(channels) for y in range(height)]
        data = struct.pack(f">{len(rows)}H", *map(len, rows)) + b"".join(rows)
    return header + body + struct.pack(">H", compression) + data


def make_psd():
    resource = b"8BIM" + struct.pack(">H", 1005) + b"\0\0" + struct.pack(">I", 4) + b"abcd"
    sections = (b"", resource, struct.pack(">I", 2) + b"\0\0")
    for compression in (0, 1):
        tail = "_rle.psd" if compression else ".psd"
        add(f"psd_rgb{tail}", psd(picture(), compression))
        add(f"psd_rgba{tail}", psd(picture(channels=4), compression))
        add(f"psd_five{tail}", psd(picture(channels=5), compression), pixels=picture())
        add(f"psd_sections{tail}", psd(picture(), compression, sections=sections))
    deep = deep_picture(3)  # Pillow does not read 16 bits
    add("psd_rgb16.psd", psd(deep, depth=16), pixels=(deep >> 8).astype(np.uint8))
    plain, packed = psd(picture()), psd(picture(), 1)
    add_bad("psd_half.psd", plain[: len(plain) // 2], "truncated")
    add_bad("psd_rle_half.psd", packed[: len(packed) * 2 // 3], "truncated")
    add_bad("psd_header.psd", plain[:20], "truncated")
    add_bad("psd_cmyk.psd", psd(picture(channels=4), mode=4), "unsupported")
    add_bad("psd_large_document.psd", psd(picture(), version=2), "unsupported")
    add_bad("psd_zip.psd", plain[:38] + b"\0\2" + plain[40:], "unsupported")
    add_bad("psd_huge.psd", plain[:14] + b"\0\1\0\0" * 2 + plain[22:], "too_large")


def make_strangers():
    add_bad("tiff.jpg", saved(RGB, "TIFF")[:400], "unsupported")
    add_bad("heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "unsupported")
    add_bad("html.png", b"<!DOCTYPE html>\n<title>404</title>\n", "unsupported")
    add_bad("zeros.png", bytes(500), "unsupported")
    add_bad("one_byte.png", b"\x89", "unsupported")
    add_bad("bm_text.bmp", b"BM is how this text begins, and it is not a bitmap.", "unsupported")


# ---- resizing ----


def noise(width, height):
    """The same bytes as noise_image() of tests/unit/test_imgio_resize.c."""
    i = np.arange(width * height * 3, dtype=np.uint64)
    mixed = (i * 2654435761 + (i * i % 4294967296) * 40503) % 4294967296
    pixels = ((mixed >> 13) ^ (mixed >> 24)) % 256
    pixels[i % 97 < 31] = (i[i % 97 < 31] // 97 % 2) * 255
    return pixels.astype(np.uint8).reshape(height, width, 3)


SIZES = (
    # in w, in h, out w, out h
    (40, 30, 20, 15), (40, 30, 80, 60), (41, 31, 17, 13), (17, 13, 41, 31), (64, 64, 63, 65),
    (1, 1, 1, 2), (1, 1, 9, 7), (1, 50, 1, 7), (50, 1, 7, 1), (1, 50, 3, 5), (50, 1, 5, 3),
    (9, 7, 1, 1), (2, 2, 3, 3), (3, 3, 2, 2), (5, 90, 50, 9), (90, 5, 9, 50), (100, 75, 224, 224),
    (300, 200, 224, 224), (427, 640, 224, 224), (480, 640, 224, 224), (224, 224, 256, 256),
    (640, 37, 64, 32), (37, 640, 32, 64), (200, 200, 200, 50), (200, 200, 50, 200),
    (30, 40, 30, 41), (30, 40, 31, 40), (7, 5, 700, 3), (5, 7, 3, 700), (333, 1, 333, 9),
    (1, 333, 9, 333), (3, 301, 2, 290), (3, 300, 2, 290), (3, 400, 1, 397), (2, 201, 3, 200),
    # ties of the rule that chooses the first pass, and one more and less
    (50, 60, 40, 40), (50, 60, 40, 39), (50, 60, 40, 41), (50, 60, 60, 59), (50, 60, 60, 61),
    (20, 20, 25, 19), (20, 20, 15, 10), (20, 20, 15, 9), (60, 50, 59, 47), (1000, 3, 31, 2),
    (3, 1000, 2, 31), (512, 512, 3, 3), (3, 3, 150, 150), (97, 89, 89, 97), (128, 128, 127, 128),
)


def make_resize():
    lines = []
    for in_width, in_height, width, height in SIZES:
        image = Image.fromarray(noise(in_width, in_height))
        for filter in range(6):
            result = image.resize((width, height), filter)
            lines.append((in_width, in_height, width, height, filter, 0, result))
            # Before Pillow 13: columns first, unless the image is over 100 times as high as wide.
            # Pillow 12.3.0 gives the same sums.
            if filter == 0:
                result = image.resize((width, height), filter)
            elif in_height > 100 * in_width and height < in_height:
                result = image.resize((in_width, height), filter).resize((width, height), filter)
            else:
                result = image.resize((width, in_height), filter).resize((width, height), filter)
            lines.append((in_width, in_height, width, height, filter, 1, result))
    return "".join(
        " ".join(map(str, line[:6])) + f" {zlib.crc32(line[6].tobytes()):08x}\n" for line in lines
    )


def pillow_pixels(data):
    image = Image.open(io.BytesIO(data))
    orientation = image.getexif().get(0x0112, 1)
    if orientation not in range(1, 9):
        orientation = 1
    upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), np.asarray(upright), orientation


def main():
    assert Image.core and features.version("pil") == "13.0.0", "the order of passes is Pillow 13's"
    Image.MAX_IMAGE_PIXELS = None
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    (FOLDER / "bad").mkdir(parents=True)
    for make in (make_jpeg, make_png, make_webp, make_gif, make_bmp, make_tga, make_pnm, make_psd):
        make()
    make_strangers()

    pixels = bytearray()
    offsets = {}

    def place(block):
        block = block.tobytes()
        if block not in offsets:
            offsets[block] = len(pixels)
            pixels.extend(block)
        return offsets[block]

    index = []
    for name, (data, given) in files.items():
        (FOLDER / name).write_bytes(data)
        stored, upright, orientation = (given, given, 1) if given is not None else (
            pillow_pixels(data)
        )
        height, width = stored.shape[:2]
        index.append(
            f"{name} {width} {height} {orientation} {place(stored)} {place(upright)}\n"
        )
    for name, (data, status) in bad.items():
        (FOLDER / "bad" / name).write_bytes(data)
    (FOLDER / "index.txt").write_text("".join(index))
    (FOLDER / "pixels.rgb").write_bytes(pixels)
    (FOLDER / "bad.txt").write_text("".join(f"{n} {status}\n" for n, (_, status) in bad.items()))
    (FOLDER / "resize.txt").write_text(make_resize())
    versions = {
        "python": platform.python_version(),
        "pillow": features.version("pil"),
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "zlib": features.version("zlib"),
        "webp": features.version("webp"),
        "numpy": np.__version__,
        "cjpeg": subprocess.run(["cjpeg", "-version"], capture_output=True, text=True)
        .stderr.splitlines()[0],
    }
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    print(len(files), "files,", len(bad), "bad,", len(pixels), "bytes of pixels")


if __name__ == "__main__":
    main()
