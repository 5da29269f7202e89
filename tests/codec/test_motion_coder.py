"""Motion coding: every vector is coded once, after those it is told by, and comes back as it was."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nvc.model_store import Model, load_model
from nvc.models.exact import exact_arithmetic
from nvc.models.motion_coder import (
    VECTOR_MAX,
    Expected,
    passes,
    rank_of_symbol,
    ranked,
    symbol_of_rank,
)
from nvc.models.quantiser import DecoderPort, EncoderPort, table_rows
from nvc.motion_search import PRICED_SYMBOL_MAX, bits_of_symbols

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(st.integers(1, 20), st.integers(1, 20))
def test_passes_bring_each_vector_once_and_after_its_neighbours(rows: int, columns: int) -> None:
    known = torch.zeros(rows * columns, dtype=torch.bool)
    for index, (here, around) in enumerate(passes(rows, columns, torch.device("cpu"))):
        assert not known[here].any()
        assert not index or known[around].all()
        known[here] = True
    assert known.all()


def code(model: Model, vectors: Tensor, previous: Tensor, qp: int) -> tuple[Tensor, Tensor, int]:
    """What encoder and decoder have of vectors, and the bytes they took."""
    port = EncoderPort()
    place = torch.full((1, 1, 1), qp)
    with exact_arithmetic():
        encoded = model.codec.motion(vectors, previous, place, port)
        payload = model.coder.encode(port.groups)
        decoder = model.coder.decoder(payload)
        decoded = model.codec.motion(None, previous, place, DecoderPort(decoder))
    return encoded, decoded, len(payload)


def field(rows: int, columns: int, seed: int, reach: float) -> Tensor:
    """Some that all move alike, some on their own."""
    generator = torch.Generator().manual_seed(seed)
    own = (torch.randn(1, rows, columns, 2, generator=generator) * reach).round()
    alike = torch.rand(1, rows, columns, 1, generator=generator) < 0.5
    return torch.where(alike, own[:, :1, :1], own).clamp(-VECTOR_MAX, VECTOR_MAX)


@few
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 99),
    st.sampled_from([0.0, 1.0, 30.0, 9e3]),
    st.integers(0, 63),
)
def test_vectors_come_back(
    speaking_model: Model, rows: int, columns: int, seed: int, reach: float, qp: int
) -> None:
    vectors, previous = field(rows, columns, seed, reach), field(rows, columns, seed + 100, reach)
    encoded, decoded, _ = code(speaking_model, vectors, previous, qp)
    assert torch.equal(encoded, vectors)
    assert torch.equal(decoded, vectors)


@pytest.mark.parametrize("qp", [10, 40])
def test_a_field_of_few_motions_is_cheap(qp: int) -> None:
    model = load_model("tiny")
    still = torch.zeros(1, 24, 32, 2)
    pan = torch.full((1, 24, 32, 2), 13.0)
    parts = pan.clone()
    parts[:, 8:16, 10:20] = torch.tensor([-6.0, 22.0])
    wild = field(24, 32, 7, 20.0)
    costs = [code(model, vectors, still, qp)[2] for vectors in (still, pan, parts, wild)]
    assert costs[0] < 24
    assert costs[0] < costs[1] < costs[2] < costs[3] / 5


def test_candidates_come_by_their_distance_and_once() -> None:
    vectors = torch.tensor([[[[9.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]]])
    sorted_vectors, rank = ranked(vectors)
    assert sorted_vectors[0, 0, :, 0].tolist() == [1, 1, 0, 0, 9]
    assert rank[0, 0].tolist() == [0, -1, 1, -1, 2]


def test_ranks_come_back_from_their_symbols() -> None:
    ranks = torch.arange(-1, 5)
    symbols = symbol_of_rank(ranks)
    assert torch.equal(rank_of_symbol(symbols), ranks)
    assert len(set(symbols.tolist())) == len(ranks)
    assert rank_of_symbol(torch.tensor([-99.0, 99.0])).tolist() == [3, 4]


def test_expected_bits_are_about_those_of_the_payload() -> None:
    model = load_model("tiny")
    spent = 0.0

    def note(here: Tensor, own: Tensor, expected: Expected) -> Tensor:
        nonlocal spent
        rank = expected.rank_of(own)
        bits = torch.from_numpy(bits_of_symbols())
        row, off = table_rows(expected.scale).long(), (own - expected.mean).abs().long()
        of_choice = bits[row[..., 0], symbol_of_rank(rank[..., 0]).abs().long()]
        of_difference = bits[row[..., 1:], off.clamp(max=PRICED_SYMBOL_MAX)].sum(-1)
        spent += float((of_choice + torch.where(rank[..., 0] < 0, of_difference, 0.0)).sum())
        return own

    vectors, still = field(24, 32, 7, 20.0), torch.zeros(1, 24, 32, 2)
    port = EncoderPort()
    with torch.no_grad(), exact_arithmetic():
        model.codec.motion(vectors, still, torch.full((1, 1, 1), 20), port, note)
    assert spent / 8 == pytest.approx(len(model.coder.encode(port.groups)), rel=0.1)


def test_a_decision_has_the_last_word(speaking_model: Model) -> None:
    wild, still = field(9, 7, 3, 20.0), torch.zeros(1, 9, 7, 2)
    with torch.no_grad(), exact_arithmetic():
        decided = speaking_model.codec.motion(
            wild, still, torch.full((1, 1, 1), 30), EncoderPort(), lambda here, own, expected: own * 0 + 5
        )
    assert (decided == 5).all()
