"""How thriftily P frames are rounded: by what those before them took beside their keyframe."""

from __future__ import annotations

import math
from collections import deque

from nvc.models.quantiser import THRIFT, Bank

N_RECENT = 8  # P frames that count
N_RECENT_MIN = 2
# Where P frames take much beside their keyframe, what they add lasts; where they take little, some of it is
# noise that the next frame does not have. Thrift at this share of the keyframe's bytes, and what it loses
# with every doubling. (Found on held-out clips; benchmarks/training has others, where it gains less.)
USUAL_SHARE, USUAL_THRIFT, LESS_BY_DOUBLING = 0.08, 1.05, 0.33
LEAST, MOST = 0.55, 1.2


class GopThrift:
    """Follows the sizes of coded frames; begins anew with each keyframe."""

    def __init__(self) -> None:
        self._keyframe_bytes = 1
        self._recent: deque[int] = deque(maxlen=N_RECENT)

    def note(self, place: int, payload_bytes: int) -> None:
        """A frame was coded; place: in its GOP, 0 for the keyframe. One that repeats the last is left out."""
        if not place:
            self._keyframe_bytes = max(1, payload_bytes)
            self._recent.clear()
        elif payload_bytes:
            self._recent.append(payload_bytes)

    def of_next_frame(self) -> float:
        """How the next P frame is to be rounded, see `thrifty_round`."""
        if len(self._recent) < N_RECENT_MIN:
            return THRIFT[Bank.INTER]
        share = sum(self._recent) / len(self._recent) / self._keyframe_bytes
        thrift = USUAL_THRIFT - LESS_BY_DOUBLING * math.log2(share / USUAL_SHARE)
        return min(MOST, max(LEAST, thrift))
