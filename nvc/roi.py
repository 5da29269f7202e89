"""Which parts of a picture get more of the bits: regions named by the user, and what the picture asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bitstream_spec import ColourRange
from nvc.config import QP_MAX, EncoderConfig
from nvc.frames import Frame, Plane, block_means
from nvc.importance import Importance
from nvc.media import open_video
from nvc.models.transform import LUMA_BLOCK
from nvc.quality_map import Offsets

Floats = npt.NDArray[np.float32]

TILE_STEP = 2  # tiles' offsets are multiples of it
# Blocks on a side of a tile, and qp. On held-out clips the importance map gained 7 % in tiles of 64x64
# samples, 10.8 % of 32x32, and no more of 16x16; the inertia halves its bytes.
TEXTURE_TILE, TEXTURE_INERTIA = 4, 2
IMPORTANCE_TILE, IMPORTANCE_INERTIA = 2, 6


@dataclass(frozen=True)
class Box:
    """A rectangle in luma samples and the qp offset inside it."""

    x: int
    y: int
    width: int
    height: int
    offset: int

    def paint(self, canvas: Floats) -> None:
        canvas[self.y : self.y + self.height, self.x : self.x + self.width] = self.offset


class Mask:
    """A picture or video, white is better and black is worse; its last picture stays."""

    def __init__(self, path: str, strength: int) -> None:
        self._strength = strength
        self._pictures = self._read(path)
        self._latest: Floats | None = None

    def next_offsets(self, width: int, height: int) -> Floats:
        """qp offsets of each luma sample, float32 [height, width]."""
        with contextlib.suppress(StopIteration):
            share = next(self._pictures)
            if share.shape != (height, width):
                share = np.asarray(cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA))
            self._latest = (1 - 2 * share) * self._strength
        assert self._latest is not None, "a video has a frame"
        return self._latest

    @staticmethod
    def _read(path: str) -> Iterator[Floats]:
        with open_video(Path(path)) as video:
            black, white = (0, 255) if video.info.colour.range is ColourRange.FULL else (16, 235)
            for item in video:
                if isinstance(item, Frame):
                    level = (item.y.astype(np.float32) - black) / (white - black)
                    yield np.clip(level, 0.0, 1.0)


class QualityMapper:
    """Makes the quality map of each frame in turn. Raises MediaError where a mask cannot be read."""

    def __init__(self, config: EncoderConfig) -> None:
        self._aq = config.aq
        self._importance = Importance(config.importance) if config.importance else None
        self._texture_tiles = Tiles(TEXTURE_TILE, TEXTURE_INERTIA)
        self._importance_tiles = Tiles(IMPORTANCE_TILE, IMPORTANCE_INERTIA)
        boxes = [parse_box(text, -config.roi_strength) for text in config.roi]
        self._boxes = [box for box in boxes if box is not None]
        self._masks = [
            Mask(text, config.roi_strength)
            for text, box in zip(config.roi, boxes, strict=True)
            if box is None
        ]

    def next_map(self, frame: Frame, *, begins_gop: bool = False) -> Offsets:
        """The map of the next frame."""
        width, height = frame.width, frame.height
        canvas = np.zeros((height, width), np.float32)
        for mask in self._masks:
            canvas += mask.next_offsets(width, height)
        for box in self._boxes:
            box.paint(canvas)
        offsets = block_means(canvas, LUMA_BLOCK)
        if begins_gop:  # its map is coded without the one before
            self._texture_tiles.forget()
            self._importance_tiles.forget()
        if self._aq:
            offsets += self._texture_tiles.settle(texture_offsets(frame.y, self._aq))
        if self._importance is not None:
            offsets += self._importance_tiles.settle(self._importance.wanted_offsets(frame.y))
        return np.clip(np.rint(offsets), -QP_MAX, QP_MAX).astype(np.int16)


def parse_box(text: str, offset: int) -> Box | None:
    """`x,y,w,h[,offset]` as a box; None if the text is something else, and so a file's name."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(numbers) not in (4, 5) or min(numbers[:4]) < 0:
        return None
    x, y, width, height, offset = [*numbers, offset][:5]
    return Box(x, y, width, height, offset)


def texture_offsets(luma: Plane, strength: float) -> Floats:
    """Adaptive quantisation: finer where a block is smooth, coarser where texture hides errors; mean 0.

    strength: qp added where the variance doubles; x264's aq-mode 1 at its 1.0 is 2.1 here. Returns float32
    [rows, columns].
    """
    samples = luma.astype(np.float32)
    variance = block_means(samples * samples, LUMA_BLOCK) - block_means(samples, LUMA_BLOCK) ** 2
    energy = np.log2(np.maximum(variance, 1.0))
    return np.asarray((energy - energy.mean()) * strength, np.float32)


class Tiles:
    """Evens out maps over tiles, in coarse steps and with inertia.

    Maps of single blocks, new in every frame, took up to a third of the bytes.
    """

    def __init__(self, n_blocks: int, inertia: int) -> None:
        """n_blocks: on a side of a tile. inertia: how far an offset must be from the wanted one to change."""
        self._n_blocks, self._inertia = n_blocks, inertia
        self._latest: Floats | None = None

    def forget(self) -> None:
        """Let the next map owe nothing to those before it."""
        self._latest = None

    def settle(self, wanted: Floats) -> Floats:
        """The next frame's offsets for wanted ones, both float32 [rows, columns] of blocks."""
        rows, columns = wanted.shape
        wanted = block_means(wanted, self._n_blocks)
        tiles = np.rint(wanted / TILE_STEP) * TILE_STEP
        if self._latest is not None:
            tiles = np.where(np.abs(wanted - self._latest) < self._inertia, self._latest, tiles)
        self._latest = tiles
        spread = tiles.repeat(self._n_blocks, 0).repeat(self._n_blocks, 1)
        return np.asarray(spread[:rows, :columns], np.float32)
