"""Turns the anchors that a user names into codecs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nvc.bench.codec import PROTOCOLS
from nvc.bench.ffmpeg_codec import FfmpegCodec, ffmpeg_codecs
from nvc.errors import ConfigError


def select_anchors(
    names: Iterable[str],
    protocols: Sequence[str] = PROTOCOLS,
    qps: Mapping[str, tuple[int, ...]] | None = None,
) -> list[FfmpegCodec]:
    """Return FFmpeg codecs by family ("x264": its first preset, in all `protocols`) or by their own name.

    `qps` replaces the quality settings of a family or codec. Raises ConfigError for an unknown name.
    """
    families = ffmpeg_codecs()
    single = {codec.name: codec for codecs in families.values() for codec in codecs}
    selected: dict[str, FfmpegCodec] = {}
    for name in names:
        if name in families:
            for codec in families[name][:2]:
                if codec.protocol in protocols:
                    selected[codec.name] = codec
        elif name in single:
            selected[name] = single[name]
        else:
            raise ConfigError(f"anchor {name!r} is unknown: expected {', '.join([*families, *single])}")
    wanted = dict(qps or {})
    unknown = [name for name in wanted if name not in families and name not in single]
    if unknown:
        raise ConfigError(f"anchor {unknown[0]!r} of the quality settings is unknown")
    by_codec = {codec.name: wanted[f] for f, codecs in families.items() if f in wanted for codec in codecs}
    by_codec.update({name: values for name, values in wanted.items() if name in single})
    return [replace(codec, qps=by_codec.get(codec.name, codec.qps)) for codec in selected.values()]
