"""From a training run to a weights file: averaged weights, frozen activation ranges, entropy tables."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvc import kernels
from nvc.entropy.tables import laplace_tables
from nvc.errors import ModelError
from nvc.gop import clip_qp, is_kept, qp_offset
from nvc.model_store import write_model
from nvc.models.adaptive_filter import N_TAPS, QP_PER_RANGE, TAP_MAX, TAP_UNIT
from nvc.models.codec import Codec, CodeTaps
from nvc.models.config import CONFIGS, CodecConfig
from nvc.models.exact import count_macs, exact_arithmetic, make_exact
from nvc.models.picture_coder import Picture, bits_per_squared_error
from nvc.models.quantiser import N_TABLES, Bank, EncoderPort, scale_table
from nvc.motion_search import MotionSearch
from nvc.training.checkpoint import read_checkpoint, set_parameters
from nvc.training.data import Cache, Sampler

CALIBRATION_QPS = (0, 8, 16, 24, 32, 40, 48, 56, 63)
CALIBRATION_FRAMES = 4
CALIBRATION_ROUNDS = 6
COUNTED_SIZES = 256
FITTING_FRAMES, FITTING_ROUNDS = 9, 20  # of the adaptive filter
FITTING_RIDGE = 1.0


TapsFor = Callable[[Picture, int, bool], CodeTaps]
"""Makes what codes taps, for a picture, its qp, and whether it is a P frame."""


def code_clips(
    codec: Codec,
    cache: Cache,
    crop: int,
    rounds: int,
    batch: int = 2,
    n_frames: int = CALIBRATION_FRAMES,
    taps_for: TapsFor | None = None,
) -> Iterator[EncoderPort]:
    """Code training clips at every few qp, over short chains; yields what each frame's port holds."""
    motion = MotionSearch()
    sampler = iter(Sampler(cache, crop, n_frames, batch, seed=99))
    for qp_value in CALIBRATION_QPS * rounds:
        sample = next(sampler)
        b, n, height, width = sample.y.shape
        planes = [torch.from_numpy(p).float() - 128 for p in (sample.y, sample.u, sample.v)]
        for index in range(n):
            port = EncoderPort()
            x: Picture = (planes[0][:, index], planes[1][:, index], planes[2][:, index])
            frame_qp = clip_qp(qp_value + qp_offset(index))
            qp = torch.full((b, 1, 1), frame_qp)
            taps = None if taps_for is None else taps_for(x, frame_qp, index > 0)
            if index == 0:
                reference = codec.code_intra(x, (b, height, width), qp, port, code_taps=taps)
            else:
                found, keep = sample.motion(index, reference, qp, motion), is_kept(index)
                vectors, use = codec.code_motion(found, reference, qp, port, keep=keep)
                reference = codec.code_inter(x, vectors, reference, qp, port, use=use, code_taps=taps)
            yield port


def count_symbols(frames: Iterable[EncoderPort]) -> npt.NDArray[np.int64]:
    """How often symbols of each magnitude are coded with each table row; [n_rows, COUNTED_SIZES]."""
    counts = np.zeros((N_TABLES, COUNTED_SIZES), np.int64)
    for port in frames:
        for symbols, rows in port.groups:
            sizes = symbols.abs().clamp(max=COUNTED_SIZES - 1)
            np.add.at(counts, (rows.numpy(), sizes.numpy()), 1)
    return counts


