"""Streams that are still on their way: growing files, and pipes from the encoder to the decoder."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import nvc
from nvc.files.pending import part_path, pending_file


def test_a_growing_file(stream: Path, tmp_path: Path) -> None:
    growing, decoded = tmp_path / "growing.nvc", tmp_path / "out.y4m"
    data = stream.read_bytes()

    def write() -> None:
        time.sleep(0.2)
        with growing.open("wb", buffering=0) as file:
            for begin in range(0, len(data), 1500):
                file.write(data[begin : begin + 1500])
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    began = time.monotonic()
    summary = nvc.decode(growing, decoded, threads=1, follow_s=60)
    assert time.monotonic() - began < 50  # the trailer ends it, not the clock
    writer.join()
    assert summary.fault is None
    assert decoded.read_bytes() == stream.with_name("recon.y4m").read_bytes()


def test_an_output_is_followed_under_its_final_name(stream: Path, tmp_path: Path) -> None:
    final, decoded = tmp_path / "a.nvc", tmp_path / "out.y4m"
    data = stream.read_bytes()
    half_decoded = threading.Event()

    def write() -> None:
        with pending_file(final) as file:
            file.write(data[: len(data) // 2])
            assert half_decoded.wait(60)
            assert not final.exists()
            file.write(data[len(data) // 2 :])

    writer = threading.Thread(target=write)
    writer.start()
    summary = nvc.decode(final, decoded, threads=1, follow_s=60, on_frame=lambda _: half_decoded.set())
    writer.join()
    assert summary.fault is None
    assert decoded.read_bytes() == stream.with_name("recon.y4m").read_bytes()
    assert not part_path(final).exists()


def test_patience_ends(stream: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.nvc"
    cut.write_bytes(stream.read_bytes()[: stream.stat().st_size * 2 // 3])
    summary = nvc.decode(cut, tmp_path / "out.y4m", threads=1, follow_s=0.3)
    assert summary.fault is not None
    assert "without its trailer" in summary.fault
    with pytest.raises(nvc.MediaError, match="no such file"):
        nvc.decode(tmp_path / "never.nvc", tmp_path / "b.y4m", follow_s=0.3)


def test_from_the_encoder_to_the_decoder(clip: Path, stream: Path, tiny_model: str, tmp_path: Path) -> None:
    target = tmp_path / "out.y4m"
    line = [sys.executable, "-m", "nvc_cli"]
    quietly = ["--threads", "1", "--quiet"]
    coding = ["--model", tiny_model, "-q", "30", "--keyint", "4", "--no-scene-cut", *quietly]
    encoder = subprocess.Popen([*line, "encode", str(clip), "-", *coding], stdout=subprocess.PIPE)
    assert encoder.stdout is not None
    with encoder.stdout:
        decoding = [*line, "decode", "-", str(target), "--follow", *quietly]
        decoder = subprocess.Popen(decoding, stdin=encoder.stdout)
    assert (encoder.wait(300), decoder.wait(300)) == (0, 0)
    assert target.read_bytes() == stream.with_name("recon.y4m").read_bytes()
