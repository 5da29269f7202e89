"""The tables of `nvc info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nvc.files.summary import StreamInfo
    from nvc.model_store import ModelEntry

_UNKNOWN = "-"


def stream_table(info: StreamInfo) -> list[str]:
    """Describe a stream, one fact or one kind of bytes per line."""
    colour = info.colour
    rows = [
        ("stream", f"{info.input}, {info.size_bytes} bytes, format {info.format_version}"),
        ("model", f"{info.model_name} ({info.model_id})"),
        ("picture", f"{info.width}x{info.height} {info.pixel_format}{', still' if info.is_still else ''}"),
        ("aspect", info.sample_aspect_ratio or _UNKNOWN),
        (
            "colour",
            f"primaries {colour['primaries']}, transfer {colour['transfer']}, matrix {colour['matrix']}, "
            f"range {colour['range']}, chroma location {colour['chroma_location']}",
        ),
        ("time", f"{info.duration_s:.3f} s, {info.frame_rate or _UNKNOWN} fps, ticks of {info.time_base} s"),
        ("frames", f"{info.n_frames} in {info.n_gops} GOPs"),
    ]
    rows += [
        (f"  {name}", f"{part.n_frames} frames, {part.size_bytes} bytes, avg qp {part.mean_qp:.1f}")
        for name, part in info.frame_types.items()
    ]
    if len(info.layers) > 1:
        offsets = " ".join(f"{layer['qp_offset']:+d}" for layer in info.layers)
        rows.append(("layers", f"{len(info.layers)}, qp {offsets}"))
    rows += [(f"  {name}", f"{size_bytes} bytes") for name, size_bytes in info.substream_bytes.items()]
    rows.append(("rate", f"{info.bpp:.4f} bpp, {info.bitrate_kbps:.1f} kb/s without sound"))
    rows += [
        (f"audio {number}", f"{track['codec']}, {track['sample_rate']} Hz, {track['channel_layout']}")
        for number, track in enumerate(info.audio_tracks)
    ]
    if info.audio_tracks:
        rows.append(("  sound", f"{info.audio_bytes} bytes"))
    rows += [(f"  {_printable(key)}", _printable(value)) for key, value in info.metadata.items()]
    rows.append(("state", "finished" if info.finished else "not finished"))
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _printable(text: str) -> str:
    """Without the control characters by which a stranger's text could rule a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def models_table(entries: Sequence[ModelEntry]) -> list[str]:
    """List weights, one per line below a heading; kMAC/pixel is the work to decode I and P frames."""
    heading = ("model", "id", "parameters", "kMAC/pixel I", "kMAC/pixel P", "bytes", "date")
    rows: list[tuple[str, ...]] = [heading]
    for entry in entries:
        facts = model_facts(entry)
        rows.append(tuple(str(_UNKNOWN if facts[key] is None else facts[key]) for key in facts))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def model_facts(entry: ModelEntry) -> dict[str, Any]:
    """Return what there is to know about weights, as far as their card says."""
    card = entry.card
    return {
        "name": entry.name,
        "model_id": entry.model_id,
        "n_parameters": card.get("parameters"),
        "decode_kmac_per_pixel_intra": card.get("decode_kmac_per_pixel_intra"),
        "decode_kmac_per_pixel_inter": card.get("decode_kmac_per_pixel_inter"),
        "size_bytes": entry.size_bytes,
        "date": card.get("date"),
    }
