"""An untrained small codec, exact, shared by the codec tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nvc.entropy.tables import laplace_tables
from nvc.model_store import Model, load_model, write_model
from nvc.models.codec import Codec
from nvc.models.config import CodecConfig
from nvc.models.exact import make_exact
from nvc.models.quantiser import Bank, EncoderPort, scale_table

TABLES = laplace_tables(scale_table() * len(Bank))
SMALL = CodecConfig("small", 384, 16, 16, 1, 1, 1, 1, 4, 16, intra_width_16=24)


def run_codec(codec: Codec) -> None:
    """Code two noisy frames, as a stand-in for calibration on video."""
    generator = torch.Generator().manual_seed(5)
    y = torch.rand(1, 64, 96, generator=generator) * 200 - 100
    u, v = y[:, ::2, ::2] * 0.3, y[:, 1::2, ::2] * 0.2
    for qp_value in (0, 30, 63):
        qp = torch.full((1, 1, 1), qp_value)
        reference = codec.code_intra((y, u, v), (1, 64, 96), qp, EncoderPort())
        vectors = torch.randn(1, 8, 12, 2, generator=generator).mul(8).round()
        port = EncoderPort()
        vectors = codec.code_vectors(vectors, reference, qp, port)
        codec.code_inter((y, u, v), vectors, reference, qp, port)


def perturb(codec: Codec) -> None:
    """Make every silent layer speak, so that tests see all of the network at work."""
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in codec.parameters():
            if parameter.ndim == 2 and not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    taps = codec.adaptive_filter.taps
    taps[:] = torch.randint(-9, 10, taps.shape, generator=generator).float()


@pytest.fixture(scope="session")
def untrained_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    codec = Codec(SMALL)
    make_exact(codec, run_codec)
    return write_model(codec, TABLES, {"data": "none"}, tmp_path_factory.mktemp("w"))


@pytest.fixture(scope="session")
def speaking_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    codec = Codec(SMALL)
    perturb(codec)
    make_exact(codec, run_codec)
    return write_model(codec, TABLES, {"data": "none"}, tmp_path_factory.mktemp("w"))


@pytest.fixture
def speaking_model(speaking_weights: Path) -> Model:
    return load_model(str(speaking_weights))
