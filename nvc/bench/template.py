"""Command templates: how to run an encoder and a decoder that nvc does not contain, in TOML.

needs = "what to install"                  said when the program is missing
encoder = ["myenc"]                        names to look for, on PATH or where the user says
decoder = ["mydec"]                        the same; the encoder's again if it is left out
qps = [22, 27, 32, 37]
suffix = ".bin"                            of the stream
endless = "-1"                             the word for a keyint without end
decoded_bits = 8                           of the decoder's raw output: 8, or 10 (two bytes a sample)
encode = ["{encoder}", "-i", "{yuv}", "-q", "{qp}", "-o", "{stream}"]
decode = ["{decoder}", "-i", "{stream}", "-o", "{decoded}"]
[modes.myenc_ld]                           a row's codec name
protocol = "ld"                            or "default", or "intra"
config = "lowdelay.cfg"                    optional: {config}, looked for near the program
keyint = "1"                               optional: the word for {keyint} in this mode, whatever the run has
"""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvc.bench.codec import PROTOCOLS
from nvc.errors import ConfigError

BUILT_IN = Path(__file__).with_name("templates")
_WORDS = "encoder decoder config yuv y4m stream decoded width height fps fps_num fps_den fps_rounded"
PLACEHOLDERS = frozenset([*_WORDS.split(), "n_frames", "qp", "keyint"])
_REQUIRED = ("encoder", "qps", "encode", "decode", "modes")
_OPTIONAL: dict[str, Any] = {"needs": "", "decoder": [], "suffix": ".bin", "endless": "-1", "decoded_bits": 8}


@dataclass(frozen=True)
class Mode:
    """One way of running the encoder."""

    name: str
    protocol: str
    config: str = ""
    keyint: str = ""


@dataclass(frozen=True)
class Template:
    """What a template file says, checked."""

    name: str
    needs: str
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    qps: tuple[int, ...]
    suffix: str
    endless: str
    decoded_bits: int
    encode: tuple[str, ...]
    decode: tuple[str, ...]
    modes: tuple[Mode, ...]


def read_template(path: Path) -> Template:
    """Read a template file. Raises ConfigError with the file's name and what is wrong in it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    try:
        return _parse(path.stem, content)
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"{path}: {exc.args[0] if exc.args else exc}") from exc


def _parse(name: str, content: Mapping[str, Any]) -> Template:
    for key in _REQUIRED:
        if key not in content:
            raise ValueError(f"{key} is missing")
    unknown = set(content) - set(_REQUIRED) - set(_OPTIONAL)
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]} is not known here")
    values = {**_OPTIONAL, **content}
    if values["decoded_bits"] not in (8, 10):
        raise ValueError(f"decoded_bits {values['decoded_bits']} is neither 8 nor 10")
    return Template(
        name=name,
        needs=str(values["needs"]) or f"the programs of {name}",
        encoder=_texts(values, "encoder"),
        decoder=_texts(values, "decoder") or _texts(values, "encoder"),
        qps=tuple(int(qp) for qp in values["qps"]),
        suffix=str(values["suffix"]),
        endless=str(values["endless"]),
        decoded_bits=values["decoded_bits"],
        encode=_command(values, "encode"),
        decode=_command(values, "decode"),
        modes=tuple(_mode(key, mode) for key, mode in values["modes"].items()),
    )


def _mode(name: str, values: Mapping[str, Any]) -> Mode:
    mode = Mode(name, **values)
    if mode.protocol not in PROTOCOLS:
        raise ValueError(f"protocol {mode.protocol!r} of {name} is none of {', '.join(PROTOCOLS)}")
    return mode


def _command(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    command = _texts(values, key)
    for part in command:
        for _, field, _, _ in string.Formatter().parse(part):
            if field is not None and field not in PLACEHOLDERS:
                raise ValueError(f"{{{field}}} in {key} is not one of {', '.join(sorted(PLACEHOLDERS))}")
    if not command:
        raise ValueError(f"{key} is empty")
    return command


def _texts(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    texts = values[key]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{key} is not a list of texts")
    return tuple(texts)
