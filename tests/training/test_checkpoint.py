"""What a run begins with: the values of another codec, also of one with narrower networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nvc.models.codec import Codec
from nvc.models.config import CodecConfig
from nvc.models.quantiser import TrainingPort
from nvc.training.checkpoint import set_parameters

NARROW = CodecConfig("narrow", 64, 8, 8, 1, 1, 1, 1, 4, 8)
SIZE = 1, 48, 64


def codec_of(config: CodecConfig, seed: int) -> Codec:
    """One whose networks all have something to say."""
    torch.manual_seed(seed)
    codec = Codec(config)
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return codec


def coded(codec: Codec) -> list[torch.Tensor]:
    """A picture, what it leaves, and its bits."""
    generator = torch.Generator().manual_seed(2)
    planes = [40 * torch.randn(1, *size, generator=generator) for size in ((48, 64), (24, 32), (24, 32))]
    port = TrainingPort("hard", 0.7)
    with torch.no_grad():
        left = codec.code_intra((planes[0], planes[1], planes[2]), SIZE, torch.full((1, 1, 1), 20), port)
    return [*left.picture, left.features, left.state, *port.bits.values()]


@pytest.mark.parametrize("width", [8, 12, 24])
def test_a_wider_intra_coder_begins_as_the_narrow_one(width: int) -> None:
    narrow = codec_of(NARROW, 1)
    wide = Codec(replace(NARROW, intra_width_16=width))
    set_parameters(wide, dict(narrow.named_parameters()))
    for a, b in zip(coded(wide), coded(narrow), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


def test_what_is_new_can_learn() -> None:
    wide = Codec(replace(NARROW, intra_width_16=12))
    set_parameters(wide, dict(codec_of(NARROW, 1).named_parameters()))
    port = TrainingPort("mixed", 0.7)
    planes = [40 * torch.randn(1, *size) for size in ((48, 64), (24, 32), (24, 32))]
    wide.code_intra((planes[0], planes[1], planes[2]), SIZE, torch.full((1, 1, 1), 20), port)
    sum(bits.sum() for bits in port.bits.values()).backward()  # type: ignore[union-attr]
    gradient = wide.intra.latent_coder.spatial_prior[0].enter.weight.grad
    assert gradient is not None
    assert gradient[:8, 8:].abs().sum() > 0  # of what the old does not listen to yet


def test_values_of_a_wider_codec_are_passed_over() -> None:
    narrow, before = codec_of(NARROW, 1), codec_of(NARROW, 1)
    wide = codec_of(replace(NARROW, intra_width_16=12), 3)
    set_parameters(narrow, {n: p for n, p in wide.named_parameters() if n.startswith("intra.latent_coder")})
    a = narrow.intra.latent_coder.prior[0].enter.weight
    assert torch.equal(a, before.intra.latent_coder.prior[0].enter.weight)
