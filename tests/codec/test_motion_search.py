"""Motion search: vectors that predict, also where the flow is lost, and cost no more than they give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.frames import Frame
from nvc.kernels.search import PAD, REACH
from nvc.media.synthetic import natural_clip
from nvc.models.golden import Choice, Kind
from nvc.models.motion_coder import Expected, ranked, symbol_of_rank
from nvc.models.warp import GRID, VECTOR_UNIT, warp_plane
from nvc.motion_search import (
    KNEE_BITS,
    SHARE_OF_COMPOUND,
    SHARE_OF_GOLDEN,
    SHARE_OF_LATER_NEIGHBOUR,
    FoundMotion,
    LastWord,
    MotionSearch,
    bits_of_differences,
    bits_of_symbols,
)

Plane = npt.NDArray[np.uint8]


class LostFlow:
    """In place of a flow: right but for a third of the picture."""

    def __init__(self, motion: tuple[float, float]) -> None:
        self.motion = motion

    def __call__(self, before: Plane, current: Plane) -> npt.NDArray[np.float32]:
        flow = np.empty((current.shape[0] // GRID, current.shape[1] // GRID, 2), np.float32)
        flow[:] = self.motion
        flow[:, : flow.shape[1] // 3] += 9
        return flow


def texture() -> Plane:
    return natural_clip(160, 96, 1, seed=4)[0].y


def found(search: MotionSearch, before: Plane, current: Plane, qp: float = 20) -> npt.NDArray[np.float32]:
    """Vectors in luma pixels."""
    proposed = search.propose(before, current)
    return search.search(before, current, proposed, np.zeros_like(proposed), qp).vectors / VECTOR_UNIT


def predicted(before: Plane, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    plane = torch.from_numpy(before.astype(np.float32))[None]
    whole = torch.from_numpy(vectors * VECTOR_UNIT)[None]
    return warp_plane(plane, whole, GRID, VECTOR_UNIT)[0].numpy()


@pytest.mark.parametrize("motion", [(0, 0), (3, -2)])
def test_search_finds_a_moved_picture(motion: tuple[int, int]) -> None:
    x, y = motion
    before = texture()
    current = np.roll(before, (-y, -x), (0, 1))  # what is at (i, j) was at (i + x, j + y)
    vectors = found(MotionSearch(), before, current)
    assert (vectors[1:-1, 1:-1] == motion).all()


@pytest.mark.parametrize("motion", [(0, 0), (5, -4)])
def test_blocks_whose_flow_is_lost_follow_the_others_or_stand_still(motion: tuple[int, int]) -> None:
    x, y = motion
    before = texture()
    current = np.roll(before, (-y, -x), (0, 1))
    search = MotionSearch()
    search.propose = LostFlow(motion)
    assert (found(search, before, current)[2:-2, 2:-2] == motion).all()


def test_a_thing_that_moves_past_others_keeps_its_edges() -> None:
    before = texture()
    current = before.copy()
    current[32:64, 64:112] = np.roll(before, (0, 6), (0, 1))[32:64, 64:112]
    vectors = found(MotionSearch(), before, current)
    assert (vectors[4:8, 8:14] == [-6, 0]).all()
    outside = np.ones(vectors.shape[:2], bool)
    outside[4:8, 8:14] = False
    assert (vectors[outside] == 0).all()


@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
def test_quarters_of_a_pixel(preset: str) -> None:
    before = texture()
    moved = np.full((12, 20, 2), 0.0, np.float32)
    moved[..., 0], moved[..., 1] = 1.25, -0.5
    current = np.clip(np.rint(predicted(before, moved)), 0, 255).astype(np.uint8)
    vectors = found(MotionSearch(preset), before, current, qp=4)
    assert (vectors[1:-1, 1:-1] == [1.25, -0.5]).mean() > 0.98


def test_vectors_are_fewer_where_bits_are_dear() -> None:
    rng = np.random.default_rng(1)
    before = texture()
    noisy = np.clip(before + rng.normal(0, 6, before.shape), 0, 255).astype(np.uint8)
    n_moved = [np.count_nonzero(found(MotionSearch(), before, noisy, qp)) for qp in (0, 20, 40)]
    assert n_moved[0] > n_moved[1] >= n_moved[2] == 0


def test_small_pictures_have_no_motion() -> None:
    plane = np.zeros((16, 16), np.uint8)
    assert not found(MotionSearch(), plane, plane).any()


def decided(
    found: FoundMotion, offered: list[tuple[float, float]], bits: list[float]
) -> npt.NDArray[np.float32]:
    """What the last word makes of vectors, all at once, that have these candidates at these prices, and all
    others at 20 bits."""
    rows, columns, _ = found.vectors.shape
    n = rows * columns
    own = torch.from_numpy(found.vectors).view(1, n, 2)
    candidates = torch.tensor(offered).expand(1, n, -1, -1)
    ranks, scale = torch.arange(len(offered)).expand(1, n, -1), torch.tensor([1.0, 2.0, 2.0])
    expected = Expected(candidates, ranks, scale.expand(1, n, 3), torch.full((1, n, 2), 99.0))
    prices = np.zeros((3, 2), np.float32)
    prices[1, : len(bits)] = bits
    prices[2] = (20 - prices[1, 1]) / 2  # a new vector has the symbol of rank 1, too, and two more
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nvc.motion_search.bits_of_symbols", lambda: prices)
        return LastWord([found])(torch.arange(n), own, expected)[0].numpy()


def test_the_last_word_is_the_cheapest_of_bits_and_errors() -> None:
    before = texture()
    current = np.roll(before, (2, -3), (0, 1))
    search = MotionSearch()
    found = search.search(
        before, current, search.propose(before, current), np.zeros((12, 20, 2), np.float32), 20
    )
    right, wrong = (12.0, -8.0), (-20.0, 4.0)
    inner = np.zeros((12, 20), bool)
    inner[2:-2, 2:-2] = True
    for prices in ([1.0, 9.0], [9.0, 1.0]):  # no price makes up for the wrong picture
        assert (decided(found, [right, wrong], prices)[inner.ravel()] == right).all()
    near = (12.0, -7.0)  # but a quarter of a pixel is not worth everything
    assert (decided(found, [right, near], [1.0, 1000.0])[inner.ravel()] == right).all()
    assert (decided(found, [right, near], [1000.0, 1.0])[inner.ravel()] == near).mean() > 0.9
    assert np.array_equal(decided(FoundMotion(found.vectors), [wrong], [0.0]), found.vectors.reshape(-1, 2))


def cost_of(
    vector: npt.NDArray[np.int32], place: int, found: FoundMotion, expected: Expected, share: float
) -> float:
    """What the last word minds, in numpy: bits, a share of the residual and what neighbours still to come
    would take."""
    seen = found.seen
    assert seen is not None
    rank = expected.rank_of(torch.from_numpy(vector)[None, None])[0, 0]
    table, row = bits_of_symbols(), expected.scale[0, 0].int().tolist()
    cost = table[row[0], int(symbol_of_rank(rank).abs())]
    if rank < 0:
        off = np.abs(vector - expected.mean[0, 0].int().numpy())
        cost += table[row[1], min(off[0], 511)] + table[row[2], min(off[1], 511)]
    rows, columns, _ = found.vectors.shape
    y, x = divmod(place, columns)
    for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        if 0 <= y + down < rows and 0 <= x + right < columns:
            off = np.abs(vector - found.vectors[y + down, x + right].astype(int))
            cost += SHARE_OF_LATER_NEIGHBOUR * bits_of_differences()[np.minimum(off, 256)].sum()
    top, left = y * 8 + PAD + vector[1] // 4, x * 8 + PAD + vector[0] // 4
    block = seen.planes[vector[1] % 4, vector[0] % 4][top : top + 8, left : left + 8].astype(float)
    block -= seen.current[y * 8 + REACH :, x * 8 + REACH :][:8, :8]
    two = np.array([[1, 1], [1, -1]])
    hadamard = np.kron(np.kron(two, two), two)
    squares = (hadamard @ block @ hadamard / 8) ** 2
    return float(cost + share * KNEE_BITS * np.log1p(squares * seen.bits_per_square / KNEE_BITS).sum())


@pytest.mark.parametrize(
    ("kind", "share"),
    [(Kind.NONE, 1.0), (Kind.COMPOUND, SHARE_OF_COMPOUND), (Kind.GOLDEN, SHARE_OF_GOLDEN)],
)
def test_the_last_word_weighs_all_options_alike(kind: Kind, share: float) -> None:
    """Random vectors and expectations: what is taken costs least of all, by another reckoning; less of the
    residual counts where superblocks take a golden picture."""
    rng = np.random.default_rng(4)
    before = texture()
    current = np.clip(np.roll(before, (2, -3), (0, 1)) + rng.normal(0, 9, before.shape), 0, 255).astype(
        np.uint8
    )
    vectors = rng.integers(-9, 10, (12, 20, 2)).astype(np.float32)
    seen = MotionSearch().search(before, current, vectors / 4, vectors, 24).seen
    assert seen is not None
    found = FoundMotion(vectors, seen)
    candidates, rank = ranked(torch.from_numpy(rng.integers(-9, 10, (1, 240, 5, 2)).astype(np.float32)))
    scale = torch.from_numpy(rng.integers(1, 40, (1, 240, 3)).astype(np.float32))
    parts = candidates, rank, scale, candidates[:, :, 0] + 1
    choice = Choice(torch.full((1, 3, 5), kind.value), torch.zeros(1, 3, 5, 2))
    for place in range(0, 240, 17):
        here = torch.tensor([place])
        expected = Expected(*(part[:, here] for part in parts))
        own = vectors.reshape(-1, 2)[place].astype(np.int32)
        last_word = LastWord([found]).again(torch.from_numpy(vectors)[None], (choice,))
        taken = last_word(here, torch.from_numpy(own)[None, None].float(), expected)[0, 0]
        options = [own + np.array((right, down)) for right in (-1, 0, 1) for down in (-1, 0, 1)]
        options += list(candidates[0, place].int().numpy())
        costs = [cost_of(option.astype(np.int32), place, found, expected, share) for option in options]
        its_cost = cost_of(taken.int().numpy(), place, found, expected, share)
        assert its_cost == pytest.approx(min(costs), rel=1e-4)


def test_decided_streams_are_smaller_at_equal_quality() -> None:
    def coded(clip: list[Frame], last_word: bool) -> tuple[int, float]:
        encoder = Encoder(EncoderConfig(model="s", qp=18, scene_cut=False, threads=1), 160, 96)
        if not last_word:
            search = encoder._motion.search
            encoder._motion.search = lambda *a: replace(search(*a), seen=None)  # type: ignore[method-assign]
        frames = [encoder.encode(frame) for frame in clip][1:]
        return sum(f.result.size_bytes for f in frames), float(np.mean([f.result.psnr_db for f in frames]))

    shares = []
    for seed in range(9, 13):
        clip = natural_clip(160, 96, 6, seed=seed)
        (with_bytes, with_psnr_db), (without_bytes, without_psnr_db) = coded(clip, True), coded(clip, False)
        per_db = 2 ** (1 / 3)  # a decibel more takes less than that
        shares.append(with_bytes * per_db ** (without_psnr_db - with_psnr_db) / without_bytes)
    assert np.mean(shares) < 0.97
