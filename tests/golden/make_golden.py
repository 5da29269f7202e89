"""Make the golden streams anew: python tests/golden/make_golden.py

To be run only when the format or the `tiny` weights change on purpose; the tests read what is committed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bitstream_spec import StreamHeader, StreamWriter
from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.media.synthetic import natural_clip
from nvc.quality_map import Offsets

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Golden:
    name: str
    width: int
    height: int
    n_frames: int
    qp: int
    keyint: int
    has_maps: bool = False
    stands_still: bool = False
    layers: int = 1


GOLDEN = (
    Golden("v7_still", 96, 64, 1, 30, -1),
    Golden("v7_short", 96, 64, 9, 36, -1),
    Golden("v7_gops", 64, 48, 8, 44, 3),
    Golden("v7_odd", 51, 37, 4, 20, -1),
    Golden("v7_one_pixel", 1, 1, 3, 30, -1),
    Golden("v7_maps", 90, 64, 8, 34, 6, has_maps=True),
    Golden("v7_repeat", 64, 48, 9, 30, -1, stands_still=True),
    Golden("v7_layers", 64, 48, 6, 16, 4, layers=3),
)


def quality_map(index: int) -> Offsets | None:
    """A map that stays, one that changes a little, none, and none in the second GOP."""
    if index in (3, 6, 7):
        return None
    offsets = np.full((4, 6), 9, np.int16)
    offsets[1:3, 1:4] = -9
    if index > 3:
        offsets[0] = np.arange(-40, 20, 10)
    elif index == 2:
        offsets[3, 5] = 8
    return offsets


def make(golden: Golden) -> list[str]:
    """Write a golden stream; returns the checksums of its frames."""
    clip = natural_clip(golden.width, golden.height, golden.n_frames, seed=11)
    if golden.stands_still:  # from the second to the seventh frame
        clip = [replace(clip[1], pts=f.pts) if 1 < f.pts < 7 else f for f in clip]
    config = EncoderConfig(
        model="tiny", qp=golden.qp, layers=golden.layers, keyint=golden.keyint, scene_cut=False
    )
    encoder = Encoder(config, golden.width, golden.height)
    header = StreamHeader(
        model_id=encoder.model_id,
        model_name=encoder.model_name,
        width=golden.width,
        height=golden.height,
        time_base=Fraction(1, 25),
        is_still=golden.n_frames == 1,
        layers=encoder.layers,
    )
    checksums = []
    with open(HERE / f"{golden.name}.nvc", "wb") as file, StreamWriter(file, header) as writer:
        for frame in clip:
            coded = encoder.encode(frame, quality_map(frame.pts) if golden.has_maps else None)
            if coded.is_keyframe:
                writer.write_gop(frame.pts, frame.duration)
            writer.write_frame(coded.packet)
            checksums.append(f"{coded.reconstruction.checksum():04x}")
    return checksums


if __name__ == "__main__":
    expected = {golden.name: make(golden) for golden in GOLDEN}
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
