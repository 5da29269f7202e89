"""Checkpoints of a training run: a folder of pieces small enough to carry anywhere, replaced as a whole."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nvc.errors import ConfigError
from nvc.model_store import load_model
from nvc.models.exact import float_parameters

PIECE_BYTES = 15 << 20


def save_checkpoint(
    folder: Path, codec: nn.Module, average: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Write everything needed to go on; a kill at any moment leaves the old checkpoint or the new one."""
    buffer = io.BytesIO()
    parameters = {k: v.detach().cpu() for k, v in codec.named_parameters()}
    average = {k: v.cpu() for k, v in average.items()}
    torch.save({"parameters": parameters, "average": average, **state}, buffer)
    data = buffer.getbuffer()
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for i, start in enumerate(range(0, len(data), PIECE_BYTES)):
        (part / f"piece_{i:03d}").write_bytes(data[start : start + PIECE_BYTES])
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Everything a checkpoint holds, or None where there is none."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():
        folder = old
    if not folder.exists():
        return None
    data = b"".join(p.read_bytes() for p in sorted(folder.glob("piece_*")))
    saved: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return saved


def read_start(path: Path) -> dict[str, Tensor]:
    """Parameters to begin a run with: a checkpoint's averages, or those of a weights file.

    Raises ConfigError where there is no checkpoint, ModelError where the weights are damaged.
    """
    if path.suffix == ".safetensors":
        return float_parameters(load_model(str(path)).codec)
    saved = read_checkpoint(path)
    if saved is None:
        raise ConfigError(f"{path} holds no checkpoint to start from")
    average: dict[str, Tensor] = saved["average"]
    return average


def set_parameters(codec: nn.Module, values: dict[str, Tensor]) -> None:
    """Copy values into a codec; those of narrower networks are grown, those of wider ones passed over."""
    parameters = dict(codec.named_parameters())
    grown = [
        min(o for o, n in zip(value.shape, parameters[name].shape, strict=True) if o < n)
        for name, value in values.items()
        if name in parameters and _grows(value, parameters[name])
    ]
    with torch.no_grad():
        for name, value in values.items():
            if name not in parameters:
                continue
            if parameters[name].shape == value.shape:
                parameters[name].copy_(value)
            elif _grows(value, parameters[name]):
                _grow(parameters[name], value, min(grown), is_table=name.endswith("knots"))


def _grows(value: Tensor, parameter: Tensor) -> bool:
    return (
        value.ndim == parameter.ndim
        and value.shape != parameter.shape
        and all(o <= n for o, n in zip(value.shape, parameter.shape, strict=True))
    )


def _grow(parameter: Tensor, value: Tensor, width: int, *, is_table: bool) -> None:
    """Make a layer of a wider network do what a narrower one did.

    width: of the narrower network, of which a layer's inputs and outputs are several where it changes the
    resolution or has a gate. What is new keeps its start but is not listened to by what is old. (Chen et
    al., "Net2Net", 2016.)
    """
    index: list[Tensor] = []
    for old, new in zip(value.shape, parameter.shape, strict=True):
        groups = old // width if old != new else 1
        index.append(
            (torch.arange(groups)[:, None] * (new // groups) + torch.arange(old // groups)).flatten()
        )
    if value.ndim > 1 and not is_table:
        parameter[index[0]] = 0.0
    parameter[torch.meshgrid(*index, indexing="ij")] = value
