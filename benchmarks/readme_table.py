"""Writes the figures of benchmarks/results/ into the README, between its two markers.

    python -m benchmarks.readme_table            rewrites README.md
    python -m benchmarks.readme_table --check    fails if it would change anything

Each results/NAME.csv is a results.csv of `nvc bench`; NAME.md beside it has a heading, the command, and on
which machine it was run. Of a result come these words, the conditions that the rows tell, and the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from benchmarks.markdown import table
from nvc.bench import Measurement, bd_table
from nvc.bench.bd import METHOD
from nvc.bench.results import read_csv
from nvc.bench.table import bd_cells

ROOT = Path(__file__).resolve().parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "benchmarks" / "results"
PROTOCOL = (
    "Size is that of the whole file (nvc) or elementary stream; quality is the mean of each frame's PSNR, "
    f"(6 Y + U + V) / 8; Bjontegaard deltas by {METHOD} interpolation; * marks curves that share under half "
    "of their PSNR range. `_ld`, `hm_ld*` and `vtm_ldb` code in display order as nvc does; others look ahead."
)
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


def render(results: Path) -> str:
    """Return the figures of all result files as Markdown."""
    parts = [_render_file(path) for path in sorted(results.glob("*.csv")) if _is_of_codecs(path)]
    return "\n\n".join([*parts, PROTOCOL] if parts else [])


def insert(readme: str, figures: str) -> str:
    """Replace what stands between the markers. Raises ValueError if they are not there once each."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"README.md must have {BEGIN} and {END} once each")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{figures}\n{END}{rest.split(END)[1]}"


def _is_of_codecs(path: Path) -> bool:
    """Whether `nvc bench` wrote the file; other scripts' tables lie beside it."""
    with path.open(encoding="utf-8") as file:
        return "codec" in file.readline().split(",")


def _render_file(path: Path) -> str:
    rows = [row for row in read_csv(path) if not row.error]
    names = list(dict.fromkeys(row.codec for row in rows))
    own = [name for name in names if name.startswith("nvc")]
    said = path.with_suffix(".md")
    parts = [said.read_text("utf-8").strip()] if said.exists() else []
    parts.append(_conditions(rows))
    for codec in own:
        figures = bd_table(rows, [name for name in names if name not in own], [codec])
        if figures:
            parts.append(f"BD-rate of `{codec}` (below zero: fewer bytes at equal PSNR):")
            parts.append(table(bd_cells(figures)))
    parts.append("<details><summary>Points and speed, means over the clips</summary>")
    parts.append(table(_speed_cells(rows, names)))
    parts.append("</details>")
    return "\n\n".join(parts)


def _conditions(rows: Sequence[Measurement]) -> str:
    frames = sorted({row.n_frames for row in rows})
    keyints = sorted({row.keyint for row in rows})
    count = f"{frames[0]} to {frames[-1]} frames" if len(frames) > 1 else f"{frames[0]} frames"
    if frames == [1]:
        count = "frame"
    period = "one keyframe" if keyints == [-1] else f"keyint {', '.join(map(str, keyints))}"
    clips = len({row.clip for row in rows})
    return f"{clips} clips, the first {count} of each, {period}."


def _speed_cells(rows: Sequence[Measurement], names: Sequence[str]) -> list[list[str]]:
    cells = [["codec", "bpp", "PSNR dB", "encode CPU ms/frame", "decode CPU ms/frame", "measured by"]]
    for name in names:
        mine = [row for row in rows if row.codec == name]
        rates = [row.bpp for row in mine if row.bpp is not None]
        qualities = [row.psnr_db for row in mine if row.psnr_db is not None]
        encode = [1000 * row.encode_cpu_s / row.n_frames for row in mine if row.encode_cpu_s is not None]
        decode = [1000 * row.decode_cpu_s / row.n_frames for row in mine if row.decode_cpu_s is not None]
        span = f"{min(rates):.3f} to {max(rates):.3f}"
        qualities_span = f"{min(qualities):.1f} to {max(qualities):.1f}"
        cells.append([f"`{name}`", span, qualities_span, _mean(encode), _mean(decode), mine[0].origin])
    return cells


def _mean(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" if values else "-"


def main(arguments: Sequence[str]) -> int:
    """Rewrite the README, or check it; returns the exit code."""
    before = README.read_text("utf-8")
    after = insert(before, render(RESULTS))
    if list(arguments) == ["--check"]:
        if after != before:
            print(
                "README.md differs from benchmarks/results: run python -m benchmarks.readme_table",
                file=sys.stderr,
            )
        return int(after != before)
    README.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
