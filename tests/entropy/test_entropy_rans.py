"""The entropy coder: symbols come back, sizes are near the bound, bad payloads end in our errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitstream_spec import CorruptStream
from nvc import kernels
from nvc.entropy.rans import RansCoder, first_state
from nvc.entropy.tables import PRECISION, CdfTables, laplace_tables
from nvc.errors import ModelError
from nvc.models.quantiser import N_SCALES, SYMBOL_MAX, scale_table

TABLES = laplace_tables(scale_table())
CODER = RansCoder(TABLES)
symbol_lists = st.lists(
    st.tuples(st.integers(-SYMBOL_MAX, SYMBOL_MAX) | st.integers(-3, 3), st.integers(0, N_SCALES - 1)),
    min_size=1,
    max_size=200,
)


def decode(payload: bytes, rows: torch.Tensor) -> torch.Tensor:
    decoder = CODER.decoder(payload)
    decoder.expect(len(rows))
    return decoder.pop(rows)


@settings(deadline=None, max_examples=60)
@given(symbol_lists)
def test_symbols_come_back(pairs: list[tuple[int, int]]) -> None:
    symbols = torch.tensor([s for s, _ in pairs], dtype=torch.int32)
    rows = torch.tensor([r for _, r in pairs], dtype=torch.int32)
    assert torch.equal(decode(CODER.encode([(symbols, rows)]), rows), symbols)


@pytest.mark.parametrize("symbol", [0, 1, -1, 5, -700, SYMBOL_MAX, -SYMBOL_MAX])
@pytest.mark.parametrize("row", [0, 1, 31, 63])
def test_a_symbol_far_outside_its_row_escapes(symbol: int, row: int) -> None:
    symbols, rows = torch.tensor([symbol], dtype=torch.int32), torch.tensor([row], dtype=torch.int32)
    assert decode(CODER.encode([(symbols, rows)]), rows).item() == symbol


def test_groups_are_decoded_one_after_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = [
        (torch.randint(-9, 10, (n,), generator=generator).int(), torch.full((n,), 20 + n % 7).int())
        for n in (5, 0, 17, 1)
    ]
    decoder = CODER.decoder(CODER.encode(groups))
    decoder.expect(23)
    for symbols, rows in groups:
        assert torch.equal(decoder.pop(rows), symbols)


def test_each_checksum_has_a_state_of_its_own() -> None:
    assert len({first_state(checksum) for checksum in range(1 << 16)}) == 1 << 16


@pytest.mark.parametrize("by_kernel", [True, False])
@settings(deadline=None, max_examples=40)
@given(symbol_lists, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_a_payload_fits_its_checksum_alone(
    by_kernel: bool, pairs: list[tuple[int, int]], checksum: int, other: int
) -> None:
    symbols = torch.tensor([s for s, _ in pairs], dtype=torch.int32)
    rows = torch.tensor([r for _, r in pairs], dtype=torch.int32)
    with kernels.switched(by_kernel):
        payload = CODER.encode([(symbols, rows)], checksum)
        for asked in (checksum, other):
            decoder = CODER.decoder(payload)
            decoder.expect(len(rows))
            assert torch.equal(decoder.pop(rows), symbols)
            assert decoder.fits(asked) is (asked == checksum)


@settings(deadline=None, max_examples=40)
@given(symbol_lists, st.integers(0, 0xFFFF))
def test_a_checksum_takes_no_space(pairs: list[tuple[int, int]], checksum: int) -> None:
    symbols = torch.tensor([s for s, _ in pairs], dtype=torch.int32)
    rows = torch.tensor([r for _, r in pairs], dtype=torch.int32)
    sizes = [len(CODER.encode([(symbols, rows)], own)) for own in (0, checksum)]
    assert abs(sizes[1] - sizes[0]) <= 1


def test_no_symbols_take_a_state() -> None:
    nothing = torch.zeros(0, dtype=torch.int32)
    payload = CODER.encode([(nothing, nothing)])
    assert len(payload) == 5
    assert len(CODER.decoder(payload).pop(nothing)) == 0
    assert len(CODER.decoder(b"").pop(nothing)) == 0


def test_size_is_near_the_entropy_of_the_tables() -> None:
    rng = np.random.default_rng(3)
    row = 30
    scale = scale_table()[row]
    symbols = np.round(rng.laplace(0, scale / math.sqrt(2), 20000)).astype(np.int32)
    cdf = np.array(TABLES.cdfs()[row])
    half = len(cdf) // 2 - 1
    inside = np.abs(symbols) <= half
    p = np.diff(cdf)[symbols[inside] + half] / (1 << PRECISION)
    bound_bytes = -np.log2(p).sum() / 8
    payload = CODER.encode([(torch.from_numpy(symbols), torch.full((len(symbols),), row).int())])
    assert bound_bytes < len(payload) < bound_bytes * 1.02 + 16


def test_asking_for_more_than_was_promised_is_refused() -> None:
    rows = torch.full((4,), 12).int()
    decoder = CODER.decoder(CODER.encode([(rows * 0, rows)]))
    decoder.expect(3)
    with pytest.raises(CorruptStream, match="fewer symbols"):
        decoder.pop(rows)


def test_an_absent_payload_is_refused() -> None:
    with pytest.raises(CorruptStream, match="fewer symbols"):
        decode(b"", torch.tensor([5]).int())


@settings(deadline=None, max_examples=80)
@given(st.binary(min_size=1, max_size=64), st.integers(1, 2000))
def test_any_bytes_decode_or_are_refused(payload: bytes, n: int) -> None:
    try:
        symbols = decode(payload, torch.full((n,), 40).int())
    except CorruptStream:
        return
    assert len(symbols) == n


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff" * 4, "not one of the entropy coder"),
        (bytes(5) + b"\x80" * 8, "not one of the entropy coder"),
        (b"\x01" * 16 + b"\xff" * 32, "not one of the entropy coder"),
        (b"\x01" * 2000, "longer than its frame could need"),
    ],
    ids=["short", "state", "endless escape", "long"],
)
def test_a_payload_that_no_encoder_writes_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(CorruptStream, match=reason):
        decode(payload, torch.full((9,), 40).int())


def test_the_longest_payload_is_not_refused() -> None:
    """Every symbol escapes as far as it can, from the row that expects it least."""
    symbols = torch.full((500,), SYMBOL_MAX).int()
    rows = torch.ones(500).int()
    payload = CODER.encode([(symbols, rows)])
    assert len(payload) > 2000
    assert torch.equal(decode(payload, rows), symbols)


@pytest.mark.parametrize(
    ("frequencies", "sizes"),
    [
        ([60000, 10], []),
        ([60000, 10], [3]),
        ([0, 10], [2]),
        ([60000, 4000], [2]),
        ([70000], [1]),
        ([-5, 10], [2]),
    ],
)
def test_impossible_tables_are_refused(frequencies: list[int], sizes: list[int]) -> None:
    with pytest.raises(ModelError):
        CdfTables(np.array(frequencies, np.int32), np.array(sizes, np.int32))
