"""Finds GOP units among bytes of which nothing else is known: where reading goes on behind damage."""

from __future__ import annotations

import re
from typing import Final

from bitstream_spec import schema, sections
from bitstream_spec.errors import StreamError
from bitstream_spec.packets import GopHeader

_MARKERS: Final = {
    sections.build_unit_header(schema.GOP_UNIT, length): length
    for length in range(schema.MIN_GOP_LENGTH, schema.MAX_GOP_LENGTH + 1)
}
"""Any header of a GOP unit, and the bytes of its body."""
_MARKER: Final = re.compile(b"|".join(map(re.escape, _MARKERS)), re.DOTALL)
MAX_UNIT_BYTES: Final = max(len(marker) + length for marker, length in _MARKERS.items())


def find_gop(data: bytes, after: int) -> tuple[int, GopHeader] | None:
    """Place and content of the first whole GOP unit in `data` that begins behind frame `after`.

    Its CRC-32 is right: that other bytes pass for one is as good as impossible.
    """
    place = -1
    while found := _MARKER.search(data, place + 1):
        place = found.start()
        end = found.end() + _MARKERS[found[0]]
        if end > len(data):
            continue
        try:
            gop = sections.parse_gop(data[found.end() : end], "GOP")
        except StreamError:
            continue
        if gop.first_frame_index > after:
            return place, gop
    return None
