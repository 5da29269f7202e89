"""`nvc info` and read_info on a stream whose every byte is known; no networks are needed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import nvc as library
from nvc_cli.__main__ import nvc


def test_read_info_counts_everything(hollow_stream: Path) -> None:
    info = library.read_info(hollow_stream)
    assert (info.n_frames, info.n_gops, info.finished, info.fault) == (8, 2, True, None)
    assert info.size_bytes == hollow_stream.stat().st_size
    assert {name: part.n_frames for name, part in info.frame_types.items()} == {"I": 2, "P": 6}
    assert info.substream_bytes == {"layer_0": 80}
    assert info.duration_s == pytest.approx(0.32)
    video_bytes = info.size_bytes - info.audio_bytes
    assert info.bpp == pytest.approx(8 * video_bytes / (8 * 64 * 48))
    assert info.bitrate_kbps == pytest.approx(8 * video_bytes / 0.32 / 1000)
    assert info.audio_bytes > 8 * 5
    json.dumps(dataclasses.asdict(info))


def test_info_of_every_prefix_says_so(hollow_stream: Path, tmp_path: Path) -> None:
    data = hollow_stream.read_bytes()
    part = tmp_path / "part.nvc"
    for size in range(0, len(data), 7):
        part.write_bytes(data[:size])
        try:
            info = library.read_info(part)
        except library.StreamError:
            continue
        assert not info.finished
        assert info.fault


def test_info_table(hollow_stream: Path) -> None:
    result = CliRunner().invoke(nvc, ["info", str(hollow_stream)])
    assert result.exit_code == 0
    lines = [line.split("  ", 1) for line in result.output.splitlines()]
    facts = {line[0].strip(): line[-1].strip() for line in lines}
    assert facts["model"] == "none (0000000000000000)"
    assert facts["picture"] == "64x48 yuv420p8"
    assert facts["frames"] == "8 in 2 GOPs"
    assert facts["audio 0"] == "pcm_s16le, 1000 Hz, mono"
    assert facts["state"] == "finished"


def test_info_json_is_one_object(hollow_stream: Path) -> None:
    result = CliRunner().invoke(nvc, ["info", str(hollow_stream), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["frame_types"]["P"]["n_frames"] == 6


def test_models_are_listed(tiny_model: str) -> None:
    result = CliRunner().invoke(nvc, ["info", "--models"])
    assert result.exit_code == 0
    assert result.output.startswith("model  id ")
    assert f"\n{tiny_model} " in result.output
    result = CliRunner().invoke(nvc, ["info", "--models", "--json"])
    assert tiny_model in [entry["name"] for entry in json.loads(result.output)["models"]]
