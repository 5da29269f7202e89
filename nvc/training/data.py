"""Training clips: a packed cache that needs only numpy, and random samples of it.

A cache is a folder with `index.json` (one entry a clip: source, size, frames, offset) and `planes.bin`
(each frame's Y, U and V planes, 8-bit 4:2:0, one after the other). Pictures are clips of one frame.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvc.models.picture_coder import Picture, Reference
from nvc.models.warp import GRID
from nvc.motion_search import LastWord, MotionSearch

Bytes = npt.NDArray[np.uint8]
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".y4m"}

EDGE_CANDIDATES = 4
STEEP = 30.0  # steps of luma from one sample to the next; less is no clear edge


@dataclass(frozen=True)
class ClipEntry:
    """One clip of a cache: even sizes, `offset` in bytes into planes.bin."""

    source: str
    name: str
    width: int
    height: int
    n_frames: int
    offset: int


def source_of(path: Path) -> str:
    """The footage a file comes from, by its name up to the scene or number: splits must keep it whole."""
    return re.split(r"_s?\d", path.stem)[0]


def pack(inputs: Iterable[Path], folder: Path) -> list[ClipEntry]:
    """Decode all videos and pictures under `inputs` into a cache folder; returns its entries."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[ClipEntry] = []
    with open(folder / "planes.bin", "wb") as out:
        for path in sorted(p for top in inputs for p in ([top] if top.is_file() else top.rglob("*"))):
            if path.suffix.lower() in PICTURE_SUFFIXES:
                frames = _read_picture(path)
            elif path.suffix.lower() in VIDEO_SUFFIXES:
                frames = _read_video(path)
            else:
                continue
            offset = out.tell()
            n_frames, width, height = 0, 0, 0
            for y, u, v in frames:
                height, width = y.shape
                for plane in (y, u, v):
                    out.write(np.ascontiguousarray(plane).data)
                n_frames += 1
            if n_frames:
                entries.append(ClipEntry(source_of(path), path.stem, width, height, n_frames, offset))
    (folder / "index.json").write_text(json.dumps([asdict(e) for e in entries], indent=0))
    return entries


def _read_picture(path: Path) -> Iterator[tuple[Bytes, Bytes, Bytes]]:
    bgr: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        return
    h, w = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
    yield _split_i420(cv2.cvtColor(bgr[:h, :w], cv2.COLOR_BGR2YUV_I420), w, h)


