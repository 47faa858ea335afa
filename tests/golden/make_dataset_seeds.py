"""Writes the seeds of the fuzz targets of datasets: tests/fuzz/corpus/datasets_*/.

Needs nothing but Python's own library; the bytes are the same every time.
"""

import gzip
import io
import struct
import tarfile
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"


def save(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


# ---- tar ----


def member(name, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(data)
    return info, data


def tar(members, form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    # One block of zeros more than the end mark, instead of the 10,240 bytes of a tape's record.
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    data = out.getvalue()
    return data.rstrip(b"\0").ljust((len(data.rstrip(b"\0")) + 511) // 512 * 512 + 1024, b"\0")


def sparse():
    """Old GNU sparse: 512 bytes behind a hole of 512."""
    data = bytearray(tar([member("cat/1.jpg", b"x" * 512)], tarfile.GNU_FORMAT))
    data[156:157] = b"S"
    data[386:398] = b"%011o\0" % 512
    data[398:410] = b"%011o\0" % 512
    data[483:495] = b"%011o\0" % 1024
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


FOLDERS = [
    member("cat", kind=tarfile.DIRTYPE),
    member("cat/1.jpg", b"one"),
    member("./dog/.hidden", b"no"),
    member("./dog/2.jpg", b"two"),
    member("alone.jpg", b"three"),
]
PAIRS = [
    member("a/0.jpg", b"zero"),
    member("a/0.cls", b"7\n"),
    member("a/1.json", b'{"label": "cat"}'),
    member("a/1.depth.png", b"depth"),
    member("a/1.png", b"one"),
    member("a/2.jpg", b"two"),
    member("a/3.cls", b"dog"),
]
LINKS = [
    member("cat/1.jpg", b"one"),
    member("cat/2.jpg", kind=tarfile.LNKTYPE, link="cat/1.jpg"),
    member("cat/3.jpg", kind=tarfile.SYMTYPE, link="1.jpg"),
    member("cat/4", kind=tarfile.FIFOTYPE),
]
LONG = [member("d" * 120 + "/k\u00e4tzchen.jpg", b"long")]


def make_tar():
    save("datasets_tar", "folders.tar", tar(FOLDERS))
    save("datasets_tar", "pairs.tar", tar(PAIRS))
    save("datasets_tar", "links.tar", tar(LINKS))
    save("datasets_tar", "long_gnu.tar", tar(LONG, tarfile.GNU_FORMAT))
    save("datasets_tar", "long_pax.tar", tar(LONG, tarfile.PAX_FORMAT))
    save("datasets_tar", "sparse.tar", sparse())
    save("datasets_tar", "two.tar", tar(FOLDERS) + tar(PAIRS))
    save("datasets_tar", "folders.tar.gz", gzip.compress(tar(FOLDERS), mtime=0))
    save("datasets_tar", "end_only.tar", bytes(1024))


# ---- IDX ----


def idx(shape, kind=8):
    count = 1
    for side in shape:
        count *= side
    head = struct.pack(">HBB", 0, kind, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
    return head + bytes(i % 10 for i in range(count))


def pair(images, labels):
    return struct.pack(">H", len(images)) + images + labels


def make_idx():
    save("datasets_idx", "grey", pair(idx((3, 4, 5)), idx((3,))))
    save("datasets_idx", "colour", pair(idx((2, 4, 5, 3)), idx((2,))))
    save("datasets_idx", "floats", pair(idx((2, 4, 5), 13), idx((2,))))
    save("datasets_idx", "counts", pair(idx((3, 4, 5)), idx((2,))))
    save("datasets_idx", "gzip", pair(gzip.compress(idx((3, 4, 5)), mtime=0),
                                      gzip.compress(idx((3,)), mtime=0)))


# ---- CIFAR ----


def batch(labels, coarse):
    records = [coarse + bytes([label]) + bytes(i * 7 % 256 for i in range(3072)) for label in labels]
    return b"".join(records)


def make_cifar():
    names = b"".join(b"class%d\n" % i for i in range(10))
    save("datasets_cifar", "ten", b"\0" + batch([3, 9], b""))
    save("datasets_cifar", "ten_named", b"\2" + batch([3, 9], b"") + names)
    save("datasets_cifar", "hundred", b"\1" + batch([99], b"\x13"))
    save("datasets_cifar", "hundred_named", b"\3" + batch([4], b"\0") + names)


make_tar()
make_idx()
make_cifar()
