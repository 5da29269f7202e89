"""The encoder's search for vectors. Nothing a decoder computes, so no bits have to agree here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from nvc.frames import edged
from nvc.kernels.compile import inlined, kernel, plus, times
from nvc.kernels.team import side_by_side, spread
from nvc.models.warp import FILTER_TABLE, GRID, N_PHASES, VECTOR_UNIT, own_share

Ints = npt.NDArray[np.int32]

PAD = 48  # luma pixels around a picture in which blocks may be found
_FAR = np.int64(1 << 40)
_FIRST_STEP = 4  # quarters of a pixel
REACH = GRID // 4  # how far beyond its edges a block has its say
# A block's share of the samples around its edge, in eighths; errors count by the shares, in ERROR_UNITs.
_EDGE = np.array(
    [8 * (1 - own_share(REACH - 1 - i, REACH)) for i in range(REACH)]
    + [8 * own_share(i, REACH) for i in range(REACH)]
)
# What blocks of a region share between them counts whole: shares along an axis by the region's blocks.
REGION_MAX = 8  # four rows of whose errors fit into 32 bits
# Columns are met so many at once, those beyond a region with no share.
_LANES = 16
_SHARES = np.zeros((REGION_MAX + 1, REGION_MAX * GRID + 2 * REACH + _LANES), np.int16)
for _n in range(1, REGION_MAX + 1):
    _SHARES[_n, : _n * GRID + 2 * REACH] = [*_EDGE, *([8] * (_n * GRID - 2 * REACH)), *_EDGE[::-1]]
ERROR_UNIT = 1 / 64


@kernel
def _shift(padded, filters, out, first, last):
    """Every quarter of a pixel's shift of a padded picture, as bytes; out [unit, unit, h, w]."""
    # Unsigned, so that indices are not checked for being negative, and without numbers of 64 bits.
    unit, width = np.uint64(out.shape[0]), np.uint64(out.shape[3])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    half, least, most = np.float32(0.5), np.float32(0), np.float32(255)
    line = np.empty(width + three, np.float32)
    for row in range(first, last):
        p0, p1, p2, p3 = padded[row], padded[row + 1], padded[row + 2], padded[row + 3]
        for down in range(unit):
            f = filters[down]
            f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
            for x in range(width + three):
                line[x] = p0[x] * f0 + p1[x] * f1 + p2[x] * f2 + p3[x] * f3
            for right in range(unit):
                g = filters[right]
                g0, g1, g2, g3 = g[0], g[1], g[2], g[3]
                shifted = out[down, right, row]
                for x in range(width):
                    value = line[x] * g0 + line[x + one] * g1 + line[x + two] * g2 + line[x + three] * g3
                    shifted[x] = np.uint8(np.int32(min(max(value + half, least), most)))


