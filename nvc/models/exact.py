"""Freezes a codec: float networks become the exact ones that a stream is coded with.

The modules with `analysis` in their names, which only an encoder runs, are frozen like all others: they need
not be exact, but the integer kernels are the faster ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nvc import kernels
from nvc.models.block_split import BlockSplit
from nvc.models.codec import Codec
from nvc.models.latent_coder import QpTable
from nvc.models.layers import product_layers
from nvc.models.transform import LappedTransform


def make_exact(codec: Codec, calibrate: Callable[[Codec], None]) -> None:
    """Freeze a trained codec in place; `calibrate` runs it on typical video to learn activation ranges."""
    layers = product_layers(codec)
    for layer in layers.values():
        layer.observe = True
    with torch.no_grad():
        calibrate(codec)
    for layer in layers.values():
        layer.observe = False
        layer.make_exact()
    for table in qp_tables(codec):
        table.make_exact()
    finish_exact(codec)


def finish_exact(codec: Codec) -> None:
    """What has no parameters: the fixed transforms; and no gradients anywhere from now on."""
    for module in codec.modules():
        if isinstance(module, LappedTransform | BlockSplit):
            module.exact = True
    codec.requires_grad_(False)
    codec.eval()


def exact_tensors(codec: Codec) -> dict[str, Tensor]:
    """All parameters of an exact codec, one flat tensor of each kind, in the order of its modules.

    weights: int8; affines: float32, each layer's scales and biases; knots: float16, of qp tables; taps:
    int16, of the adaptive filter.
    """
    layers = product_layers(codec).values()
    kinds = {
        "weights": [layer.weight for layer in layers],
        "affines": [layer.affine for layer in layers],
        "knots": [table.knots.half() for table in qp_tables(codec)],
        "taps": [codec.adaptive_filter.taps.to(torch.int16)],
    }
    return {kind: torch.cat([t.detach().flatten() for t in tensors]) for kind, tensors in kinds.items()}


class _Flat:
    """Takes tensors one after the other from a flat one, whose end must be reached exactly."""

    def __init__(self, tensors: dict[str, Tensor], kind: str, dtype: torch.dtype) -> None:
        self.kind, self.data, self.position = kind, tensors[kind], 0
        if self.data.dtype != dtype or self.data.ndim != 1:
            raise ValueError(f"{kind} are {self.data.dtype}, expected flat {dtype}")
        if dtype.is_floating_point and not bool(torch.isfinite(self.data).all()):
            raise ValueError(f"{kind} are not finite")

    def take(self, *shape: int) -> Tensor:
        n = math.prod(shape)
        if self.position + n > len(self.data):
            raise ValueError(f"too few {self.kind} for the model's configuration")
        self.position += n
        return self.data[self.position - n : self.position].reshape(shape)

    def finish(self) -> None:
        if self.position != len(self.data):
            raise ValueError(f"too many {self.kind} for the model's configuration")


def load_exact(codec: Codec, tensors: dict[str, Tensor]) -> None:
    """Make a fresh codec exact with what `exact_tensors` gave.

    Raises KeyError for a missing kind and ValueError for wrong sizes, types or ranges.
    """
    weights, affines = _Flat(tensors, "weights", torch.int8), _Flat(tensors, "affines", torch.float32)
    knots, taps = _Flat(tensors, "knots", torch.float16), _Flat(tensors, "taps", torch.int16)
    for layer in product_layers(codec).values():
        layer.set_exact(weights.take(*layer.weight.shape), affines.take(2, len(layer.bias) + 1))
    for table in qp_tables(codec):
        table.set_exact(knots.take(*table.knots.shape))
    codec.adaptive_filter.set_exact(taps.take(*codec.adaptive_filter.taps.shape))
    for flat in (weights, affines, knots, taps):
        flat.finish()
    finish_exact(codec)


def float_parameters(codec: nn.Module) -> dict[str, Tensor]:
    """The parameters that an exact codec, or a part of one, stands for, float32, by the names of one that
    can learn.

    They are `make_exact`'s roundings of what was trained: a good place to go on training from.
    """
    values = {}
    for name, layer in product_layers(codec).items():
        scale = layer.output_scale * layer.affine[0, -1]  # without the step of the activations
        rows = layer.weight.flatten(1) * scale[:, None]
        values[f"{name}.weight"], values[f"{name}.bias"] = rows.reshape(layer.weight.shape), layer.bias
    for name, module in codec.named_modules():
        if isinstance(module, QpTable):
            values[f"{name}.knots"] = module.knots
    return values


def qp_tables(codec: Codec) -> list[QpTable]:
    return [module for module in codec.modules() if isinstance(module, QpTable)]


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Forbid the libraries' shortcuts (TF32 on CUDA) while exact networks run; no gradients inside."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = cudnn


def count_macs(codec: Codec, run: Callable[[Codec], None]) -> dict[str, int]:
    """Multiply-accumulates of each product layer while `run` is running, by layer name."""
    counts: dict[str, int] = {}
    hooks = []
    for name, layer in product_layers(codec).items():

        def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor, name: str = name) -> None:
            per_value = layer_fan_in(module)
            counts[name] = counts.get(name, 0) + output.numel() * per_value

        hooks.append(layer.register_forward_hook(count))
    with kernels.switched(False):  # which do not call layers one by one
        run(codec)
    for hook in hooks:
        hook.remove()
    return counts


def layer_fan_in(layer: nn.Module) -> int:
    """Products summed for one output value."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight[0].numel()
