"""Pictures as they travel through nvc: 8-bit YUV 4:2:0 planes, and padding at the border."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Samples = TypeVar("Samples", bound=np.generic)


def edged(
    plane: npt.NDArray[Samples], before: int, after: tuple[int, int] | None = None
) -> npt.NDArray[Samples]:
    """A plane [h, w] with its edges repeated: `before` rows above and columns on the left, and as many below
    and on the right, or `after` of them, rows and columns."""
    import cv2  # what only reads or writes frames need not wait for it

    below, right = after or (before, before)
    wide: Any = cv2.copyMakeBorder(cast(Any, plane), before, below, before, right, cv2.BORDER_REPLICATE)
    return cast("npt.NDArray[Samples]", wide)


def block_means(plane: npt.NDArray[np.float32], block: int) -> npt.NDArray[np.float32]:
    """Means of a plane's blocks of `block` samples on a side; its last row and column fill the last ones."""
    h, w = (-(-size // block) for size in plane.shape)
    plane = edged(plane, 0, (h * block - plane.shape[0], w * block - plane.shape[1]))
    return np.asarray(plane.reshape(h, block, w, block).mean((1, 3)), np.float32)


@dataclass(frozen=True)
class Frame:
    """One picture, 8-bit YUV 4:2:0.

    y is [height, width] uint8; u and v are [ceil(height/2), ceil(width/2)] uint8.
    pts and duration are in units of the stream's time base; duration 0 means unknown.
    """

    y: Plane
    u: Plane
    v: Plane
    pts: int = 0
    duration: int = 0

    def __post_init__(self) -> None:
        height, width = self.y.shape
        chroma = ((height + 1) // 2, (width + 1) // 2)
        if self.u.shape != chroma or self.v.shape != chroma:
            raise ValueError(f"chroma planes of {self.u.shape} and {self.v.shape}, expected {chroma}")

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        return self.y, self.u, self.v

    def checksum(self) -> int:
        """Low 16 bits of the CRC-32 of the Y, U and V planes, rows top to bottom without padding (FORMAT.md,
        reconstruction)."""
        crc = 0
        for plane in self.planes:
            crc = zlib.crc32(np.ascontiguousarray(plane).data, crc)
        return crc & 0xFFFF
