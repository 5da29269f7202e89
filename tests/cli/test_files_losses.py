"""What stands in for lost frames, and when."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bitstream_spec import CorruptStream, StreamHeader
from nvc.files.decoding import Losses
from nvc.files.summary import Loss
from nvc.frames import Frame

HEADER = StreamHeader(
    model_id=bytes(8),
    model_name="none",
    width=2,
    height=2,
    time_base=Fraction(1, 100),
    frame_rate=Fraction(25),
)


def frame(grey: int, pts: int, duration: int = 4) -> Frame:
    y, c = np.full((2, 2), grey, np.uint8), np.full((1, 1), 128, np.uint8)
    return Frame(y, c, c, pts, duration)


def bridged(losses: Losses, index: int, after: Frame | None) -> list[tuple[int, int, int]]:
    """Grey, pts and duration of what fills the gap."""
    return [(int(f.y[0, 0]), f.pts, f.duration) for f in losses.bridge(index, after)]


def test_nothing_is_lost() -> None:
    losses = Losses(HEADER, 0)
    assert bridged(losses, 0, frame(1, 0)) == []
    assert bridged(losses, 1, frame(2, 4)) == []
    assert bridged(losses, 2, None) == []
    assert (losses.n_frames, losses.found) == (0, [])


def test_between_two_frames_the_first_is_repeated_evenly() -> None:
    losses = Losses(HEADER, 0)
    bridged(losses, 0, frame(1, 0))
    losses.note(CorruptStream("broken"))
    losses.note(CorruptStream("and what follows from it"))
    assert bridged(losses, 3, frame(2, 13)) == [(1, 4, 4), (1, 8, 5)]
    assert losses.found == [Loss(1, 2, 0.04, "broken")]


def test_before_the_first_frame_it_is_repeated_itself() -> None:
    losses = Losses(HEADER, 0)
    assert bridged(losses, 2, frame(7, 20)) == [(7, 12, 4), (7, 16, 4)]
    assert losses.found[0].start_s == 0.12


def test_at_the_end_the_last_frame_goes_on() -> None:
    losses = Losses(HEADER, 0)
    bridged(losses, 0, frame(1, 0, 0))  # without a duration, the frame rate tells
    assert bridged(losses, 3, None) == [(1, 4, 4), (1, 8, 4)]


def test_with_a_start_the_first_frame_that_is_met_is_the_first() -> None:
    losses = Losses(HEADER, None)
    losses.expect(8)
    losses.note(CorruptStream("broken"))
    assert bridged(losses, 10, frame(1, 8)) == [(1, 0, 4), (1, 4, 4)]
    losses = Losses(HEADER, None)
    assert bridged(losses, 10, frame(1, 8)) == []


def test_there_is_not_always_time_for_all() -> None:
    losses = Losses(HEADER, 0)
    bridged(losses, 0, frame(1, 0))
    assert bridged(losses, 9, frame(2, 3)) == [(1, 1, 1), (1, 2, 1)]
    assert losses.n_frames == 8


def test_any_number_may_be_claimed() -> None:
    losses = Losses(HEADER, 0)
    bridged(losses, 0, frame(1, 0))
    assert bridged(losses, 2**32 - 1, frame(2, 2**60)) == []
    assert losses.n_frames == 2**32 - 2


def test_a_fault_without_a_frame_is_told_too() -> None:
    losses = Losses(HEADER, 0)
    bridged(losses, 0, frame(1, 0))
    losses.note(CorruptStream("sound is damaged"))
    assert bridged(losses, 1, frame(2, 4)) == []
    assert losses.found == [Loss(1, 0, 0.04, "sound is damaged")]


def test_nothing_at_all_is_left() -> None:
    losses = Losses(HEADER, 0)
    losses.note(CorruptStream("broken"))
    assert bridged(losses, 5, None) == []
    assert losses.found == [Loss(0, 5, None, "broken")]
    with pytest.raises(CorruptStream, match="broken"):
        raise losses.first_error or AssertionError
