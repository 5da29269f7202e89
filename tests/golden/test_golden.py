"""Streams made by earlier versions decode to the same pixels for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitstream_spec import CorruptStream, FramePacket, StreamError, StreamReader
from nvc.decoder import Decoder
from nvc.errors import DecodeError

HERE = Path(__file__).resolve().parent
EXPECTED: dict[str, list[str]] = json.loads((HERE / "expected.json").read_text())


def decode(path: Path, *, verify: bool = False) -> list[str]:
    """Checksums of all frames of a stream."""
    with open(path, "rb") as file:
        reader = StreamReader(file)
        decoder = Decoder(reader.header, verify=verify)
        packets = [item for item in reader if isinstance(item, FramePacket)]
        return [f"{decoder.decode(packet).checksum():04x}" for packet in packets]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_golden_stream(name: str) -> None:
    assert decode(HERE / f"{name}.nvc") == EXPECTED[name]


def test_golden_streams_are_small_and_all_listed() -> None:
    files = {path.stem: path.stat().st_size for path in HERE.glob("*.nvc")}
    assert set(files) == set(EXPECTED)
    assert max(files.values()) < 10_000


@pytest.mark.parametrize("name", ["v7_still", "v7_one_pixel"])
def test_any_flipped_byte_is_an_error(name: str, tmp_path: Path) -> None:
    """A stream is covered by checksums: no byte can change unnoticed, and only our errors come out."""
    data = (HERE / f"{name}.nvc").read_bytes()
    step = max(1, len(data) // 150)
    for position in range(0, len(data), step):
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        path = tmp_path / "damaged.nvc"
        path.write_bytes(damaged)
        with pytest.raises((StreamError, CorruptStream, DecodeError)):
            decode(path, verify=True)
