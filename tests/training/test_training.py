"""From clips to weights and on from them: the whole road of `nvc train` and `nvc export`, a few steps."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from nvc.errors import ConfigError
from nvc.media import VideoInfo, open_output
from nvc.media.synthetic import natural_clip
from nvc.model_store import load_model, read_entry
from nvc.models.exact import exact_tensors, float_parameters
from nvc.models.picture_coder import Reference
from nvc.training.checkpoint import read_checkpoint, read_start
from nvc.training.data import Cache, Sampler, _edge_clarity
from nvc.training.recipe import read_recipe
from nvc.training.trainer import Trainer, detach
from nvc_cli.__main__ import nvc

RECIPE = """
model = "tiny"
inputs = ["{clips}"]
cache = "{cache}"
{start}
[[stages]]
name = "intra"
trains = ["intra"]
steps = 2
batch = 2
crop = 192
latent_steps = 1
edge_share = 0.5
[[stages]]
name = "inter"
trains = ["inter", "motion"]
steps = 2
chain = 5
window = 2
batch = 1
crop = 192
weight_prediction = 0.2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of three sources, of which one is held back, and a run over them."""
    top = tmp_path_factory.mktemp("training")
    (top / "clips").mkdir()
    for name in ("apple", "birch", "cedar"):
        info = VideoInfo(208, 192, Fraction(1, 25), Fraction(25))
        with open_output(top / "clips" / f"{name}_0.mkv", info) as writer:
            for frame in natural_clip(208, 192, 7, seed=len(name)):
                writer.write(frame)
    return top


def train(folder: Path, name: str, start: str = "") -> Path:
    recipe = folder / f"{name}.toml"
    recipe.write_text(RECIPE.format(clips=folder / "clips", cache=folder / "cache", start=start))
    run = folder / name
    arguments = ["train", str(recipe), "--run", str(run), "--threads", "1", "--quiet"]
    result = CliRunner().invoke(nvc, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return run


def test_train_export_and_go_on_from_the_weights(folder: Path) -> None:
    run = train(folder, "first")
    saved = read_checkpoint(run / "checkpoint")
    assert saved is not None
    assert (saved["position"]["total_steps"], saved["stages"]) == (4, ["intra", "inter"])
    result = CliRunner().invoke(nvc, ["export", str(run), str(folder / "out")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    path = Path(result.stdout.strip())
    assert read_entry(path).card["steps"] == 4

    again = train(folder, "second", f'start = "{path}"')
    moved = read_checkpoint(again / "checkpoint")
    assert moved is not None
    start = read_start(path)
    for name, value in saved["average"].items():
        # int8 rows and half precision knots
        assert torch.allclose(start[name], value, atol=float(value.abs().max()) / 120 + 1e-6), name
    assert any(not torch.equal(moved["average"][name], start[name]) for name in saved["average"])


def test_a_finished_run_stays_as_it_is(folder: Path) -> None:
    before = read_checkpoint(train(folder, "third") / "checkpoint")
    after = read_checkpoint(train(folder, "third") / "checkpoint")
    assert before is not None
    assert after is not None
    assert before["position"] == after["position"]
    assert all(torch.equal(before["average"][name], after["average"][name]) for name in before["average"])


def test_weights_are_what_they_stand_for() -> None:
    """Frozen again from their own float parameters, int8 weights are the same integers."""
    codec = load_model("tiny").codec
    values = float_parameters(codec)
    integers = exact_tensors(codec)["weights"]
    position = 0
    for name, value in values.items():
        if name.endswith(".weight"):
            rows = value.flatten(1)
            scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            n = rows.numel()
            stored = integers[position : position + n].reshape(rows.shape)
            position += n
            full = stored.abs().amax(1) == 127
            assert torch.equal((rows / scale).round().to(torch.int8)[full], stored[full]), name


def test_a_start_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint to start from"):
        read_start(tmp_path / "nothing")


@pytest.mark.parametrize(("first_window", "cuts"), [(1, [1, 3]), (2, [0, 2])])
def test_windows_begin_where_they_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, first_window: int, cuts: list[int]
) -> None:
    train(folder, "first")
    recipe = read_recipe(folder / "first.toml")
    stage, cache = recipe.stages[1], Cache(recipe.cache)
    trainer = Trainer(recipe, cache, folder / "windows", log=lambda row: None)
    n_yielded, found = 0, []

    def cut(reference: Reference) -> Reference:
        found.append(n_yielded)
        return detach(reference)

    monkeypatch.setattr("nvc.training.trainer.detach", cut)
    batch = next(iter(Sampler(cache, stage.crop, stage.chain, stage.batch, seed=1)))
    for _ in trainer.code_chain(batch, torch.full((1, 1, 1), 30), stage, first_window):
        n_yielded += 1
    assert n_yielded == stage.chain - 1
    assert found == cuts


def test_chains_have_golden_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyframe and the last kept P frame, cut off where a window ends."""
    train(folder, "first")
    recipe = read_recipe(folder / "first.toml")
    stage, cache = replace(recipe.stages[1], chain=7, window=1), Cache(recipe.cache)
    trainer = Trainer(recipe, cache, folder / "golden", log=lambda row: None)
    found: list[int] = []

    def cut(reference: Reference) -> Reference:
        detached = detach(reference)
        assert not any(plane.requires_grad for golden in detached.goldens for plane in golden.picture)
        found.append(len(detached.goldens))
        return detached

    monkeypatch.setattr("nvc.training.trainer.detach", cut)
    batch = next(iter(Sampler(cache, stage.crop, stage.chain, 2, seed=1)))
    costs = list(trainer.code_chain(batch, torch.full((1, 1, 1), 30), stage))
    assert found == [0, 1, 1, 1, 1, 2]
    assert all(cost.total().shape == (2,) for cost, _ in costs)


def test_samples_are_chosen_for_their_edges(folder: Path) -> None:
    train(folder, "first")
    cache = Cache(read_recipe(folder / "first.toml").cache)

    def mean_clarity(edge_share: float) -> float:
        batches = iter(Sampler(cache, 96, 1, 12, seed=3, edge_share=edge_share))
        return float(np.mean([_edge_clarity(luma) for luma in next(batches).y[:, 0]]))

    assert mean_clarity(1.0) > mean_clarity(0.0)
    ramp = np.arange(64, dtype=np.uint8)[None].repeat(64, 0)
    assert _edge_clarity(np.where(ramp < 32, 20, 200).astype(np.uint8)) > 10 * _edge_clarity(ramp)
