"""Weights: finding, loading and writing `<model>-<id>.safetensors` files.

A file holds the exact networks, the encoder's float networks, the integer entropy tables and a card that
says how it was trained. A stream names its weights by the first eight bytes of the file's SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save

from nvc.entropy.rans import RansCoder
from nvc.entropy.tables import CdfTables
from nvc.errors import ModelError
from nvc.models.codec import Codec
from nvc.models.config import CodecConfig
from nvc.models.exact import exact_tensors, load_exact
from nvc.models.quantiser import N_TABLES

MODEL_ID_BYTES = 8
_PACKAGE = Path(__file__).resolve().parent
WEIGHT_FOLDERS = (_PACKAGE / "weights", _PACKAGE.parent / "weights")  # installed; in a checkout


@dataclass(frozen=True)
class ModelEntry:
    """One weights file. card: how it was trained and what it costs, as its maker wrote it."""

    name: str
    model_id: str  # 16 hex digits
    path: Path
    size_bytes: int
    config: dict[str, Any]
    card: dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A codec ready to code: exact networks and the coder for its symbols."""

    entry: ModelEntry
    codec: Codec
    coder: RansCoder


def installed_models() -> list[ModelEntry]:
    """All weights files that came with nvc, by name, newest first within a name."""
    found: dict[str, ModelEntry] = {}
    for folder in WEIGHT_FOLDERS:
        for path in sorted(folder.glob("*.safetensors")):
            entry = read_entry(path)
            found.setdefault(entry.model_id, entry)
    entries = sorted(found.values(), key=lambda e: str(e.card.get("date", "")), reverse=True)
    return sorted(entries, key=lambda e: e.name)


def read_entry(path: Path) -> ModelEntry:
    """Read what a weights file says of itself. Raises ModelError."""
    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
        config = json.loads(metadata["config"])
        card = json.loads(metadata["card"])
        return ModelEntry(
            str(config["name"]), digest[:MODEL_ID_BYTES].hex(), path, path.stat().st_size, config, card
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: not a weights file of nvc ({error})") from error


def find_model(wanted: str) -> ModelEntry:
    """Find weights by model name (the newest), by id (16 hex digits) or by path. Raises ModelError."""
    if wanted.endswith(".safetensors"):
        return read_entry(Path(wanted))
    entries = installed_models()
    for entry in entries:
        if wanted in (entry.name, entry.model_id):
            return entry
    known = ", ".join(f"{e.name} ({e.model_id})" for e in entries) or "none"
    raise ModelError(f"weights {wanted!r} are not installed; installed: {known}")


@lru_cache(maxsize=4)
def load_model(wanted: str, device: str = "cpu") -> Model:
    """Load weights (see `find_model`) and check that they are what they say. Raises ModelError."""
    entry = find_model(wanted)
    data = entry.path.read_bytes()
    if hashlib.sha256(data).digest()[:MODEL_ID_BYTES].hex() != entry.model_id:
        raise ModelError(f"{entry.path} has changed while it was read")
    try:
        tensors = load(data)
        codec = Codec(CodecConfig(**entry.config))
        tables = CdfTables(
            tensors.pop("cdf_frequencies").numpy().astype(np.int32), tensors.pop("cdf_sizes").numpy()
        )
        if len(tables.sizes) != N_TABLES:
            raise ModelError(
                f"{entry.path}: weights with {len(tables.sizes)} entropy tables, where this version of nvc "
                f"uses {N_TABLES}: they were made for another"
            )
        load_exact(codec, tensors)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{entry.path}: damaged weights ({error})") from error
    return Model(entry, codec.to(torch.device(device)), RansCoder(tables))


def write_model(codec: Codec, tables: CdfTables, card: dict[str, Any], folder: Path) -> Path:
    """Write an exact codec as `<model>-<first 8 hex digits of its id>.safetensors`; returns the path."""
    tensors = exact_tensors(codec)
    tensors["cdf_frequencies"] = torch.from_numpy(tables.frequencies.astype(np.uint16))
    tensors["cdf_sizes"] = torch.from_numpy(tables.sizes)
    metadata = {"config": json.dumps(codec.config.to_dict()), "card": json.dumps(card)}
    data = save(tensors, metadata)
    name = f"{codec.config.name}-{hashlib.sha256(data).hexdigest()[:8]}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path
