"""Encoders that the user has as programs: HM, VTM, VVenC, or any other through a template."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvc.bench.clip import Clip, raw_frames
from nvc.bench.codec import PROTOCOLS, BenchCodec, Coded
from nvc.bench.stopwatch import Stopwatch
from nvc.bench.template import BUILT_IN, Mode, Template, read_template
from nvc.errors import ConfigError, NvcError
from nvc.frames import Frame

DEFAULT_TIMEOUT_S = 24 * 3600.0
_PLACES = ("", "bin", "build/bin", "bin/release-static", "bin/release")
_CONFIG_PLACES = ("", "cfg", "../cfg", "../../cfg", "../../../cfg", "../../../../cfg")


@dataclass(frozen=True)
class ExternalCodec(BenchCodec):
    """One mode of a template, with its programs found. Seconds include reading and writing files."""

    name: str
    protocol: str
    qps: tuple[int, ...]
    template: Template
    programs: tuple[tuple[str, str], ...]
    """Paths of encoder, decoder and config, as they stand in the commands."""
    digest: str
    only_keyint: str = ""
    """The mode's own word for a keyint, where it has one."""
    timeout_s: float = DEFAULT_TIMEOUT_S

    @property
    def version(self) -> str:
        return f"{Path(dict(self.programs)['encoder']).name}, sha256 {self.digest}"

    def settings(self, qp: int, keyint: int) -> str:
        names = {name: Path(path).name for name, path in self.programs}
        places = {"yuv": "in.yuv", "y4m": "in.y4m", "stream": "out" + self.template.suffix}
        clip_words = dict.fromkeys(("width", "height", "n_frames"), "N") | dict.fromkeys(
            ("fps", "fps_num", "fps_den", "fps_rounded"), "FPS"
        )
        values = {**names, **places, **clip_words, "qp": str(qp), "keyint": self._keyint(keyint)}
        return " ".join(part.format_map(values) for part in self.template.encode)

    def code(self, clip: Clip, qp: int, keyint: int, folder: Path) -> Coded:
        stream, decoded = folder / f"coded{self.template.suffix}", folder / "decoded.yuv"
        values = self._values(clip, qp, keyint, stream, decoded)
        encode, decode = Stopwatch(), Stopwatch()
        command = [part.format_map(values) for part in self.template.encode]
        encode.run(command, folder / "encode.log", self.timeout_s)
        if not stream.exists() or not stream.stat().st_size:
            raise NvcError(f"{Path(command[0]).name} ended well but wrote no stream")
        frames = self._decode(clip, values, decoded, decode)
        return Coded(stream.stat().st_size, [], frames, encode, decode)

    def _decode(
        self, clip: Clip, values: Mapping[str, str], decoded: Path, watch: Stopwatch
    ) -> Iterator[Frame]:
        command = [part.format_map(values) for part in self.template.decode]
        watch.run(command, decoded.with_name("decode.log"), self.timeout_s)
        if not decoded.exists():
            raise NvcError(f"{Path(command[0]).name} ended well but wrote no pictures")
        if self.template.decoded_bits == 10:
            _round_to_8_bits(decoded, clip.frame_bytes)
        yield from raw_frames(decoded, clip.width, clip.height)

    def _values(self, clip: Clip, qp: int, keyint: int, stream: Path, decoded: Path) -> dict[str, str]:
        rate = clip.frame_rate
        wants_y4m = any("{y4m}" in part for part in self.template.encode)
        return {
            **dict(self.programs),
            "yuv": str(clip.raw),
            "y4m": str(clip.write_y4m(clip.raw.with_suffix(".y4m"))) if wants_y4m else "",
            "stream": str(stream),
            "decoded": str(decoded),
            "width": str(clip.width),
            "height": str(clip.height),
            "fps": f"{float(rate):.6g}",
            "fps_num": str(rate.numerator),
            "fps_den": str(rate.denominator),
            "fps_rounded": str(round(rate)),
            "n_frames": str(clip.n_frames),
            "qp": str(qp),
            "keyint": self._keyint(keyint),
        }

    def _keyint(self, keyint: int) -> str:
        if self.only_keyint:
            return self.only_keyint
        return self.template.endless if keyint < 0 else str(keyint)


def find_external(
    places: Mapping[str, str],
    templates: Sequence[Path] = (),
    qps: Mapping[str, tuple[int, ...]] | None = None,
    protocols: Sequence[str] = PROTOCOLS,
) -> tuple[list[ExternalCodec], list[str]]:
    """Find the programs of built-in templates (by name: the path of a program or folder) and of others.

    Returns the codecs of their modes in `protocols`, and a line for each one whose program is missing. `qps`
    replaces the quality settings of a template or mode. Raises ConfigError for an unknown name or a wrong
    template.
    """
    known = {path.stem: path for path in sorted(BUILT_IN.glob("*.toml"))}
    wanted: list[tuple[Template, str | None]] = []
    for name, place in places.items():
        if name not in known:
            raise ConfigError(f"anchor {name!r} is unknown: expected {', '.join(known)}, or a template")
        wanted.append((read_template(known[name]), place))
    wanted += [(read_template(path), None) for path in templates]
    codecs: list[ExternalCodec] = []
    missing: list[str] = []
    for template, where in wanted:
        for mode in (mode for mode in template.modes if mode.protocol in protocols):
            try:
                codecs.append(_locate(template, mode, where, qps or {}))
            except FileNotFoundError as exc:
                missing.append(f"left out {mode.name}: {exc}; needs {template.needs}")
    return codecs, missing


def _locate(
    template: Template, mode: Mode, place: str | None, qps: Mapping[str, tuple[int, ...]]
) -> ExternalCodec:
    encoder = _find_program(template.encoder, Path(place) if place is not None else None)
    decoder = _find_program(template.decoder, encoder.parent if place is not None else None)
    programs = [("encoder", encoder), ("decoder", decoder)]
    if mode.config:
        programs.append(("config", _find_config(mode.config, encoder)))
    digest = hashlib.sha256()
    for _, path in programs:
        digest.update(path.read_bytes())
    paths = tuple((name, str(path)) for name, path in programs)
    chosen = qps.get(mode.name, qps.get(template.name, template.qps))
    return ExternalCodec(
        mode.name, mode.protocol, chosen, template, paths, digest.hexdigest()[:12], mode.keyint
    )


def _find_program(names: Sequence[str], place: Path | None) -> Path:
    """Look in the place that the user names, a program or a folder, then on PATH."""
    if place is not None and place.is_file():
        return place.resolve()
    if place is not None:
        for path in (place / part / name for part in _PLACES for name in names):
            if path.is_file():
                return path.resolve()
    for name in names:
        found = shutil.which(name)
        if found:
            return Path(found).resolve()
    raise FileNotFoundError(f"{names[0]} was not found" + (f" in {place} or" if place else "") + " on PATH")


def _find_config(name: str, encoder: Path) -> Path:
    for part in _CONFIG_PLACES:
        path = encoder.parent / part / name
        if path.is_file():
            return path.resolve()
    raise FileNotFoundError(f"{name} was not found near {encoder}")


def _round_to_8_bits(path: Path, samples_per_frame: int) -> None:
    """Turn 10-bit samples, two bytes each, into 8-bit ones, a frame at a time, in place."""
    partial = path.with_suffix(".part")
    with path.open("rb") as source, partial.open("wb") as target:
        while data := source.read(2 * samples_per_frame):
            samples = np.frombuffer(data, "<u2")
            target.write(np.minimum((samples + 2) >> 2, 255).astype(np.uint8).tobytes())
    partial.replace(path)
