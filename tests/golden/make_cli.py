#!/usr/bin/env python3
"""Makes tests/cli/data: PNG files that no honest program writes. Standard library only."""

import struct
import zlib
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "cli" / "data"


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, data):
    """1-bit grey."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def rows(width, height):
    squeezed = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    return b"".join(squeezed.compress(row) for _ in range(height)) + squeezed.flush()


def main():
    OUT.mkdir(exist_ok=True)
    # 144 megapixels, complete and valid, in 18 kB.
    (OUT / "bomb.png").write_bytes(png(12000, 12000, rows(12000, 12000)))
    # The largest sides that pass the limit of a side, with almost nothing behind them.
    (OUT / "declares_65535.png").write_bytes(png(65535, 65535, rows(16, 16)))


if __name__ == "__main__":
    main()
