"""nvc itself as a codec of the benchmark: whole files in and out, as its commands make them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bitstream_spec import FramePacket, StreamReader
from nvc.bench.clip import Clip
from nvc.bench.codec import LOW_DELAY, BenchCodec, Coded
from nvc.bench.stopwatch import Stopwatch
from nvc.frames import Frame
from nvc.media import open_video

_PACKAGE = Path(__file__).resolve().parents[1]
_NOT_CODING = {"bench", "training"}


@dataclass(frozen=True)
class NvcCodec(BenchCodec):
    """The encoder with one model and preset. `id` tells the weights and the program apart from others.

    layers: of the stream that is made; prefix: of the one that is measured, which has the lowest of them.
    """

    name: str
    id: str
    model: str
    qps: tuple[int, ...]
    preset: str = "medium"
    device: str = "cpu"
    threads: int = 1
    kmac_per_pixel_intra: float | None = None
    kmac_per_pixel_inter: float | None = None
    parameters: int | None = None
    protocol: str = LOW_DELAY
    layers: int = 1
    prefix: int = 1

    @property
    def version(self) -> str:
        return self.id

    def settings(self, qp: int, keyint: int) -> str:
        where = f"--device {self.device} --threads {self.threads}"
        command = (
            f"nvc encode --model {self.model} --preset {self.preset} --qp {qp} --keyint {keyint} "
            f"--no-scene-cut {where}"
        )
        if self.layers > 1:
            command += f" --layers {self.layers}, {self.prefix} of them kept"
        return command

    def layered(self, n_layers: int) -> list[NvcCodec]:
        """The same encoder making layers: the measure of each prefix of them."""
        name = f"{self.name}_layers{n_layers}"
        return [
            replace(
                self,
                name=name if prefix == n_layers else f"{name}_first{prefix}",
                layers=n_layers,
                prefix=prefix,
                kmac_per_pixel_intra=None,
                kmac_per_pixel_inter=None,
            )
            for prefix in range(1, n_layers + 1)
        ]

    def kmac_per_pixel(self, n_frames: int, keyint: int) -> float | None:
        intra, inter = self.kmac_per_pixel_intra, self.kmac_per_pixel_inter
        if intra is None or inter is None:
            return None
        n_intra = -(-n_frames // keyint) if keyint > 0 else 1
        return round((n_intra * intra + (n_frames - n_intra) * inter) / n_frames, 3)

    def code(self, clip: Clip, qp: int, keyint: int, folder: Path) -> Coded:
        import nvc
        from nvc.model_store import load_model

        load_model(self.model, self.device)  # loading torch and weights is not coding
        source = clip.write_y4m(clip.raw.with_suffix(".y4m"))
        stream = folder / "coded.nvc"
        config = nvc.EncoderConfig(
            model=self.model,
            qp=qp,
            layers=self.layers,
            keyint=keyint,
            scene_cut=False,
            preset=self.preset,
            device=self.device,
            threads=self.threads,
        )
        encode, decode = Stopwatch(), Stopwatch()
        with encode:
            nvc.encode(source, stream, config)
        if self.prefix < self.layers:
            whole, stream = stream, folder / "extracted.nvc"
            nvc.extract(whole, stream, layers=self.prefix)
        frames = self._decode(stream, folder / "decoded.y4m", decode)
        return Coded(stream.stat().st_size, _packet_sizes(stream), frames, encode, decode)

    def _decode(self, stream: Path, output: Path, watch: Stopwatch) -> Iterator[Frame]:
        import nvc

        with watch:
            nvc.decode(stream, output, device=self.device, threads=self.threads)
        with open_video(output) as reader:
            yield from (item for item in reader if isinstance(item, Frame))


def make_nvc_codec(model: str, qps: tuple[int, ...], preset: str, device: str, threads: int) -> NvcCodec:
    """Look the weights up, by name, id or file.

    Raises ModelError if the weights are not installed.
    """
    from nvc.model_store import find_model, installed_models

    entry = find_model(model)
    # By its id the encoder and the decoder share one copy; a file elsewhere has no id that is known.
    is_installed = any(other.model_id == entry.model_id for other in installed_models())
    name = f"nvc_{entry.name}" + ("" if preset == "medium" else f"_{preset}")
    parameters = entry.card.get("parameters")
    return NvcCodec(
        name=name,
        id=f"weights {entry.model_id}, program {program_id()}",
        model=entry.model_id if is_installed else model,
        qps=qps,
        preset=preset,
        device=device,
        threads=threads,
        kmac_per_pixel_intra=_number(entry.card.get("decode_kmac_per_pixel_intra")),
        kmac_per_pixel_inter=_number(entry.card.get("decode_kmac_per_pixel_inter")),
        parameters=int(parameters) if parameters is not None else None,
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def program_id() -> str:
    """Hash the source of everything that codes: a row measured with other source is not reused."""
    digest = hashlib.sha256()
    for package in (_PACKAGE, _PACKAGE.parent / "bitstream_spec"):
        for path in sorted(package.rglob("*.py")):
            if not _NOT_CODING & set(path.relative_to(package).parts):
                digest.update(path.relative_to(package.parent).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _packet_sizes(path: Path) -> list[int]:
    """Return the payload bytes of each frame, in display order; headers and index are not among them."""
    with path.open("rb") as file:
        return [
            sum(len(part.payload) for part in item.substreams)
            for item in StreamReader(file)
            if isinstance(item, FramePacket)
        ]
