"""The layers that every network is made of, and the rules that make a decoder exact.

A network here is pointwise products, depthwise 3x3 products and single element-wise operations, nothing
else. `Pointwise` and `Depthwise` have a float form, for training and for the encoder's own side, and an
exact form, for everything a decoder computes. In the exact form

* weights are int8 with one scale per output channel, activations are integers of a fixed range, and the
  range is chosen so that no partial sum of a product can reach 2**24: float32 then holds every partial
  sum exactly, in whatever order a processor adds them up;
* everything around a product is one IEEE-754 float32 operation per element at a time (add, multiply,
  clamp, round half to even, compare, select), in a written order: every processor rounds those alike.

So an exact network gives the same bits on any CPU, thread count or GPU. Tensors are [batch, height,
width, channels], float32.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvc import kernels

if TYPE_CHECKING:
    from nvc.kernels.networks import Packed, PackedBlock

EXACT_SUM_LIMIT = (1 << 24) - 1  # the largest magnitude up to which float32 holds every integer
WEIGHT_MAX = 127
ACTIVATION_MAX = (1 << 13) - 1  # 14-bit activations are finer than any trained network needs


class ProductLayer(nn.Module):
    """A linear layer with a float form and an exact form; see the module's text.

    In float form it can watch the largest input magnitude it meets (`observe`), from which `make_exact`
    sets the activation step. Afterwards `weight` is int8 and the layer only runs exactly.
    """

    sum_type = torch.float32  # what exact sums are made in; see self_test.py
    weight: Tensor
    bias: Tensor
    affine: Tensor
    input_peak: Tensor
    output_scale: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.register_buffer("input_peak", torch.zeros(()), persistent=False)
        self.observe = False
        self.exact = False

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's sum of products, in the order that is fastest here."""
        raise NotImplementedError

    def by_kernel(self, x: Tensor) -> Tensor | None:
        """The exact layer's result from a compiled kernel, or None where there is none for it."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        if self.exact:
            if kernels.usable(x) and (y := self.by_kernel(x)) is not None:
                return y
            q = (x * self._input_scale).round_().clamp_(-self._input_limit, self._input_limit)
            sums = self.product(q.to(self.sum_type), self.weight.to(self.sum_type), None).float()
            return sums.mul_(self.output_scale).add_(self.bias)
        if self.observe:
            self.input_peak = torch.maximum(self.input_peak, x.detach().abs().amax().float())
        return self.product(x, self.weight, self.bias)

    def make_exact(self) -> None:
        """Replace the float weights by integers and fix the activation step from the observed peak."""
        weight = self.weight.detach().double()
        rows = weight.flatten(1)
        peak = rows.abs().amax(1)
        scale = torch.where(peak > 0, peak / WEIGHT_MAX, torch.ones_like(peak))
        integers = (rows / scale[:, None]).round()
        limit = min(ACTIVATION_MAX, int(EXACT_SUM_LIMIT // max(1.0, integers.abs().sum(1).amax().item())))
        step = max(float(self.input_peak), 1e-6) / limit
        affine = torch.zeros(2, len(scale) + 1)
        affine[0, :-1], affine[1, :-1] = scale * step, self.bias.detach()
        affine[0, -1], affine[1, -1] = 1.0 / step, limit
        self.set_exact(integers.reshape(weight.shape).to(torch.int8), affine)

    def set_exact(self, weight: Tensor, affine: Tensor) -> None:
        """Take over exact parameters, as `make_exact` made them or as a weights file holds them.

        weight: int8. affine: float32 [2, n_out + 1], each output's scale and bias, and in the last column
        what inputs are multiplied with before rounding and the magnitude they are clamped to.
        Raises ValueError where they could overflow an exact sum: the file is then not a model of ours.
        """
        sums = int(weight.flatten(1).short().abs().sum(1).amax())
        limit = float(affine[1, -1])
        if not 0 < limit <= ACTIVATION_MAX or sums * limit > EXACT_SUM_LIMIT:
            raise ValueError("a product could exceed the range in which float32 sums are exact")
        for name in ("weight", "bias"):
            del self._parameters[name]
        self.register_buffer("weight", weight)
        self.register_buffer("affine", affine)
        self.register_buffer("output_scale", affine[0, :-1].clone(), persistent=False)
        self.register_buffer("bias", affine[1, :-1].clone(), persistent=False)
        self._input_scale, self._input_limit = float(affine[0, -1]), limit
        self.exact = True


class Pointwise(ProductLayer):
    """A 1x1 convolution: the same matrix at every position."""

    def __init__(self, n_in: int, n_out: int, *, silent: bool = False) -> None:
        """`silent` starts with zeros, so that what it feeds is at first unchanged."""
        weight = torch.empty(n_out, n_in)
        nn.init.xavier_uniform_(weight)
        super().__init__(torch.zeros_like(weight) if silent else weight, torch.zeros(n_out))

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)

    @cached_property
    def packed(self) -> Packed:
        """The exact layer as kernels read it."""
        from nvc.kernels.networks import pack_pointwise

        return pack_pointwise(self.weight.numpy(), self.affine.numpy())

    def by_kernel(self, x: Tensor) -> Tensor:
        from nvc.kernels.networks import pointwise

        return torch.from_numpy(pointwise(x.numpy(), self.packed))


class Depthwise(ProductLayer):
    """A 3x3 convolution of each channel by itself, zero-padded."""

    def __init__(self, n_channels: int) -> None:
        weight = torch.empty(n_channels, 1, 3, 3).uniform_(-0.1, 0.1)
        weight[:, :, 1, 1] += 1.0
        super().__init__(weight, torch.zeros(n_channels))

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1, groups=weight.shape[0])
        return y.permute(0, 2, 3, 1)

    @cached_property
    def packed(self) -> Packed:
        """The exact layer as kernels read it."""
        from nvc.kernels.networks import pack_depthwise

        return pack_depthwise(self.weight.numpy(), self.affine.numpy())


class Block(nn.Module):
    """The one block: depthwise stage, then gated feed-forward, each with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = Pointwise(width, width)
        self.spread = Depthwise(width)
        self.leave = Pointwise(width, width, silent=True)
        self.widen = Pointwise(width, 2 * width)
        self.narrow = Pointwise(width, width, silent=True)

    @cached_property
    def packed(self) -> PackedBlock:
        """The exact block as kernels read it."""
        from nvc.kernels.networks import PackedBlock

        return PackedBlock(
            self.enter.packed, self.spread.packed, self.leave.packed, self.widen.packed, self.narrow.packed
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.enter.exact and kernels.usable(x):
            from nvc.kernels.networks import block

            return kernels.each(partial(block, layers=self.packed), x)
        x = x + self.leave(self.spread(F.leaky_relu(self.enter(x), 0.125)))
        value, gate = self.widen(x).chunk(2, dim=-1)
        return x + self.narrow(value * hard_sigmoid(gate))


def hard_sigmoid(x: Tensor) -> Tensor:
    """clamp(x / 4 + 1/2, 0, 1): two exact scalings, no library's own idea of it."""
    return (x * 0.25 + 0.5).clamp(0.0, 1.0)


def blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(depth)))


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """[b, h, w, c] -> [b, h / factor, w / factor, factor * factor * c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """[b, h, w, factor * factor * c] -> [b, h * factor, w * factor, c]: undoes `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // factor**2)


def pad_to_multiple(x: Tensor, factor: int) -> Tensor:
    """Repeat the last row and column of [b, h, w, c] until both sizes are multiples of `factor`."""
    _, h, w, _ = x.shape
    if h % factor:
        x = torch.cat([x, x[:, -1:].expand(-1, factor - h % factor, -1, -1)], dim=1)
    if w % factor:
        x = torch.cat([x, x[:, :, -1:].expand(-1, -1, factor - w % factor, -1)], dim=2)
    return x


def downsample(x: Tensor) -> Tensor:
    """Half resolution, four times the channels; odd sizes are padded first."""
    return space_to_depth(pad_to_multiple(x, 2), 2)


def upsample_to(x: Tensor, like: Tensor) -> Tensor:
    """Double resolution, a quarter of the channels, cropped to the size of `like`."""
    return depth_to_space(x, 2)[:, : like.shape[1], : like.shape[2]]


def product_layers(module: nn.Module) -> dict[str, ProductLayer]:
    """All product layers of a network by name."""
    return {name: m for name, m in module.named_modules() if isinstance(m, ProductLayer)}
