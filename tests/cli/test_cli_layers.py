"""Layers through the commands: encode, extract, decode, info, verify, and damage to an upper layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bitstream_spec import FramePacket, StreamReader
from nvc_cli.__main__ import nvc


def run(*arguments: object) -> Result:
    return CliRunner().invoke(nvc, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def layered(clip: Path, tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers") / "clip.nvc"
    result = run(
        "encode", clip, path, "--model", tiny_model, "--layer-qp", "50,30,12",
        "--keyint", 4, "--no-scene-cut", "--threads", 1, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    layers = json.loads(result.stdout)["layers"]
    assert [layer["qp_offset"] for layer in layers] == [38, 18, 0]
    assert [layer["psnr_yuv_db"] for layer in layers] == sorted(layer["psnr_yuv_db"] for layer in layers)
    return path


def damage_upper_layer(path: Path, copy: Path) -> None:
    """Flip a byte of the middle layer of the sixth frame."""
    with open(path, "rb") as file:
        frames = [item for item in StreamReader(file) if isinstance(item, FramePacket)]
    data = bytearray(path.read_bytes())
    payload = frames[5].layers[1].payload
    place = data.index(payload)
    assert data.count(payload) == 1
    data[place + len(payload) // 2] ^= 0x10
    copy.write_bytes(data)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_an_extract_decodes_like_the_lower_layers(layered: Path, tmp_path: Path, n_layers: int) -> None:
    part, one, other = tmp_path / "part.nvc", tmp_path / "one.y4m", tmp_path / "other.y4m"
    assert run("extract", layered, part, "--layers", n_layers).exit_code == 0
    assert run("decode", layered, one, "--layers", n_layers).exit_code == 0
    shown = run("decode", part, other, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["n_reduced_frames"] == (12 if n_layers < 3 else 0)
    assert one.read_bytes() == other.read_bytes()
    assert (part.read_bytes() == layered.read_bytes()) is (n_layers == 3)
    check = run("verify", part)
    assert check.exit_code == 0
    assert ("without upper layers" in check.output) is (n_layers < 3)
    counted = json.loads(run("info", part, "--json").stdout)
    assert list(counted["substream_bytes"]) == [f"layer_{index}" for index in range(n_layers)]
    assert len(counted["layers"]) == 3
    assert "3, qp +38 +18 +0" in run("info", part).output


def test_a_damaged_upper_layer_leaves_the_lower_ones(layered: Path, tmp_path: Path) -> None:
    broken, shown = tmp_path / "broken.nvc", tmp_path / "shown.y4m"
    damage_upper_layer(layered, broken)
    result = run("decode", broken, shown, "--json")
    assert result.exit_code == 1
    assert "Error: frame 5: layer 1 is damaged (3 frames in" in result.output
    summary = json.loads(result.stdout.splitlines()[0])
    assert (summary["n_frames"], summary["n_reduced_frames"], summary["fault"]) == (12, 3, None)
    check = run("verify", broken, "--json")
    assert check.exit_code == 1
    assert json.loads(check.stdout.splitlines()[0])["faults"] == ["frame 5: layer 1 is damaged"]
    assert run("decode", broken, tmp_path / "base.y4m", "--layers", 1).exit_code == 0
    assert run("extract", broken, tmp_path / "base.nvc", "--layers", 1).exit_code == 0
    result = run("extract", broken, tmp_path / "two.nvc", "--layers", 2)
    assert result.exit_code == 1
    assert "frame 5: layer 1 is damaged" in result.output
    assert not (tmp_path / "two.nvc").exists()


def test_more_layers_than_there_are(layered: Path, stream: Path, tmp_path: Path) -> None:
    for command, suffix in (("decode", "y4m"), ("extract", "nvc")):
        result = run(command, layered, tmp_path / f"a.{suffix}", "--layers", 4)
        assert result.exit_code == 1
        assert "4 layers are asked for, and the stream has 3" in result.output
    assert run("extract", stream, tmp_path / "same.nvc", "--layers", 1).exit_code == 0
    assert (tmp_path / "same.nvc").read_bytes() == stream.read_bytes()


def test_options_that_contradict_each_other(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.nvc"
    assert run("encode", clip, out, "--layer-qp", "40,20", "--qp", 3).exit_code == 2
    assert run("encode", clip, out, "--layer-qp", "many").exit_code == 2
    assert run("encode", clip, out, "--layers", 5).exit_code == 2
