"""Compiled kernels give the bits of the torch code that defines each operation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nvc import kernels
from nvc.entropy.rans import RansCoder
from nvc.entropy.tables import laplace_tables
from nvc.kernels.products import LANES, VECTORS_MAX, multiply, pack
from nvc.models.adaptive_filter import N_SETS, N_TAPS, AdaptiveFilter
from nvc.models.block_modes import BlockModes
from nvc.models.block_split import N_SPLITS, BlockSplit
from nvc.models.config import CONFIGS, N_QP
from nvc.models.layers import ACTIVATION_MAX, Block, Depthwise, Pointwise, ProductLayer, product_layers
from nvc.models.motion_coder import MotionCoder
from nvc.models.quantiser import N_SCALES, SYMBOL_MAX, Bank, DecoderPort, EncoderPort, scale_table
from nvc.models.transform import LappedTransform, PictureTransform, coefficient_frequencies
from nvc.models.warp import FEATURE_UNIT, warp_features, warp_picture

CODER = RansCoder(laplace_tables(scale_table()))
BANKS = RansCoder(laplace_tables(scale_table() * len(Bank)))
few = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 21)


def both(run, *inputs: Tensor):  # type: ignore[no-untyped-def]
    """The results of torch and of the kernels; the latter must really have run."""
    with torch.inference_mode():
        assert kernels.usable(*inputs)
        compiled = run(*inputs)
        with kernels.switched(False):
            assert not kernels.usable(*inputs)
            return run(*inputs), compiled


def random(generator: torch.Generator, *shape: int, size: float = 1.0) -> Tensor:
    """Normal numbers with a few far out."""
    x = torch.randn(shape, generator=generator) * size
    return torch.where(torch.rand(shape, generator=generator) < 0.02, x * 100, x)


def exact(layer: ProductLayer, generator: torch.Generator) -> ProductLayer:
    """Make a layer exact, with random weights and a limit that its inputs reach."""
    with torch.no_grad():
        layer.weight.copy_(random(generator, *layer.weight.shape))
        layer.bias.copy_(random(generator, *layer.bias.shape))
    layer.input_peak = torch.tensor(3.0)
    layer.make_exact()
    return layer


@few
@given(seeds, st.integers(1, 70), st.integers(1, 2 * VECTORS_MAX * LANES + 3), st.integers(1, 70))
def test_products_of_integers(seed: int, n_in: int, n_out: int, n_rows: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (n_out, n_in))
    inputs = np.zeros((n_rows + -n_rows % 4, n_in + n_in % 2), np.int16)
    inputs[:n_rows, :n_in] = rng.integers(-ACTIVATION_MAX, ACTIVATION_MAX + 1, (n_rows, n_in))
    packed = pack(weight.astype(np.float32))
    sums = np.empty((len(inputs), packed.size // inputs.shape[1]), np.int32)
    multiply(inputs, n_rows, packed, sums)
    assert np.array_equal(sums[:n_rows, :n_out], inputs[:n_rows, :n_in].astype(np.int64) @ weight.T)


@few
@given(seeds, st.integers(1, 60), st.integers(1, 120), sides, sides)
def test_pointwise(seed: int, n_in: int, n_out: int, h: int, w: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    layer = exact(Pointwise(n_in, n_out), generator)
    torch.testing.assert_close(*both(layer, random(generator, 1, h, w, n_in)), rtol=0, atol=0)


@few
@given(seeds, st.integers(1, 40), st.integers(1, 2), sides, sides, st.sampled_from([0.1, 1.0, 50.0]))
def test_block(seed: int, n: int, b: int, h: int, w: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    block = Block(n)
    for layer in block.children():
        assert isinstance(layer, Pointwise | Depthwise)
        exact(layer, generator)
    torch.testing.assert_close(*both(block, random(generator, b, h, w, n, size=size)), rtol=0, atol=0)


def test_threads_divide_rows_without_a_seam() -> None:
    generator = torch.Generator().manual_seed(0)
    block = Block(40)
    for layer in block.children():
        exact(layer, generator)  # type: ignore[arg-type]
    x = random(generator, 1, 61, 57, 40)
    before = kernels.n_threads(), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            kernels.set_threads(threads)
            results.append(both(block, x))
    finally:
        kernels.set_threads(before[0])
        torch.set_num_threads(before[1])
    for torch_result, compiled in results:
        assert torch.equal(torch_result, compiled)


def vectors_for(generator: torch.Generator, b: int, h: int, w: int, size: float) -> Tensor:
    return random(generator, b, h, w, 2, size=size).round().clamp(-(2**14), 2**14)


@few
@given(
    seeds, st.integers(1, 2), st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.0, 4.0, 100.0, 9e3])
)
def test_warped_picture(seed: int, b: int, h: int, w: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    y, u, v = (
        torch.randint(-128, 128, (b, h * side, w * side), generator=generator).float() for side in (8, 4, 4)
    )
    vectors = vectors_for(generator, b, h, w, size)
    expected, compiled = both(lambda *p: warp_picture(p[:3], p[3]), y, u, v, vectors)
    for one, other in zip(expected, compiled, strict=True):
        assert torch.equal(one, other)


@few
@given(seeds, st.integers(1, 4), st.integers(1, 4), st.integers(1, 255), st.booleans(), st.booleans())
def test_adaptive_filter(seed: int, h: int, w: int, contrast: int, has_map: bool, predicts: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    y, u, v = (
        torch.randint(0, contrast + 1, (1, h * side, w * side), generator=generator).float() - 128
        for side in (16, 8, 8)
    )
    y[:, : 8 * h] = y[:, : 8 * h, :1]  # edges that run across
    y[:, :, : 6 * w] = torch.div(y[:, :, : 6 * w], 40, rounding_mode="floor")  # and flat places
    adaptive_filter = AdaptiveFilter()
    adaptive_filter.taps = torch.randint(-255, 256, adaptive_filter.taps.shape, generator=generator).float()
    qp = torch.randint(0, 64, (1, h, w) if has_map else (1, 1, 1), generator=generator)
    offsets = torch.randint(-400, 401, (N_SETS, N_TAPS), generator=generator).float()
    expected, compiled = both(lambda *p: adaptive_filter(p, qp, offsets, predicts=predicts), y, u, v)
    for one, other in zip(expected, compiled, strict=True):
        assert torch.equal(one, other)
        assert -128 <= float(one.min()) <= float(one.max()) <= 127
        assert torch.equal(one, one.round())


def motion_coder(generator: torch.Generator) -> MotionCoder:
    coder = MotionCoder(CONFIGS["tiny"])
    for layer in product_layers(coder).values():
        exact(layer, generator)
    for table in (coder.modulation.gain, coder.modulation.shift):
        table.set_exact(random(generator, *table.knots.shape).half())
    return coder


@few
@given(seeds, sides, sides, st.sampled_from([0.0, 1.0, 50.0, 9e3]), st.integers(0, N_QP - 1))
def test_motion(seed: int, h: int, w: int, size: float, qp: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    coder = motion_coder(generator)
    vectors, before = (vectors_for(generator, 1, h, w, size).clamp(-(2**13), 2**13) for _ in range(2))
    vectors = torch.where(torch.rand(1, h, w, 1, generator=generator) < 0.5, before, vectors)
    ports = [EncoderPort(), EncoderPort()]
    place = torch.full((1, 1, 1), qp)

    def run(vectors: Tensor, before: Tensor) -> Tensor:
        return coder(vectors, before, place, ports[kernels.wanted()])

    one, other = both(run, vectors, before)
    assert torch.equal(one, vectors)
    assert torch.equal(one, other)
    for groups in zip(*(port.groups for port in ports), strict=True):
        for parts in zip(*groups, strict=True):
            assert torch.equal(*parts)
    payload = BANKS.encode(ports[0].groups)

    def read(before: Tensor) -> Tensor:
        decoder = BANKS.decoder(payload)
        decoder.expect(3 * h * w)
        return coder(None, before, place, DecoderPort(decoder))

    for decoded in both(read, before):
        assert torch.equal(decoded, vectors)


@few
@given(st.binary(max_size=400), sides, sides)
def test_motion_of_any_bytes(payload: bytes, h: int, w: int) -> None:
    generator = torch.Generator().manual_seed(len(payload))
    coder = motion_coder(generator)
    before = vectors_for(generator, 1, h, w, 5.0)
    payload = b"\xfe" * 8 + payload  # a state that an encoder might end in

    def read(before: Tensor) -> Tensor:
        decoder = BANKS.decoder(payload)
        decoder.expect(3 * h * w)
        return coder(None, before, torch.zeros(1, 1, 1, dtype=torch.int64), DecoderPort(decoder))

    assert torch.equal(*both(read, before))


@few
@given(seeds, st.sampled_from(Bank), st.sampled_from([0.0, 0.3, 0.8]), st.sampled_from([0.5, 3.0, 1e5]))
def test_rounding_of_an_encoder(seed: int, bank: Bank, thrift: float, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    u, mean = (random(generator, 400, size=size) for _ in range(2))
    u[::7] = mean[::7] + (u[::7] * 2).round() / 2  # at, and near, the half
    rows = torch.randint(N_SCALES, (400,), generator=generator, dtype=torch.int32)
    ports = [EncoderPort(thrift), EncoderPort(thrift)]
    values = both(lambda u, mean: ports[kernels.wanted()].code_selected(u, mean, rows, bank), u, mean)
    assert torch.equal(*values)
    for parts in zip(*(port.groups[0] for port in ports), strict=True):
        assert torch.equal(*parts)


@few
@given(seeds, sides, sides, st.integers(1, 40), st.sampled_from([0.0, 1.0, 9e3]))
def test_warped_features(seed: int, h: int, w: int, n: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    vectors = vectors_for(generator, 1, h, w, size * FEATURE_UNIT).clamp(-(2**14), 2**14)
    assert torch.equal(*both(warp_features, random(generator, 1, h, w, n), vectors))


@few
@given(seeds, st.sampled_from([4, 8, 16]), st.integers(1, 2), st.integers(1, 5), st.integers(1, 5))
def test_lapped_transform(seed: int, size: int, b: int, h: int, w: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    transform = LappedTransform(size)
    transform.exact = True
    samples = (random(generator, b, h * size, w * size, size=60.0) * 64).round() / 64
    assert torch.equal(*both(transform, samples))
    coefficients = random(generator, b, h, w, size * size, size=60.0)
    assert torch.equal(*both(transform.inverse, coefficients))


@few
@given(seeds, st.integers(1, 384), st.integers(1, 9), st.sampled_from([1.0, 200.0]))
def test_split_blocks(seed: int, n_kept: int, n_blocks: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    split = BlockSplit(torch.randperm(384, generator=generator)[:n_kept])
    split.exact = True
    rows = random(generator, n_blocks, n_kept, size=size)
    for level in range(1, N_SPLITS):
        for inverse in (False, True):
            run = partial(split.exchange, level=level, inverse=inverse)
            plain, compiled = both(run, rows)
            assert torch.equal(plain, compiled)


def test_a_picture_of_few_coefficients() -> None:
    generator = torch.Generator().manual_seed(4)
    transform = PictureTransform(64)
    transform.luma.exact = transform.chroma.exact = True
    coefficients = random(generator, 1, 3, 4, 64, size=60.0)
    for one, other in zip(*both(transform.inverse, coefficients), strict=True):
        assert torch.equal(one, other)


symbol_lists = st.lists(
    st.tuples(st.integers(-SYMBOL_MAX, SYMBOL_MAX) | st.integers(-3, 3), st.integers(0, N_SCALES - 1)),
    max_size=200,
)


def payload_of(pairs: list[tuple[int, int]]) -> tuple[bytes, Tensor, Tensor]:
    symbols, rows = (torch.tensor([pair[i] for pair in pairs], dtype=torch.int32) for i in (0, 1))
    return CODER.encode([(symbols, rows)]), symbols, rows


@few
@given(symbol_lists)
def test_payloads_are_the_extensions_byte_for_byte(pairs: list[tuple[int, int]]) -> None:
    with kernels.switched(False):
        expected = payload_of(pairs)[0]
    assert payload_of(pairs)[0] == expected


@few
@given(symbol_lists)
def test_symbols_come_back_from_either_reader(pairs: list[tuple[int, int]]) -> None:
    payload, symbols, rows = payload_of(pairs)
    for on in (True, False):
        with kernels.switched(on):
            decoder = CODER.decoder(payload)
            decoder.expect(len(rows))
            assert torch.equal(decoder.pop(rows), symbols)


@few
@given(st.binary(min_size=8, max_size=64), st.lists(st.integers(0, N_SCALES - 1), min_size=1, max_size=300))
def test_any_bytes_are_read_alike(payload: bytes, rows: list[int]) -> None:
    read = []
    for on in (True, False):
        with kernels.switched(on):
            decoder = CODER.decoder(payload)
            decoder.expect(len(rows))
            read.append(decoder.pop_coded(torch.tensor(rows, dtype=torch.int32)))
    assert torch.equal(*read)


@pytest.mark.parametrize("gradients", [True, False])
def test_training_never_meets_a_kernel(gradients: bool) -> None:
    with torch.set_grad_enabled(gradients):
        assert kernels.usable(torch.zeros(1)) is not gradients
        assert not kernels.usable(torch.zeros(1, dtype=torch.float64))


def test_a_full_disk_does_not_stop_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from nvc.kernels.compile import kernel

    def doubled(x):  # type: ignore[no-untyped-def]
        return x * 2

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    compiled = kernel(doubled)
    monkeypatch.setattr(compiled._cache._cache_file, "save", full)
    assert compiled(21) == 42


@pytest.mark.parametrize("predicts", [True, False])
def test_modes_are_chosen_alike(predicts: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    transform = PictureTransform()
    modes = BlockModes(transform.kept, coefficient_frequencies(), 8, predicts=predicts)
    modes.block_split.exact = True
    blocks = random(generator, 20, 20, len(transform.kept))
    low = 1 / (1 + 40 * coefficient_frequencies() ** 2)
    smooth = blocks * low * 8
    split = torch.randint(3, (20, 20), generator=generator)
    edges = modes.block_split.inverse(blocks * (torch.rand(blocks.shape, generator=generator) < 0.03), split)
    prediction = random(generator, *blocks.shape) if predicts else None
    wanted = (smooth + edges * 3)[None]
    step = torch.ones(1, 1, 1, blocks.shape[-1])
    predicted = None if prediction is None else (0.7 * smooth + prediction)[None]
    with torch.inference_mode():
        chosen = modes.choose(wanted, predicted, step)
        with kernels.switched(False):
            by_torch = modes.choose(wanted, predicted, step)
    pairs = torch.stack([by_torch.split * 3 + by_torch.blur, chosen.split * 3 + chosen.blur])
    assert len(pairs[0].unique()) >= (6 if predicts else 3)
    assert (pairs[0] == pairs[1]).float().mean() > 0.999
