"""The report of a result folder: one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nvc.bench.bd import BdFigure
from nvc.bench.measurement import MEASURED, Measurement
from nvc.bench.plots import codec_colours, draw_curves, to_svg
from nvc.bench.runner import picture_path, source_path
from nvc.bench.table import bd_cells

REPORT = "report.html"
_PAGE = Path(__file__).with_name("report_page.html")
_MOST_POINTS, _LEAST_POINTS = 8, 3
_PICTURE_BYTES = 32 << 20
"""As much as the viewer's pictures may take together, or the page would be too large for a browser."""
_DATA_MARK = "/*DATA*/null"
_BODY_MARK = "<!--TABLES-->"
_ROW_COLUMNS = (
    ("codec", "codec"),
    ("qp", "qp"),
    ("size_bytes", "bytes"),
    ("bpp", "bpp"),
    ("psnr_y_db", "Y dB"),
    ("psnr_u_db", "U dB"),
    ("psnr_v_db", "V dB"),
    ("psnr_db", "6:1:1 dB"),
    ("ms_ssim", "MS-SSIM"),
    ("vmaf", "VMAF"),
    ("encode_fps", "encode fps"),
    ("encode_cpu_s", "encode CPU s"),
    ("decode_fps", "decode fps"),
    ("decode_cpu_s", "decode CPU s"),
    ("encode_peak_mib", "encode peak MiB"),
    ("decode_peak_mib", "decode peak MiB"),
    ("kmac_per_pixel", "kMAC/pixel"),
    ("parameters", "parameters"),
    ("origin", "origin"),
)


def write_report(
    rows: Sequence[Measurement], table: Sequence[BdFigure], out: Path, notes: Sequence[str]
) -> Path:
    """Write the report into a result folder, from its rows, BD figures and saved pictures."""
    clips = list(dict.fromkeys(row.clip for row in rows))
    sections = [_notes(notes), _bd_section(table)]
    colours = codec_colours(row.codec for row in rows)
    sections += [_clip_section(clip, [row for row in rows if row.clip == clip], colours) for clip in clips]
    sections.append(_failures([row for row in rows if row.error]))
    page = _PAGE.read_text("utf-8").replace(_BODY_MARK, "\n".join(part for part in sections if part))
    data = json.dumps(_data(rows, clips, out), separators=(",", ":")).replace("</", "<\\/")
    path = out / REPORT
    path.write_text(page.replace(_DATA_MARK, data), "utf-8")
    return path


def _data(rows: Sequence[Measurement], clips: Sequence[str], out: Path) -> dict[str, Any]:
    """Collect what the page's script shows: pictures for the viewer, figures per frame."""
    clip_data = {}
    by_clip = {clip: [row for row in _measured(rows) if row.clip == clip] for clip in clips}
    count = _affordable_points(by_clip, out)
    for clip, measured in by_clip.items():
        shown = [row for row in _viewer_rows(measured, count) if picture_path(out, row).exists()]
        clip_data[clip] = {
            "source": _embed(source_path(out, clip)),
            "aspect": _aspect(rows, clip),
            "frame": measured[0].n_frames // 2 if measured else 0,
            "pictures": [_viewer_entry(row, picture_path(out, row)) for row in shown],
            "frames": [
                {"codec": row.codec, "qp": row.qp, "bpp": row.bpp, "psnr": [f.psnr_y_db for f in row.frames]}
                for row in measured
            ],
        }
    return {"clips": clip_data, "colours": codec_colours(row.codec for row in rows)}


def _measured(rows: Sequence[Measurement]) -> list[Measurement]:
    return [row for row in rows if row.origin == MEASURED and not row.error]


def _affordable_points(by_clip: Mapping[str, Sequence[Measurement]], out: Path) -> int:
    """Return how many points of nvc each clip's viewer can have."""
    for count in range(_MOST_POINTS, _LEAST_POINTS, -1):
        chosen = (row for rows in by_clip.values() for row in _viewer_rows(rows, count))
        pictures = (picture_path(out, row) for row in chosen)
        if sum(picture.stat().st_size for picture in pictures if picture.exists()) <= _PICTURE_BYTES:
            return count
    return _LEAST_POINTS


