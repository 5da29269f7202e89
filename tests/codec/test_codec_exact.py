"""Exactness: what a decoder runs is only what rounds alike everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bitstream_spec import FramePacket, FrameType, Layer
from nvc import kernels
from nvc.errors import NvcError
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame
from nvc.media.synthetic import natural_clip
from nvc.model_store import Model, load_model
from nvc.models import self_test
from nvc.models.golden import Choice, Golden, Kind, middles
from nvc.models.layers import (
    ACTIVATION_MAX,
    EXACT_SUM_LIMIT,
    Depthwise,
    Pointwise,
    ProductLayer,
    product_layers,
)
from nvc.motion_search import FoundMotion

# No arithmetic at all.
MOVES = """
_to_copy alias all any arange cat chunk clone contiguous copy_ detach detach_ expand expand_as fill_ flatten
flip full full_like gather index index_copy index_select is_nonzero lift_fresh masked_scatter
masked_scatter_ narrow new_zeros numpy_T ones pad permute repeat_interleave reshape resolve_conj resolve_neg
select slice split_with_sizes stack to transpose tril unsqueeze view where zeros zeros_like
""".split()
# One rounded IEEE-754 operation for each element, or none. `div` is of two tensors: by a number, libraries
# multiply with the reciprocal instead.
SINGLE = """
__and__ abs add add_ amax bitwise_not clamp clamp_ div eq floor ge gt leaky_relu lt max_pool2d maximum minimum
mul mul_ ne remainder round round_ rsub sub sub_
""".split()
# Sums of products of bounded integers, exact in any order: layers check their bound, vectors are small.
EXACT_SUMS = ["avg_pool2d", "conv2d", "linear", "matmul"]


# Of integers alone.
INTEGER = ["argsort", "cumsum", "floor_divide", "sum"]


class Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operators: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = function.overloadpacket.__name__
        if name in INTEGER and args[0].is_floating_point():
            name = f"{name} of floats"
        self.operators[name] += 1
        return function(*args, **(kwargs or {}))


LAYERS = (Layer(qp_offset=15), Layer())


def choose_each(goldens: Sequence[Golden], vectors: torch.Tensor) -> tuple[Choice, ...]:
    """All kinds of superblocks, with new vectors."""
    choices = []
    for golden in goldens:
        kinds = torch.arange(golden.kinds.numel()).view(golden.kinds.shape) % len(Kind)
        choices.append(Choice(kinds, middles(golden.chained(vectors)) + 5.0))
    return tuple(choices)


def code_frames(model: Model) -> tuple[list[FramePacket], list[Frame]]:
    coder = FrameCoder(model, 80, 48, layers=LAYERS)
    motion = FoundMotion(np.full((6, 10, 2), 7.0, np.float32), choose=choose_each)
    coded = [
        coder.encode(frame, FrameType.P if index else FrameType.I, 20 + 4 * index, lambda: motion, keep=True)
        for index, frame in enumerate(natural_clip(80, 48, 4, seed=3))
    ]
    return [packet for packet, _ in coded], [frames[-1] for _, frames in coded]


def test_the_decoder_runs_only_allowed_operators(speaking_model: Model) -> None:
    packets, _ = code_frames(speaking_model)
    decoder = FrameCoder(speaking_model, 80, 48, layers=LAYERS)
    recorder = Recorder()
    with recorder, kernels.switched(False):
        for packet in packets:
            decoder.decode(packet)
    forbidden = set(recorder.operators) - {*MOVES, *SINGLE, *EXACT_SUMS, *INTEGER}
    assert not forbidden, f"operators whose rounding is not the same everywhere: {sorted(forbidden)}"


def test_decoding_gives_the_encoders_reconstruction(speaking_model: Model) -> None:
    packets, reconstructions = code_frames(speaking_model)
    decoder = FrameCoder(speaking_model, 80, 48, layers=LAYERS)
    for index, packet in enumerate(packets):
        decoded = decoder.decode(packet)[-1]
        assert decoded.checksum() == reconstructions[index].checksum()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_a_bit(speaking_model: Model, threads: int) -> None:
    before = torch.get_num_threads()
    reference = code_frames(speaking_model)[1]
    try:
        torch.set_num_threads(threads)
        assert [f.checksum() for f in code_frames(speaking_model)[1]] == [f.checksum() for f in reference]
    finally:
        torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # torch warns whenever the flags are set
def test_onednn_does_not_change_a_bit(speaking_model: Model) -> None:
    with kernels.switched(False):
        reference = code_frames(speaking_model)
    with kernels.switched(False), torch.backends.mkldnn.flags(enabled=False):
        other = code_frames(speaking_model)
    assert [f.checksum() for f in other[1]] == [f.checksum() for f in reference[1]]
    assert other[0] == reference[0]


def test_products_in_float64_give_the_same_integers(
    speaking_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sums really are exact in float32: computing them in float64 changes nothing."""
    with kernels.switched(False):
        reference = code_frames(speaking_model)

    def in_double(kind: type[Pointwise] | type[Depthwise]) -> None:
        product = kind.product

        def double(self: Pointwise, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if not self.exact:
                return product(self, x, weight, bias)
            return product(self, x.double(), weight.double(), None).float()

        monkeypatch.setattr(kind, "product", double)

    in_double(Pointwise)
    in_double(Depthwise)
    with kernels.switched(False):
        assert code_frames(speaking_model)[0] == reference[0]


def test_kernels_do_not_change_a_bit(speaking_model: Model) -> None:
    compiled = code_frames(speaking_model)
    with kernels.switched(False):
        plain = code_frames(speaking_model)
    assert compiled[0] == plain[0]
    assert [f.checksum() for f in compiled[1]] == [f.checksum() for f in plain[1]]


def test_every_product_keeps_within_exact_sums(speaking_weights: Path) -> None:
    model = load_model(str(speaking_weights))
    exact = [layer for layer in product_layers(model.codec).values() if layer.exact]
    assert len(exact) > 50
    for layer in exact:
        limit = float(layer.affine[1, -1])
        assert limit <= ACTIVATION_MAX
        assert float(layer.weight.flatten(1).abs().sum(1).max()) * limit <= EXACT_SUM_LIMIT


def test_weights_that_could_overflow_are_refused() -> None:
    layer = Pointwise(2000, 3)
    affine = torch.ones(2, 4)
    affine[1, -1] = ACTIVATION_MAX
    with pytest.raises(ValueError, match="exact"):
        layer.set_exact(torch.full((3, 2000), 127, dtype=torch.int8), affine)


def test_the_self_test_agrees_with_every_way_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    assert self_test._result(device) == self_test.EXPECTED
    with kernels.switched(False):
        assert self_test._result(device) == self_test.EXPECTED
        monkeypatch.setattr(ProductLayer, "sum_type", torch.float64)
        assert self_test._result(device) == self_test.EXPECTED


def test_a_machine_that_rounds_its_sums_takes_the_slower_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """As TF32 on a GPU would: products whose float32 sums keep too few bits."""
    monkeypatch.setattr(kernels, "_wanted", kernels.wanted())
    monkeypatch.setattr(ProductLayer, "sum_type", torch.float32)
    exact_product = Pointwise.product

    def shortened(self: Pointwise, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        sums = exact_product(self, x, weight, bias)
        return sums if x.dtype == torch.float64 else sums.bfloat16().float()

    monkeypatch.setattr(Pointwise, "product", shortened)
    monkeypatch.setattr(kernels, "usable", lambda *_: False)
    self_test.check_arithmetic.cache_clear()
    self_test.check_arithmetic(torch.device("cpu"))
    assert ProductLayer.sum_type == torch.float64
    self_test.check_arithmetic.cache_clear()


def test_a_machine_that_cannot_be_exact_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_wanted", kernels.wanted())
    monkeypatch.setattr(ProductLayer, "sum_type", torch.float32)
    monkeypatch.setattr(self_test, "EXPECTED", 1)
    self_test.check_arithmetic.cache_clear()
    with pytest.raises(NvcError, match="arithmetic on cpu is not exact"):
        self_test.check_arithmetic(torch.device("cpu"))
    self_test.check_arithmetic.cache_clear()