def _split_i420(i420: Any, w: int, h: int) -> tuple[Bytes, Bytes, Bytes]:
    flat = i420.reshape(-1)
    quarter = w * h // 4
    u = flat[w * h : w * h + quarter].reshape(h // 2, w // 2)
    v = flat[w * h + quarter :].reshape(h // 2, w // 2)
    return flat[: w * h].reshape(h, w), u, v


def _read_video(path: Path) -> Iterator[tuple[Bytes, Bytes, Bytes]]:
    try:
        from nvc.frames import Frame
        from nvc.media import open_video
    except ImportError:  # a training machine without PyAV: OpenCV reads RGB, which costs a rounding
        capture = cv2.VideoCapture(str(path))
        while True:
            ok, bgr = capture.read()
            if not ok:
                return
            h, w = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
            yield _split_i420(cv2.cvtColor(bgr[:h, :w], cv2.COLOR_BGR2YUV_I420), w, h)
    with open_video(path) as video:
        for frame in video:
            if isinstance(frame, Frame):
                h, w = frame.height // 2 * 2, frame.width // 2 * 2
                yield frame.y[:h, :w], frame.u[: h // 2, : w // 2], frame.v[: h // 2, : w // 2]


class Cache:
    """A packed cache, split by source into training and validation clips."""

    def __init__(self, folder: Path, validation_share: float = 0.08) -> None:
        self.entries = [ClipEntry(**e) for e in json.loads((folder / "index.json").read_text())]
        self.planes = np.memmap(folder / "planes.bin", dtype=np.uint8, mode="r")
        sources = sorted({e.source for e in self.entries})
        rng = np.random.default_rng(7)
        held = {s for s in sources if rng.random() < validation_share}
        self.training = [e for e in self.entries if e.source not in held]
        self.validation = [e for e in self.entries if e.source in held]

    def frames(self, entry: ClipEntry, first: int, n: int) -> tuple[Bytes, Bytes, Bytes]:
        """Y [n, h, w] and U, V [n, h/2, w/2] of n consecutive frames."""
        w, h = entry.width, entry.height
        size = w * h * 3 // 2
        start = entry.offset + first * size
        block = np.asarray(self.planes[start : start + n * size]).reshape(n, size)
        quarter = w * h // 4
        y = block[:, : w * h].reshape(n, h, w)
        u = block[:, w * h : w * h + quarter].reshape(n, h // 2, w // 2)
        return y, u, block[:, w * h + quarter :].reshape(n, h // 2, w // 2)


@dataclass(frozen=True)
class Batch:
    """Planes as uint8: y [batch, n, h, w], u and v at half size; proposed: float32 [batch, n - 1, h/8, w/8,
    2], vectors from each frame to the one before, see MotionSearch.propose; proposed_golden: to the first."""

    y: Bytes
    u: Bytes
    v: Bytes
    proposed: npt.NDArray[np.float32]
    proposed_golden: npt.NDArray[np.float32]

    @classmethod
    def of_planes(cls, y: Bytes, u: Bytes, v: Bytes, search: MotionSearch) -> Batch:
        n_pictures, n_frames, height, width = y.shape
        shape = n_pictures, n_frames - 1, height // GRID, width // GRID, 2
        proposed, proposed_golden = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for i, clip in enumerate(y):
            for j in range(n_frames - 1):
                proposed[i, j] = search.propose(clip[j], clip[j + 1])
                proposed_golden[i, j] = search.propose(clip[0], clip[j + 1])
        return cls(y, u, v, proposed, proposed_golden)

    def motion(self, index: int, reference: Reference, qp: Tensor, search: MotionSearch) -> LastWord:
        """What an encoder finds for frame `index`, and its last word: vectors to what it decoded of the frame
        before, and what it takes of golden pictures.

        qp: [batch or 1, ...]; the first of each picture counts.
        """
        luma, previous = _luma(reference.picture), reference.vectors.cpu().numpy()
        current, proposed = self.y[:, index], self.proposed[:, index - 1]
        qps = qp.flatten(1)[:, 0].expand(len(luma)).tolist()
        lumas = [_luma(golden.picture) for golden in reference.goldens]
        found = []
        for i, sample in enumerate(zip(luma, current, proposed, previous, qps, strict=True)):
            flows = self.proposed_golden[i, index - 1], None
            goldens = [(golden[i], flow) for golden, flow in zip(lumas, flows, strict=False)]
            found.append(search.search(*sample, goldens))
        return LastWord(found)


def _luma(picture: Picture) -> Bytes:
    return (picture[0].detach() + 128).clamp(0, 255).to(torch.uint8).cpu().numpy()


class Sampler:
    """Random crops of random clips, every source equally likely within its kind; reproducible by seed.

    edge_share: of samples that are, of EDGE_CANDIDATES, the one with the clearest edges.
    """

    def __init__(
        self, cache: Cache, crop: int, n_frames: int, batch: int, seed: int, edge_share: float = 0.0
    ) -> None:
        self.cache, self.crop, self.n_frames, self.batch = cache, crop, n_frames, batch
        self.edge_share = edge_share
        self.rng = np.random.default_rng(seed)
        self.motion = MotionSearch()
        by_source: dict[str, list[ClipEntry]] = {}
        for entry in cache.training:
            if entry.n_frames >= n_frames and min(entry.width, entry.height) >= crop:
                by_source.setdefault(entry.source, []).append(entry)
        if not by_source:
            raise ValueError(f"no clip has {n_frames} frames of {crop}x{crop}")
        # a source's weight grows with the root of its clips: few sources hold most pictures
        self.sources = list(by_source.values())
        weights = np.sqrt([len(s) for s in self.sources])
        self.weights = weights / weights.sum()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            samples = [self._chosen() for _ in range(self.batch)]
            y, u, v = (np.stack([s[i] for s in samples]) for i in range(3))
            yield Batch.of_planes(y, u, v, self.motion)

    def _chosen(self) -> tuple[Bytes, Bytes, Bytes]:
        if not self.edge_share or self.rng.random() >= self.edge_share:
            return self._sample()
        return max((self._sample() for _ in range(EDGE_CANDIDATES)), key=lambda s: _edge_clarity(s[0][0]))

    def _sample(self) -> tuple[Bytes, Bytes, Bytes]:
        rng, crop, n = self.rng, self.crop, self.n_frames
        clips = self.sources[rng.choice(len(self.sources), p=self.weights)]
        entry = clips[rng.integers(len(clips))]
        stride = 2 if n > 1 and entry.n_frames >= 2 * n and rng.random() < 0.15 else 1
        first = int(rng.integers(entry.n_frames - (n - 1) * stride))
        planes = [p[::stride] for p in self.cache.frames(entry, first, (n - 1) * stride + 1)]
        shortest = min(entry.width, entry.height)
        scale = rng.uniform(max(0.5, crop / shortest), 1.0) if rng.random() < 0.5 else 1.0
        size = min(shortest, round(crop / scale / 2) * 2)
        x = int(rng.integers((entry.width - size) // 2 + 1)) * 2
        y = int(rng.integers((entry.height - size) // 2 + 1)) * 2
        window = [
            planes[0][:, y : y + size, x : x + size],
            *(p[:, y // 2 : (y + size) // 2, x // 2 : (x + size) // 2] for p in planes[1:]),
        ]
        if size != crop:
            window = [
                np.stack([cv2.resize(f, (crop >> s, crop >> s), interpolation=cv2.INTER_AREA) for f in p])
                for p, s in zip(window, (0, 1, 1), strict=True)
            ]
        if rng.random() < 0.5:
            window = [p[:, :, ::-1] for p in window]
        if rng.random() < 0.5:
            window = [p[:, ::-1] for p in window]
        if rng.random() < 0.25:
            window = [p.transpose(0, 2, 1) for p in window]
        if rng.random() < 0.25:
            window = [p[::-1] for p in window]
        if rng.random() < 0.3:
            window = _change_tone(window, rng.uniform(0.7, 1.1), rng.uniform(-20, 20), rng.uniform(0.5, 1.3))
        y_plane, u_plane, v_plane = (np.ascontiguousarray(p) for p in window)
        return y_plane, u_plane, v_plane


def _edge_clarity(luma: Bytes) -> float:
    """How far the steepest slopes of luma [h, w] stand out among all."""
    y = luma.astype(np.float32)
    slopes = np.hypot(np.diff(y, axis=0)[:, :-1], np.diff(y, axis=1)[:-1])
    steepest = float(np.percentile(slopes, 99))
    return steepest / (float(slopes.mean()) + 1) * min(1.0, steepest / STEEP)


def _change_tone(window: list[Bytes], gain: float, offset: float, saturation: float) -> list[Bytes]:
    levels = np.arange(256, dtype=np.float32)
    luma = np.clip((levels - 16) * gain + 16 + offset, 0, 255).round().astype(np.uint8)
    chroma = np.clip((levels - 128) * saturation + 128, 0, 255).round().astype(np.uint8)
    return [luma[window[0]], chroma[window[1]], chroma[window[2]]]


def prefetch(batches: Iterable[Batch], depth: int = 4) -> Iterator[Batch]:
    """Make batches in a thread of their own, a few ahead."""
    queue: Queue[Batch | BaseException] = Queue(depth)

    def work() -> None:
        try:
            for batch in batches:
                queue.put(batch)
        except BaseException as error:  # handed to the consumer, who raises it
            queue.put(error)

    Thread(target=work, daemon=True).start()
    while True:
        item = queue.get()
        if isinstance(item, BaseException):
            raise item
        yield item


def cache_for(inputs: list[Path], folder: Path) -> Cache:
    """Open the cache in `folder`, packing `inputs` first where it is not there."""
    if not (folder / "index.json").exists():
        part = folder.with_name(folder.name + ".part")
        pack(inputs, part)
        os.replace(part, folder)
    return Cache(folder)
