"""How thriftily P frames are rounded follows what they take beside their keyframe."""

import pytest
import torch

from nvc.models.quantiser import THRIFT, Bank, EncoderPort, thrifty_round
from nvc.rate.thrift import LEAST, MOST, GopThrift


def thrift_after(keyframe_bytes: int, *p_frame_bytes: int) -> float:
    thrift = GopThrift()
    thrift.note(0, keyframe_bytes)
    for place, n_bytes in enumerate(p_frame_bytes, 1):
        thrift.note(place, n_bytes)
    return thrift.of_next_frame()


def test_a_gop_begins_as_usual() -> None:
    usual = THRIFT[Bank.INTER]
    assert GopThrift().of_next_frame() == usual
    assert thrift_after(1000) == thrift_after(1000, 500) == usual


def test_small_p_frames_are_rounded_thriftily_and_large_ones_are_not() -> None:
    thrifts = [thrift_after(10_000, share, share) for share in (1, 300, 800, 2000, 9000)]
    assert thrifts == sorted(thrifts, reverse=True)
    assert thrifts[0] == MOST
    assert thrifts[-1] == LEAST


def test_repeated_frames_do_not_count_and_a_keyframe_begins_anew() -> None:
    thrift = GopThrift()
    for place, n_bytes in enumerate((1000, 900, 900, 0, 0, 0)):
        thrift.note(place, n_bytes)
    assert thrift.of_next_frame() == LEAST
    thrift.note(0, 0)
    assert thrift.of_next_frame() == THRIFT[Bank.INTER]


def test_no_frame_is_too_long_ago_or_too_strange() -> None:
    assert thrift_after(1000, *[900] * 8, *[10] * 8) == thrift_after(1000, 10, 10) == MOST


@pytest.mark.parametrize("thrift", [0.0, 0.5, 1.2])
def test_a_port_rounds_p_frames_as_told(thrift: float) -> None:
    u = torch.linspace(-3, 3, 121)
    rows = torch.full((121,), 12, dtype=torch.int32)
    port = EncoderPort(thrift)
    decoded = port.code_selected(u, torch.zeros(121), rows, Bank.INTER)
    assert torch.equal(decoded, thrifty_round(u, rows, thrift))
    intra = port.code_selected(u, torch.zeros(121), rows, Bank.INTRA)
    assert torch.equal(intra, thrifty_round(u, rows, THRIFT[Bank.INTRA]))