def shifted_planes(reference: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 [h, w] -> [4, 4, h + 2 PAD, w + 2 PAD]: moved by quarters of a pixel, down and right.

    Behind it in memory there is room for as many samples as are met at once.
    """
    padded = edged(reference, PAD + 1, (PAD + 2, PAD + 2)).astype(np.float32)
    filters = FILTER_TABLE.numpy()[:: N_PHASES // VECTOR_UNIT] / np.float32(128)
    h, w = reference.shape[0] + 2 * PAD, reference.shape[1] + 2 * PAD
    room = np.empty(VECTOR_UNIT**2 * h * w + _LANES, np.uint8)
    out = room[:-_LANES].reshape(VECTOR_UNIT, VECTOR_UNIT, h, w)
    spread(partial(_shift, padded, filters, out), h, 100 * h * w)
    return out


@inlined
def _part(there, here, across, down):
    """A squared difference of bytes by its shares; products of 16 bits are what vectors add up in one go."""
    d = np.int16(np.int16(there) - np.int16(here))
    return times(np.int16(d * across), np.int16(d * down))


@inlined
def _error(planes, current, region, x, y, limit):
    """Squared error of blocks moved by (x, y) quarters; a great number where that exceeds `limit`."""
    row, column, bottom, right = region
    height, width = (bottom - row) * GRID + 2 * REACH, (right - column) * GRID + 2 * REACH
    top, left = row * GRID + PAD - REACH + y // VECTOR_UNIT, column * GRID + PAD - REACH + x // VECTOR_UNIT
    if top < 0 or left < 0 or top + height > planes.shape[2] or left + width > planes.shape[3]:
        return _FAR
    down, across = _SHARES[bottom - row], _SHARES[right - column]
    plane = planes[y % VECTOR_UNIT, x % VECTOR_UNIT]
    total = np.int64(0)
    # Sums over four rows at a time, in 32 bits and of indices that are never negative: what compilers can
    # turn into vector instructions.
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    left_there, left_here = np.uint64(left), np.uint64(column * GRID)
    for j in range(np.uint64(0), np.uint64(height), np.uint64(4)):
        k = np.uint64(top) + j
        t0, t1, t2, t3 = plane[k], plane[k + one], plane[k + two], plane[k + three]
        k = np.uint64(row * GRID) + j
        c0, c1, c2, c3 = current[k], current[k + one], current[k + two], current[k + three]
        s0, s1, s2, s3 = down[j], down[j + one], down[j + two], down[j + three]
        part = np.int32(0)
        for first in range(np.uint64(0), np.uint64(width), np.uint64(_LANES)):
            for lane in range(np.uint64(_LANES)):
                i = first + lane
                there, here = left_there + i, left_here + i
                share = across[i]
                upper = plus(_part(t0[there], c0[here], share, s0), _part(t1[there], c1[here], share, s1))
                lower = plus(_part(t2[there], c2[here], share, s2), _part(t3[there], c3[here], share, s3))
                part = plus(part, plus(upper, lower))
        total += part
        if total > limit:
            return _FAR
    return total


@inlined
def _difference(x, y, beside, prices):
    """What the vector (x, y) costs beside that of a block."""
    last = len(prices) - 1
    to_x, to_y = abs(x - beside[0]), abs(y - beside[1])
    return prices[np.uint64(min(to_x, last))] + prices[np.uint64(min(to_y, last))]


@inlined
def _surroundings(vectors, region, around):
    """The vectors of the blocks beside a region, and how many they are."""
    top, left, bottom, right = region
    rows, columns, _ = vectors.shape
    n = 0
    for column in range(left, right):
        if top:
            around[n] = vectors[top - 1, column]
            n += 1
        if bottom < rows:
            around[n] = vectors[bottom, column]
            n += 1
    for row in range(top, bottom):
        if left:
            around[n] = vectors[row, left - 1]
            n += 1
        if right < columns:
            around[n] = vectors[row, right]
            n += 1
    return n


@inlined
def _outer_price(around, x, y, prices):
    """What the bits of a vector cost that all blocks of a region have, given those around it."""
    total = np.float32(0)
    for k in range(len(around)):
        total += _difference(x, y, around[k], prices)
    return total


@inlined
def _price(vectors, top, left, bottom, right, prices):
    """What the bits of a region's vectors cost, given those around it."""
    rows, columns, _ = vectors.shape
    total = np.float32(0)
    for row in range(top, bottom):
        for column in range(left, right):
            x, y = vectors[row, column, 0], vectors[row, column, 1]
            if row:
                total += _difference(x, y, vectors[row - 1, column], prices)
            if column:
                total += _difference(x, y, vectors[row, column - 1], prices)
            if row + 1 == bottom < rows:
                total += _difference(x, y, vectors[bottom, column], prices)
            if column + 1 == right < columns:
                total += _difference(x, y, vectors[row, right], prices)
    return total


@inlined
def _cost(planes, current, around, region, x, y, prices, limit):
    """What it costs that a region moves as a whole; a great number where that exceeds `limit`."""
    total = np.float64(_outer_price(around, x, y, prices))
    if total >= limit:
        return np.float64(_FAR)
    return total + _error(planes, current, region, x, y, limit - total)


@inlined
def _is_another(tried, n_tried, vector):
    """Put a vector behind those that are to be tried; 1 if it is not among them, 0 if it is."""
    for k in range(n_tried):
        if tried[k, 0] == vector[0] and tried[k, 1] == vector[1]:
            return 0
    tried[n_tried, 0], tried[n_tried, 1] = vector[0], vector[1]
    return 1


@inlined
def _proposals(candidates, vectors, region, tried):
    """What is proposed to a region, by the candidates and those around it, and how many they are."""
    top, left, bottom, right = region
    rows, columns, _ = vectors.shape
    middle_y, middle_x = (top + bottom) // 2, (left + right) // 2
    n_tried = 0
    for k in range(len(candidates)):
        n_tried += _is_another(tried, n_tried, candidates[k, middle_y, middle_x])
    for k in range(9):
        y = top - 1 if k < 3 else (middle_y if k < 6 else bottom)
        x = left - 1 if k % 3 == 0 else (middle_x if k % 3 == 1 else right)
        if 0 <= y < rows and 0 <= x < columns:
            n_tried += _is_another(tried, n_tried, vectors[y, x])
    return n_tried


@inlined
def _look_around(planes, current, around, region, x, y, prices, cost):
    """The best vector of a region near (x, y), and its cost."""
    step = _FIRST_STEP
    while step:
        from_x, from_y = x, y
        for k in range(9):
            to_x, to_y = from_x + (k % 3 - 1) * step, from_y + (k // 3 - 1) * step
            if k != 4:
                its_cost = _cost(planes, current, around, region, to_x, to_y, prices, cost)
                if its_cost < cost:
                    cost, x, y = its_cost, to_x, to_y
        if x == from_x and y == from_y:
            step //= 2
    return x, y, cost


@inlined
def _last_change(changes, region):
    """The last of the changes of a region and of all that is beside it."""
    top, left, bottom, right = region
    rows, columns = changes.shape
    last = np.int32(0)
    for row in range(max(top - 1, 0), min(bottom + 1, rows)):
        for column in range(max(left - 1, 0), min(right + 1, columns)):
            last = max(last, changes[row, column])
    return last


@kernel
def _search(planes, current, candidates, prices, sizes):
    """Vectors int32 [rows, columns, 2], and what they cost; see `search_blocks`."""
    n, rows, columns, _ = candidates.shape
    vectors = np.zeros((rows, columns, 2), np.int32)
    errors = np.zeros((rows, columns), np.int64)
    tried = np.empty((n + 9, 2), np.int32)
    surroundings = np.empty((4 * REGION_MAX, 2), np.int32)
    # When a block's vector changed, and when a region of so many blocks a side was looked at.
    changes = np.zeros((rows, columns), np.int32)
    looks = np.full((REGION_MAX + 1, rows, columns), -1, np.int32)
    now = np.int32(0)
    finest = rows + columns
    for turn in range(len(sizes)):
        size = sizes[turn]
        is_finest = size < finest
        finest = min(size, finest)
        for top in range(0, rows, size):
            for left in range(0, columns, size):
                region = top, left, min(top + size, rows), min(left + size, columns)
                _, _, bottom, right = region
                if _last_change(changes, region) <= looks[size, top, left]:
                    continue  # it would find the same once more
                now += 1
                looks[size, top, left] = now
                before = np.float64(_FAR)
                if turn:
                    before = np.float64(_price(vectors, top, left, bottom, right, prices))
                    before += errors[top:bottom, left:right].sum()
                around = surroundings[: _surroundings(vectors, region, surroundings)]
                cost = before
                x, y = vectors[(top + bottom) // 2, (left + right) // 2]
                for k in range(_proposals(candidates, vectors, region, tried)):
                    its_cost = _cost(planes, current, around, region, tried[k, 0], tried[k, 1], prices, cost)
                    if its_cost < cost:
                        cost, x, y = its_cost, tried[k, 0], tried[k, 1]
                if is_finest or cost < before:
                    x, y, cost = _look_around(planes, current, around, region, x, y, prices, cost)
                if cost < before:
                    for row in range(top, bottom):
                        for column in range(left, right):
                            if vectors[row, column, 0] != x or vectors[row, column, 1] != y:
                                changes[row, column] = now
                            vectors[row, column, 0], vectors[row, column, 1] = x, y
                            block = row, column, row + 1, column + 1
                            errors[row, column] = _error(planes, current, block, x, y, _FAR)
    return vectors, np.float64(_price(vectors, 0, 0, rows, columns, prices)) + errors.sum()


def search_blocks(
    planes: npt.NDArray[np.uint8],
    current: npt.NDArray[np.uint8],
    candidates: Ints,
    prices: npt.NDArray[np.float32],
    plans: Sequence[tuple[int, ...]],
) -> Ints:
    """Vectors int32 [rows, columns, 2] for the blocks of `current`, chosen from `planes`.

    planes: of `shifted_planes`. current: REACH samples larger on each side. candidates: int32 [n, rows,
    columns, 2]. prices: of a component, by how much it differs from a neighbour's, in squared error, in
    ERROR_UNITs. plans: of each, regions of so many blocks a side, REGION_MAX at most, move as wholes, one
    size after the other; what lies around a vector is looked at where it is new, and at each size finer than
    all before. Each plan ends at another of many near optima; the cheapest vectors count.
    """
    run = partial(_search, planes, edged(current, 0, (0, _LANES)), candidates, prices)
    found = side_by_side(*(partial(run, np.array(plan)) for plan in plans))
    vectors, _ = min(found, key=itemgetter(1))  # of equals the first
    return vectors
