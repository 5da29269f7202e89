"""Bounds that the format itself sets, and the checks that name field, value and range in a ValueError."""

from __future__ import annotations

from fractions import Fraction

MAX_LAYERS = 4
MAX_AUDIO_TRACKS = 16
MAX_METADATA_ENTRIES = 65535
MAX_QP = 63
MAX_SCALE_LOG2 = 1
MAX_SEEK_POINTS = 65536
MAX_TIME = 2**61
"""Largest |pts| and duration, in ticks: sums of a few of them still fit 64 bits."""

U16_MAX = 2**16 - 1
U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1


def check_range(name: str, value: int, lowest: int, highest: int) -> None:
    """Raise ValueError unless lowest <= value <= highest."""
    if not lowest <= value <= highest:
        raise ValueError(f"invalid {name} {value} (expected {lowest} to {highest})")


def check_rational(name: str, value: Fraction, lowest: int) -> None:
    if not (lowest <= value.numerator <= U32_MAX and value.denominator <= U32_MAX):
        raise ValueError(
            f"invalid {name} {value} (expected two 32-bit numbers, {'>= 0' if not lowest else '> 0'})"
        )


def check_ascii(name: str, text: str, shortest: int, longest: int) -> None:
    if not (shortest <= len(text) <= longest and text.isascii() and (text.isprintable())):
        raise ValueError(
            f"invalid {name} {text[:40]!a} (expected {shortest} to {longest} printable ASCII letters)"
        )
