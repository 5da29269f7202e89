"""Stands in for an encoder program: drops the lowest `qp` bits of each sample and deflates the rest.

fake_encoder.py encode IN.yuv STREAM QP N_FRAMES     (QP 7 fails, 6 writes nothing, 5 loses a frame)
fake_encoder.py decode STREAM OUT.yuv
"""

import sys
import zlib
from pathlib import Path


def main() -> None:
    verb, source, target, *rest = sys.argv[1:]
    data = Path(source).read_bytes()
    if verb == "decode":
        Path(target).write_bytes(zlib.decompress(data))
        return
    qp, n_frames = int(rest[0]), int(rest[1])
    if qp == 7:
        print("starting\nno licence for this picture", file=sys.stderr)
        sys.exit(3)
    if qp == 5:
        data = data[: len(data) // n_frames * (n_frames - 1)]
    mask = 256 - (1 << qp)
    half = 1 << qp >> 1
    coarse = bytes((value & mask) | half for value in range(256))
    if qp != 6:
        Path(target).write_bytes(zlib.compress(data.translate(coarse), 9))


if __name__ == "__main__":
    main()