def _aspect(rows: Sequence[Measurement], clip: str) -> float:
    first = next(row for row in rows if row.clip == clip)
    return round(first.width / first.height, 4)


def _viewer_rows(rows: Sequence[Measurement], count: int) -> list[Measurement]:
    """Choose `count` points of nvc, or else of the first codec; of the others those nearest in bitrate."""
    own = [row for row in rows if row.codec.startswith("nvc")]
    if not own:
        own = [row for row in rows if row.codec == rows[0].codec]
    own = _spread(own, count)
    chosen = list(own)
    for codec in dict.fromkeys(row.codec for row in rows if row.codec not in {row.codec for row in own}):
        points = [row for row in rows if row.codec == codec]
        for target in own:
            nearest = min(points, key=lambda row: abs((row.bpp or 0) - (target.bpp or 0)))
            if nearest not in chosen:
                chosen.append(nearest)
    return chosen


def _spread(rows: Sequence[Measurement], count: int) -> list[Measurement]:
    """Choose `count` points per codec, the first and the last among them."""
    chosen: list[Measurement] = []
    for codec in dict.fromkeys(row.codec for row in rows):
        points = [row for row in rows if row.codec == codec]
        last = len(points) - 1
        chosen += [points[i] for i in sorted({round(last * k / (count - 1)) for k in range(count)})]
    return chosen


def _viewer_entry(row: Measurement, picture: Path) -> dict[str, Any]:
    return {
        "codec": row.codec,
        "qp": row.qp,
        "bpp": row.bpp,
        "psnr": row.psnr_db,
        "kbps": row.bitrate_kbps,
        "image": _embed(picture),
    }


def _embed(picture: Path) -> str:
    if not picture.exists():
        return ""
    return "data:image/webp;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def _notes(notes: Sequence[str]) -> str:
    return (
        "<ul class=notes>" + "".join(f"<li>{html.escape(note)}" for note in notes) + "</ul>" if notes else ""
    )


def _bd_section(table: Sequence[BdFigure]) -> str:
    parts = [
        "<h2>BD-rate</h2>",
        "<p>Per cent more bytes than each codec at equal PSNR; below zero is better.",
    ]
    for codec in dict.fromkeys(figure.codec for figure in table):
        mine = [figure for figure in table if figure.codec == codec]
        parts.append(f"<h3>{html.escape(codec)}</h3>{_table(bd_cells(mine))}")
        warnings = [f"{f.anchor}, {f.clip}: {f.warning}" for f in mine if f.warning]
        if warnings:
            parts.append(
                "<details><summary>* curves that share little</summary>" + _notes(warnings) + "</details>"
            )
    return "\n".join(parts) if table else ""


def _clip_section(clip: str, rows: Sequence[Measurement], colours: dict[str, str]) -> str:
    first = rows[0]
    facts = f"{first.width}x{first.height}, {first.n_frames} frames at {first.fps} fps, keyint {first.keyint}"
    cells = [[heading for _, heading in _ROW_COLUMNS]]
    for row in rows:
        if not row.error:
            cells.append([_text(getattr(row, name)) for name, _ in _ROW_COLUMNS])
    curve = to_svg(draw_curves(rows, clip, colours)) if len(cells) > 1 else ""
    settings = dict.fromkeys(f"{row.codec}: {row.version}: {row.settings}" for row in rows if not row.error)
    return (
        f"<h2>{html.escape(clip)}</h2><p>{facts}</p><div class=curve>{curve}</div>"
        f"<div class=frames data-clip='{html.escape(clip, quote=True)}'></div>"
        f"<details><summary>all figures</summary>{_table(cells)}</details>"
        f"<details><summary>settings</summary>{_notes(list(settings))}</details>"
    )


def _failures(rows: Sequence[Measurement]) -> str:
    if not rows:
        return ""
    lines = [f"{row.clip}, {row.codec} qp {row.qp}: {row.error}" for row in rows]
    return "<h2>Failed</h2>" + _notes(lines)


def _table(cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(text)}" for text in cells[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(text)}" for text in row) for row in cells[1:])
    return f"<div class=wide><table><thead><tr>{head}<tbody>{body}</table></div>"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"
    return str(value)
