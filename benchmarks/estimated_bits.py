"""Real bits beside estimated ones: payloads against the Laplace bits that training minimises, frame by frame.

    python -m benchmarks.estimated_bits CLIP... [--model s] [--qps 8,24,40,56] [--frames 1] [--out FILE]

Estimated are the bits of the symbols that the encoder really wrote; the payload adds what integer tables,
escapes and the coder's state cost, and saves what tables fitted to symbols do.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from torch import Tensor

import nvc.encoder
from benchmarks.markdown import table
from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.entropy.rans import RansCoder
from nvc.frames import Frame
from nvc.media import open_video
from nvc.model_store import Model, load_model
from nvc.models.quantiser import N_SCALES, laplace_bits


class EstimatingCoder(RansCoder):
    """Adds up the estimated and the real bits of all that it codes."""

    def __init__(self, coder: RansCoder) -> None:
        self.__dict__.update(coder.__dict__)
        self.estimated_bits = self.real_bits = 0.0

    def encode(self, groups: list[tuple[Tensor, Tensor]], checksum: int = 0) -> bytes:
        payload = super().encode(groups, checksum)
        for symbols, rows in groups:
            scale = (rows % N_SCALES).float()  # a bank's rows are one Laplace distribution after the other
            self.estimated_bits += float(laplace_bits(symbols.float(), scale).sum())
        self.real_bits += 8 * len(payload)
        return payload


def measure(clip: Path, model: Model, qp: int, n_frames: int) -> tuple[float, float]:
    """Estimated and real bits of the first frames of a clip."""
    coder = EstimatingCoder(model.coder)
    nvc.encoder.load_model = lambda *_: Model(model.entry, model.codec, coder)
    with open_video(clip) as video:
        config = EncoderConfig(model=model.entry.name, qp=qp, keyint=-1, scene_cut=False)
        encoder = Encoder(config, video.info.width, video.info.height)
        for frame in islice((item for item in video if isinstance(item, Frame)), n_frames):
            encoder.encode(frame)
    return coder.estimated_bits, coder.real_bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", default="s")
    parser.add_argument("--qps", default="8,24,40,56")
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    rows = [["clip", "qp", "estimated bytes", "real bytes", "real against estimated"]]
    for clip in arguments.clips:
        for qp in map(int, arguments.qps.split(",")):
            estimated, real = measure(clip, model, qp, arguments.frames)
            share = f"{100 * (real / estimated - 1):+.2f} %"
            rows.append([clip.stem, str(qp), f"{estimated / 8:.0f}", f"{real / 8:.0f}", share])
    text = table(rows) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
