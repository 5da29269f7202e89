"""Golden pictures: what superblocks choose comes back, and serves where something is uncovered again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvc import kernels
from nvc.config import EncoderConfig
from nvc.encoder import EncodedFrame, Encoder
from nvc.frames import Frame
from nvc.media.synthetic import natural_clip
from nvc.model_store import load_model
from nvc.models.golden import (
    SUPERBLOCK,
    SYMBOLS_PER_SUPERBLOCK,
    Choice,
    Golden,
    GoldenUse,
    Kind,
    code_use,
    goldens_after,
    middles,
    of_blocks,
)
from nvc.models.quantiser import DecoderPort, EncoderPort
from nvc.models.warp import GRID, VECTOR_UNIT, warp_picture

few = settings(deadline=None, max_examples=25)


def field(rows: int, columns: int, seed: int, reach: int = 60) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-reach, reach + 1, (1, rows, columns, 2), generator=generator).float()


def golden_of(rows: int, columns: int, seed: int) -> Golden:
    picture = tuple(torch.zeros(1, n, n) for n in (8, 4, 4))
    vectors = field(rows, columns, seed)
    shape = middles(vectors).shape[:-1]
    kinds = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(seed))
    return Golden((picture[0], picture[1], picture[2]), kinds, vectors)


@few
@given(
    st.integers(1, 13),
    st.integers(1, 13),
    st.integers(0, 2**32),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
)
def test_a_use_comes_back(
    rows: int, columns: int, seed: int, n_golden: int, keep: bool, by_kernel: bool
) -> None:
    coder = load_model("tiny").coder
    goldens = [golden_of(rows, columns, seed + i) for i in range(n_golden)]
    vectors = field(rows, columns, seed + 9)
    expected = [middles(golden.chained(vectors)) for golden in goldens]
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for place in expected:
        kinds = torch.randint(0, 3, place.shape[:-1], generator=generator)
        is_new = torch.rand(kinds.shape, generator=generator)[..., None] < 0.5
        chosen.append(Choice(kinds, torch.where(is_new, place + 3, place)))
    with kernels.switched(by_kernel):
        port = EncoderPort()
        coded = code_use(GoldenUse(tuple(chosen), keep), goldens, vectors, port)
        symbols = coder.decoder(coder.encode(port.groups))
        symbols.expect(1 + SYMBOLS_PER_SUPERBLOCK * middles(vectors)[..., 0].numel())
        decoded = code_use(None, goldens, vectors, DecoderPort(symbols))
    assert decoded.keep == coded.keep == keep
    assert len(decoded.choices) == n_golden
    for own, there, back, place in zip(chosen, coded.choices, decoded.choices, expected, strict=True):
        used = own.kinds > 0
        assert torch.equal(there.kinds, own.kinds)
        assert torch.equal(there.vectors[used], own.vectors[used])
        assert torch.equal(there.vectors[~used], place[~used])
        assert torch.equal(back.kinds, there.kinds)
        assert torch.equal(back.vectors, there.vectors)


def test_the_keyframe_stays_and_kept_pictures_take_turns() -> None:
    pictures = [tuple(torch.full((1, n, n), float(i)) for n in (8, 4, 4)) for i in range(4)]
    vectors = [field(5, 6, seed) for seed in range(3)]
    nothing = Choice.of_none(middles(vectors[0]))
    taken = Choice(torch.full_like(nothing.kinds, Kind.COMPOUND), nothing.vectors)
    first = goldens_after((), (), vectors[0], pictures[0])
    assert [golden.picture for golden in first] == [pictures[0]]
    assert torch.equal(first[0].field, vectors[0])
    assert not first[0].kinds.any()
    second = goldens_after(first, (nothing,), vectors[1], pictures[1])
    assert [golden.picture for golden in second] == [pictures[0], pictures[1]]
    assert torch.equal(second[0].field, first[0].chained(vectors[1]))
    third = goldens_after(second, (nothing, taken), vectors[2], pictures[2])
    assert [golden.picture for golden in third] == [pictures[0], pictures[2]]
    assert torch.equal(third[1].field, vectors[2])
    assert torch.equal(third[1].kinds, taken.kinds)  # where the one before was of use
    last = goldens_after(third, (nothing, taken), vectors[0], None)
    assert [golden.picture for golden in last] == [pictures[0], pictures[2]]


def test_a_field_goes_on_from_where_vectors_lead() -> None:
    picture = torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)
    before = torch.zeros(1, 4, 6, 2)
    before[0, 1, 3] = torch.tensor([7.0, -5.0])
    golden = Golden(picture, torch.zeros(1, 1, 2, dtype=torch.int64), before)
    vectors = torch.zeros(1, 4, 6, 2)
    vectors[0, 2, 1] = torch.tensor([2.0, -1.0]) * GRID * VECTOR_UNIT  # two blocks right, one up
    chained = golden.chained(vectors)
    assert chained[0, 2, 1].tolist() == [2 * 32 + 7, -32 - 5]
    assert chained[0, 1, 3].tolist() == [7, -5]
    assert not chained[0, 0].any()
    after = golden.after(
        Choice(torch.tensor([[[2, 0]]]), torch.tensor([[[[9.0, 9.0], [0.0, 0.0]]]])), vectors
    )
    assert (after.field[0, :, :SUPERBLOCK] == 9).all()
    assert torch.equal(after.field[0, :, SUPERBLOCK:], chained[0, :, SUPERBLOCK:])


@few
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_kernels_mix_blocks_as_torch_does(rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h, w = rows * 16, columns * 16

    def picture() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        y, u, v = (
            torch.randint(-128, 128, (1, *size), generator=generator).float()
            for size in ((h, w), (h // 2, w // 2), (h // 2, w // 2))
        )
        return y, u, v

    last, goldens = picture(), [picture(), picture()]
    vectors = field(h // 8, w // 8, seed, 200)
    choices = [
        Choice(
            torch.randint(0, 3, (1, h // 8, w // 8), generator=generator),
            field(h // 8, w // 8, seed + i, 200),
        )
        for i in (1, 2)
    ]
    mixed = []
    for on in (False, True):
        with kernels.switched(on), torch.no_grad():
            mixed.append(warp_picture(last, vectors, list(zip(goldens, choices, strict=True))))
    assert all(torch.equal(a, b) for a, b in zip(*mixed, strict=True))
    with torch.no_grad():
        alone = warp_picture(goldens[1], choices[1].vectors)
        every = Choice(torch.full_like(choices[1].kinds, Kind.GOLDEN), choices[1].vectors)
        only = warp_picture(last, vectors, [(goldens[0], choices[0]), (goldens[1], every)])
    assert all(torch.equal(a, b) for a, b in zip(alone, only, strict=True))


def covered_and_uncovered() -> list[Frame]:
    """Two pictures that have nothing to do with each other: the first, the second twice, the first again."""
    first = natural_clip(128, 96, 1, seed=3)[0]
    second = natural_clip(128, 96, 1, seed=4)[0]
    return [replace(f, pts=i) for i, f in enumerate((first, second, second, first))]


def encode(clip: list[Frame], model: str, layers: int = 1) -> tuple[Encoder, list[EncodedFrame]]:
    config = EncoderConfig(model=model, qp=30, keyint=-1, scene_cut=False, threads=1, layers=layers)
    encoder = Encoder(config, clip[0].width, clip[0].height)
    return encoder, [encoder.encode(frame) for frame in clip]


@pytest.mark.skipif(not kernels.INSTALLED, reason="without numba there is no search")
@pytest.mark.parametrize("layers", [1, 2])
def test_what_is_uncovered_comes_from_the_golden_picture(speaking_weights: Path, layers: int) -> None:
    clip = covered_and_uncovered()
    encoder, coded = encode(clip, str(speaking_weights), layers)
    state = encoder._coder.state
    assert state is not None
    (golden,) = state.references[0].goldens
    assert (golden.kinds == Kind.GOLDEN).float().mean() > 0.5
    assert coded[3].result.size_bytes < 0.5 * coded[1].result.size_bytes
    check_decoding(encoder, coded)


@pytest.mark.skipif(not kernels.INSTALLED, reason="without numba there is no search")
@pytest.mark.parametrize("layers", [1, 2])
def test_what_is_uncovered_comes_from_a_kept_picture(speaking_weights: Path, layers: int) -> None:
    """Another picture than the keyframe up to the place that is kept, a third one twice, then it again."""
    shown = [natural_clip(128, 96, 1, seed=seed)[0] for seed in (3, 4, 5)]
    clip = [replace(shown[i], pts=pts) for pts, i in enumerate((0, 1, 1, 1, 1, 2, 2, 1))]
    encoder, coded = encode(clip, str(speaking_weights), layers)
    state = encoder._coder.state
    assert state is not None
    keyframe, kept = state.references[0].goldens
    assert not keyframe.kinds.any()
    assert (kept.kinds == Kind.GOLDEN).float().mean() > 0.5
    assert coded[7].result.size_bytes < 0.5 * coded[5].result.size_bytes
    check_decoding(encoder, coded)


def check_decoding(encoder: Encoder, coded: list[EncodedFrame]) -> None:
    again = Encoder(encoder.config, 128, 96)._coder
    for kept in coded:
        for frame, reconstruction in zip(again.decode(kept.packet), kept.reconstructions, strict=True):
            for a, b in zip(frame.planes, reconstruction.planes, strict=True):
                np.testing.assert_array_equal(a, b)


def test_of_blocks_and_middles_agree() -> None:
    vectors = field(7, 10, 1)
    assert middles(vectors).shape == (1, 2, 3, 2)
    assert torch.equal(middles(of_blocks(middles(vectors), 7, 10)), middles(vectors))
