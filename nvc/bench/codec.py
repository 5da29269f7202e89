"""What every codec of a benchmark can do: code a clip at one quality and give its pictures back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nvc.bench.clip import Clip
from nvc.bench.stopwatch import Stopwatch
from nvc.frames import Frame

LOW_DELAY, DEFAULT, INTRA = "ld", "default", "intra"
PROTOCOLS = (LOW_DELAY, DEFAULT, INTRA)
"""ld: in display order, no look-ahead, no B frames. default: as the encoder likes it. intra: frames alone."""


@dataclass
class Coded:
    """A clip in coded form.

    frame_bytes: sizes in display order, empty where unknown. `frames` decodes, once; the figures in `decode`
    hold when it has come to its end.
    """

    size_bytes: int
    frame_bytes: list[int]
    frames: Iterator[Frame]
    encode: Stopwatch
    decode: Stopwatch


class BenchCodec(ABC):
    """A codec with all its settings but the quality. Instances go to other processes, so they pickle."""

    name: str
    """Short name of the codec and its mode, the same wherever the same thing was done."""
    protocol: str
    qps: tuple[int, ...]
    """Quality settings to measure, on this codec's own scale."""
    parameters: int | None = None

    @property
    @abstractmethod
    def version(self) -> str:
        """Return what tells this program from its other versions; rows of another version are not reused."""

    @abstractmethod
    def settings(self, qp: int, keyint: int) -> str:
        """Return the settings as a command line of the public tool."""

    def kmac_per_pixel(self, n_frames: int, keyint: int) -> float | None:
        """Return the decoder's kMAC per luma pixel, mean over the frames; for networks only."""
        return None

    @abstractmethod
    def code(self, clip: Clip, qp: int, keyint: int, folder: Path) -> Coded:
        """Encode the clip; files may be left in `folder`, which is removed when the row is done.

        keyint: frames from one keyframe to the next; -1 for one at the start only.
        """