def fit_taps(codec: Codec, cache: Cache, crop: int) -> None:
    """Give an exact codec's adaptive filter the taps that least squares find in training clips.

    Twice: what P frames are predicted from is filtered when the taps of I frames are there. A squared error
    counts as at its qp. Without numba the taps stay as they are.
    """
    if not kernels.INSTALLED:
        return
    from nvc.kernels.adaptive_filter import moments

    rounds = min(FITTING_ROUNDS, len(cache.training))
    n_frames = min(FITTING_FRAMES, max(entry.n_frames for entry in cache.training))
    for _ in range(2):
        found = torch.zeros(*codec.adaptive_filter.taps.shape, N_TAPS + 1, dtype=torch.float64)

        def taps_for(x: Picture, qp: int, predicts: bool, found: Tensor = found) -> CodeTaps:
            def note(decoded: Picture, before: Tensor) -> Tensor:
                planes = [[plane[0].numpy() for plane in picture] for picture in (decoded, x)]
                sums = torch.from_numpy(moments(*planes)) * bits_per_squared_error(qp)
                found[int(predicts), qp // QP_PER_RANGE] += sums
                return before

            return note

        for _ in code_clips(codec, cache, crop, rounds, 1, n_frames, taps_for):
            pass
        products = found[..., :N_TAPS] + torch.eye(N_TAPS) * FITTING_RIDGE
        taps = torch.linalg.solve(products, found[..., N_TAPS] * TAP_UNIT)
        codec.adaptive_filter.set_exact(taps.round().clamp(-TAP_MAX, TAP_MAX))


def decode_kmac_per_pixel(config: CodecConfig) -> tuple[float, float]:
    """Thousands of multiply-accumulates a luma pixel takes to decode, in I and in P frames."""
    codec = Codec(config)
    side = 256
    half = torch.zeros(1, side // 2, side // 2)
    x: Picture = (torch.zeros(1, side, side), half, half)
    qp = torch.full((1, 1, 1), 32)

    def total(run: Callable[[Codec], None]) -> float:
        with torch.no_grad():
            counts = count_macs(codec, run)
        return sum(n for name, n in counts.items() if "analysis" not in name) / side**2 / 1000

    with torch.no_grad():
        reference = codec.code_intra(x, (1, side, side), qp, EncoderPort())
    vectors = torch.zeros(1, side // 8, side // 8, 2)
    intra = total(lambda c: void(c.code_intra(x, (1, side, side), qp, EncoderPort())))

    def code_inter(codec: Codec) -> None:
        port = EncoderPort()
        decoded = codec.code_vectors(vectors, reference, qp, port)
        codec.code_inter(x, decoded, reference, qp, port)

    inter = total(code_inter)
    return intra, inter


def void(_: object) -> None:
    """Drop a result where a function must return nothing."""


def export_codec(codec: Codec, cache: Cache, card: dict[str, Any], folder: Path, crop: int = 192) -> Path:
    """Freeze a codec in place and write its weights file; returns the path."""

    def calibrate(codec: Codec) -> None:
        for _ in code_clips(codec, cache, crop, rounds=1):
            pass

    make_exact(codec, calibrate)
    with exact_arithmetic():
        fit_taps(codec, cache, crop)
        counts = count_symbols(code_clips(codec, cache, crop, CALIBRATION_ROUNDS))
    intra, inter = decode_kmac_per_pixel(codec.config)
    figures = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "parameters": sum(p.numel() for p in Codec(codec.config).parameters()),
        "decode_kmac_per_pixel_intra": round(intra, 2),
        "decode_kmac_per_pixel_inter": round(inter, 2),
    }
    return write_model(codec, laplace_tables(scale_table() * len(Bank), counts), figures | card, folder)


def export_run(run: Path, folder: Path, cache: Path | None = None) -> Path:
    """Export the averaged weights of a run folder, with activation ranges from its training clips.

    cache: where the packed clips are, if not where the run had them. Raises ModelError where the folder
    holds no checkpoint.
    """
    state = read_checkpoint(run / "checkpoint")
    if state is None:
        raise ModelError(f"{run} holds no checkpoint")
    codec = Codec(CONFIGS[state["model"]])
    set_parameters(codec, state["average"])
    card = {
        "steps": state["position"]["total_steps"],
        "training_seconds": round(state["seconds"]),
        "stages": state["stages"],
        "data": "see weights/README.md",
    }
    return export_codec(codec, Cache(cache or Path(state["cache"])), card, folder)
