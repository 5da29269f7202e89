"""Checks at start that this machine computes what every other does, and else takes a slower way that does.

An exact network is exact as long as the libraries under it do what they say: sums of integers below 2**24 in
float32, one rounding for each operation. A GPU's shortened products or a compiler's liberty would break that
without a sign, and a stream would only fail at its first checksum. So a small network with sums near that
bound runs on fixed integers first, and its result is compared with a stored one.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import torch
from torch import Tensor

from nvc import kernels
from nvc.errors import NvcError
from nvc.models.exact import exact_arithmetic
from nvc.models.layers import ACTIVATION_MAX, EXACT_SUM_LIMIT, Block, Pointwise, ProductLayer, product_layers
from nvc.models.transform import N_COEFFICIENTS, PictureTransform
from nvc.models.warp import warp_features, warp_picture

EXPECTED = 0xB0462855
SIZE = 48
WIDTH = 32


@lru_cache(maxsize=4)
def check_arithmetic(device: torch.device) -> None:
    """Make sure of exact results on this device; kernels and float32 sums are given up where they fail.

    Raises NvcError where nothing gives the right result.
    """
    if _result(device) == EXPECTED:
        return
    kernels.give_up()
    if _result(device) == EXPECTED:
        return
    ProductLayer.sum_type = torch.float64
    if _result(device) != EXPECTED:
        raise NvcError(f"this machine's arithmetic on {device} is not exact: streams cannot be decoded on it")


def _result(device: torch.device) -> int:
    """CRC-32 of what fixed integers become on a frame's road: warp, transform, networks, inverse."""
    with exact_arithmetic():
        transform = PictureTransform().to(device)
        transform.luma.exact = transform.chroma.exact = True
        luma = _integers(1, SIZE, SIZE, span=255, seed=1).to(device) - 127
        chroma = _integers(2, SIZE // 2, SIZE // 2, span=255, seed=2).to(device) - 127
        vectors = _integers(1, SIZE // 8, SIZE // 8, 2, span=301, seed=3).to(device) - 150
        coefficients = transform(warp_picture((luma, chroma[:1], chroma[1:]), vectors))
        network = torch.nn.Sequential(
            _layer(Pointwise(N_COEFFICIENTS, WIDTH), 4),
            _layer(Block(WIDTH), 5),
            _layer(Pointwise(WIDTH, N_COEFFICIENTS), 6),
        ).to(device)
        moved = warp_features(network[0](coefficients), vectors[:, ::2, ::2].contiguous())
        y, u, v = transform.inverse(coefficients + network[2](network[1](moved)))
    crc = 0
    for tensor in (y, u, v):
        crc = zlib.crc32(tensor.cpu().contiguous().numpy().tobytes(), crc)
    return crc


def _layer(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Give all layers fixed weights, and activations as large as their sums allow."""
    layers = [module] if isinstance(module, ProductLayer) else list(product_layers(module).values())
    for i, layer in enumerate(layers):
        weight = (_integers(*layer.weight.shape, span=255, seed=16 * seed + i) - 127).to(torch.int8)
        n_out = len(weight)
        largest = float(weight.double().flatten(1).abs().sum(1).amax())
        affine = torch.empty(2, n_out + 1)
        affine[0, :-1] = (_integers(n_out, span=1000, seed=seed) + 1000) * 2.0**-30
        affine[1, :-1] = (_integers(n_out, span=1000, seed=seed + 1) - 500) * 2.0**-7
        affine[0, -1], affine[1, -1] = 37.0, min(ACTIVATION_MAX, int(EXACT_SUM_LIMIT // largest))
        layer.set_exact(weight, affine)
    return module


def _integers(*shape: int, span: int, seed: int) -> Tensor:
    """Float32 integers in 0..span - 1, the same everywhere: the upper bits of a multiplicative generator."""
    n = int(torch.Size(shape).numel())
    index = torch.arange(n, dtype=torch.int64) + 7919 * seed
    mixed = (index * 2654435761) % 2**32
    mixed = ((mixed ^ (mixed >> 15)) * 2246822519) % 2**32
    return ((mixed >> 8) % span).float().reshape(shape)
