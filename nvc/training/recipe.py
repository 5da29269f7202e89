"""Training recipes: what a TOML file may say, checked once when it is read."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nvc.errors import ConfigError
from nvc.models.config import CONFIGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Stage:
    """One stage: which networks learn, from what, how fast and for how long."""

    name: str
    trains: tuple[str, ...]  # prefixes of parameter names; "" is everything
    steps: int  # at least this many optimiser steps, unless `minutes` end it first
    minutes: float = 0.0  # 0 = no limit by time
    chain: int = 1  # frames of a sample, coded one after the other; 1 trains intra coding alone
    window: int = 1  # frames of the chain between optimiser steps, through which gradients pass
    batch: int = 8
    crop: int = 128
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4  # reached along half a cosine
    warm_up: int = 100  # steps
    quantiser: str = "mixed"
    thrift: float = 1.0  # of the quantiser, see quantiser.thrifty_round
    weight_rate: float = 1.0  # 0 trains for distortion alone
    weight_prediction: float = 0.0  # of the prediction's distortion, beside that of the decoded picture
    latent_steps: int = 0  # that latents of I frames are moved by, see nvc/latent_search.py
    map_share: float = 0.25  # share of batches in which qp varies in space
    edge_share: float = 0.0  # share of samples chosen for their edges, see Sampler


@dataclass(frozen=True)
class Recipe:
    """A whole training run."""

    model: str
    inputs: tuple[Path, ...]
    cache: Path
    stages: tuple[Stage, ...]
    seed: int = 1
    start: Path | None = None  # what to begin from: another run's checkpoint, or a weights file
    ema: float = 0.999


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it are relative to the working directory. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        stages = tuple(_stage(s) for s in data.pop("stages"))
        data["inputs"] = tuple(Path(p) for p in data["inputs"])
        data["cache"] = Path(data["cache"])
        if "start" in data:
            data["start"] = Path(data["start"])
        recipe = Recipe(stages=stages, **data)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if recipe.model not in CONFIGS:
        raise ConfigError(f"{path}: unknown model {recipe.model!r}; known are {', '.join(CONFIGS)}")
    return recipe


def _stage(data: dict[str, Any]) -> Stage:
    known = {f.name for f in fields(Stage)}
    unknown = set(data) - known
    if unknown:
        raise KeyError(f"unknown keys in a stage: {', '.join(sorted(unknown))}")
    data["trains"] = tuple(data["trains"])
    return Stage(**data)
