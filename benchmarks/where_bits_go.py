"""Where the bits of a stream go: motion or picture, and by a frame's place in its GOP, with skips and drift.

    python -m benchmarks.where_bits_go CLIP... [--model s] [--qps 16,32] [--frames 96] [--out FILE]

One intra frame, sizes of real payloads. `skipped` is the share of latent elements that are not sent at all
(table row 0), `zero` that of those sent whose symbol is 0. Drift is the PSNR (6 Y + U + V) / 8 of frame 10
less that of frame 90, the two of the same place in the cascade of qps.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

import nvc.encoder
from benchmarks.markdown import table
from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.entropy.rans import RansCoder
from nvc.frames import Frame
from nvc.media import open_video
from nvc.metrics import psnr_yuv_db
from nvc.model_store import load_model
from nvc.models.quantiser import N_SCALES, Bank

PLACES = ((0, 0), (1, 1), (2, 4), (5, 16), (17, 32), (33, 10**6))
DRIFT_FRAMES = (10, 90)


class CountingCoder(RansCoder):
    """What the last frame's motion took, and how many symbols of its latent are sent, and are not 0."""

    def __init__(self, coder: RansCoder) -> None:
        self.__dict__.update(coder.__dict__)
        self.n_motion_bytes = self.n_sent = self.n_nonzero = 0

    def encode(self, groups: list[tuple[Tensor, Tensor]], checksum: int = 0) -> bytes:
        payload = super().encode(groups, checksum)
        symbols, rows = (torch.cat(parts) for parts in zip(*groups, strict=True))
        bank = rows // N_SCALES
        is_motion = (bank == Bank.VECTOR) | (bank == Bank.CHOICE)
        self.n_motion_bytes = len(payload) - len(super().encode([(symbols[~is_motion], rows[~is_motion])]))
        latent = symbols[(bank == Bank.INTRA) | (bank == Bank.INTER)]
        self.n_sent, self.n_nonzero = len(latent), int((latent != 0).sum())
        return payload


@dataclass(frozen=True)
class CodedFrame:
    """Sizes in bytes; symbols of the latent, which is coded last."""

    motion_bytes: int
    latent_bytes: int
    n_elements: int
    n_sent: int
    n_nonzero: int
    psnr_db: float


def code(clip: Path, model_name: str, qp: int, n_frames: int) -> list[CodedFrame]:
    """Code the first frames of a clip."""
    model = load_model(model_name, "cpu")
    coder = CountingCoder(model.coder)
    nvc.encoder.load_model = lambda *_: replace(model, coder=coder)
    coded = []
    with open_video(clip) as video:
        encoder = Encoder(
            EncoderConfig(model=model_name, qp=qp, keyint=-1, scene_cut=False),
            video.info.width,
            video.info.height,
        )
        for frame in islice((item for item in video if isinstance(item, Frame)), n_frames):
            result = encoder.encode(frame)
            blocks = -(-frame.width // 16) * -(-frame.height // 16)
            coded.append(
                CodedFrame(
                    motion_bytes=coder.n_motion_bytes,
                    latent_bytes=len(result.packet.layers[0].payload) - coder.n_motion_bytes,
                    n_elements=blocks * model.codec.config.n_latent,
                    n_sent=coder.n_sent,
                    n_nonzero=coder.n_nonzero,
                    psnr_db=psnr_yuv_db(result.psnr_db),
                )
            )
    return coded


def rows_of(name: str, qp: int, coded: list[CodedFrame]) -> list[list[str]]:
    """Table rows: a line for each range of places that the clip has."""
    rows = []
    total = sum(f.motion_bytes + f.latent_bytes for f in coded)
    for first, last in PLACES:
        frames = coded[first : last + 1]
        if not frames:
            continue
        motion, latent = sum(f.motion_bytes for f in frames), sum(f.latent_bytes for f in frames)
        n_sent = sum(f.n_sent for f in frames)
        rows.append(
            [
                name,
                str(qp),
                str(first) if first == last else f"{first}-{min(last, len(coded) - 1)}",
                f"{(motion + latent) / len(frames):.0f}",
                f"{(motion + latent) / total:.0%}",
                f"{motion / max(1, motion + latent):.0%}",
                f"{1 - n_sent / sum(f.n_elements for f in frames):.1%}",
                f"{1 - sum(f.n_nonzero for f in frames) / max(1, n_sent):.1%}",
                f"{mean(f.psnr_db for f in frames):.2f}",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", default="s")
    parser.add_argument("--qps", default="16,32")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cells = [
        ["clip", "qp", "frames", "bytes a frame", "of all", "motion", "skipped", "zero", "PSNR (6:1:1) dB"]
    ]
    drifts = []
    for clip in arguments.clips:
        for qp in map(int, arguments.qps.split(",")):
            coded = code(clip, arguments.model, qp, arguments.frames)
            cells += rows_of(clip.stem, qp, coded)
            early, late = DRIFT_FRAMES
            if len(coded) > late:
                drift = coded[early].psnr_db - coded[late].psnr_db
                drifts.append([clip.stem, str(qp), f"{drift:+.2f}"])
    text = table(cells) + "\n"
    if drifts:
        text += "\n" + table([["clip", "qp", "drift, frame 10 to 90, dB"], *drifts]) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
