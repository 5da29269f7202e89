"""Training runs as a table and a picture: the validation cost of each over the steps.

    python -m benchmarks.training_curve NAME=RUN... [--out benchmarks/training] [--add]

Reads each run folder's log.jsonl; writes curve.csv (every validation of every run) and curve.png. With --add
the rows that curve.csv has already stand before them.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

PANELS_IN_ROW = 3
COLUMNS = ("run", "stage", "total_steps", "seconds", "cost", "qp8", "qp24", "qp40", "qp56")


def validations(name: str, run: Path) -> list[dict[str, Any]]:
    """The validation rows of a run, each with the seconds that the run had taken by then."""
    rows, seconds = [], 0.0
    for line in (run / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        seconds = entry.get("seconds", seconds)
        if "validation/cost" in entry:
            figures = {k.removeprefix("validation/"): v for k, v in entry.items()}
            rows.append({k: figures.get(k, seconds) for k in COLUMNS} | {"run": name})
    return rows


def written(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that was written before."""
    kinds = (str, str, int) + (float,) * 6
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: kind(row[name]) for name, kind in zip(COLUMNS, kinds, strict=True)} for row in rows]


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel for each run; a line for each qp and a thick one for their mean."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["run"] for row in rows))
    n_rows = -(-len(names) // PANELS_IN_ROW)
    size = 4.5 * PANELS_IN_ROW, 3.5 * n_rows
    figure, panels = pyplot.subplots(n_rows, PANELS_IN_ROW, figsize=size, squeeze=False)
    for panel in panels.flat[len(names) :]:
        panel.set_visible(False)
    for name, panel in zip(names, panels.flat, strict=False):
        own = [row for row in rows if row["run"] == name]
        for column in COLUMNS[4:]:
            wide = {"linewidth": 2.5, "color": "black"} if column == "cost" else {"alpha": 0.6}
            label = "mean" if column == "cost" else column
            panel.plot([r["total_steps"] for r in own], [r[column] for r in own], label=label, **wide)
        panel.set(title=name, xlabel="optimiser steps")
    panels[0][0].set_ylabel("validation cost (bits per pixel, balanced)")
    panels[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "training")
    parser.add_argument("--add", action="store_true")
    arguments = parser.parse_args()
    before = written(arguments.out / "curve.csv") if arguments.add else []
    rows = before + [
        row for name, run in (r.split("=", 1) for r in arguments.runs) for row in validations(name, Path(run))
    ]
    with open(arguments.out / "curve.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, arguments.out / "curve.png")


if __name__ == "__main__":
    main()
