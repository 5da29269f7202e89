"""When a frame need not be coded at all: where the one before it, shown once more, serves as well.

Screens, slides, cartoons and converted frame rates are full of frames that repeat the last one, and the
smallest P frame of the networks still takes some fifty bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc.frames import Frame
from nvc.metrics import squared_error
from nvc.models.picture_coder import FINEST_STEP, QP_PER_CHROMA_DOUBLING, QP_PER_DOUBLING
from nvc.models.quantiser import BITS_PER_SQUARED_STEP
from nvc.quality_map import Offsets

REPEAT_BITS, REPEAT_BITS_PER_PIXEL = 256.0, 0.01
"""The most that a repetition may add to the distortion, as bits: less than the smallest P frame takes."""


@dataclass(frozen=True)
class CodedFrame:
    """The last frame that was coded, not repeated. source and reconstruction: before and after."""

    source: Frame
    reconstruction: Frame
    qp: int
    offsets: Offsets | None

    def serves_as(self, frame: Frame, qp: int, offsets: Offsets | None) -> bool:
        """Whether to show it in place of the next frame is as good as coding that at this qp.

        Not where that would be finer than this one is; so what stands still is refined up to the finest qp of
        the cascade, and from then on repeated.
        """
        same_map = offsets is self.offsets or np.array_equal(_flat(offsets), _flat(self.offsets))
        if qp < self.qp or not same_map:
            return False
        loss_bits = self._cost_bits(frame, qp) - self._cost_bits(self.source, qp)
        return loss_bits <= min(REPEAT_BITS, REPEAT_BITS_PER_PIXEL * frame.y.size)

    def _cost_bits(self, source: Frame, qp: int) -> float:
        """Distortion of the reconstruction at the exchange rate that symbols are rounded with."""
        total = 0.0
        doublings = (QP_PER_DOUBLING, QP_PER_CHROMA_DOUBLING, QP_PER_CHROMA_DOUBLING)
        planes = zip(source.planes, self.reconstruction.planes, doublings, strict=True)
        for original, decoded, doubling in planes:
            step = FINEST_STEP * 2 ** (qp / doubling)
            total += BITS_PER_SQUARED_STEP * squared_error(original, decoded) / step**2
        return total


def _flat(offsets: Offsets | None) -> Offsets:
    return np.zeros(1, np.int16) if offsets is None or not offsets.any() else offsets
