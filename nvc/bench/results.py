"""The files of a result folder: a journal of finished rows, results.csv, results.json."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nvc.bench.measurement import COLUMNS, FRAME_COLUMNS, Measurement
from nvc.errors import NvcError

JOURNAL, CSV, JSON = "journal.jsonl", "results.csv", "results.json"
_JSON_VERSION = 1


class Journal:
    """Rows as they are finished, one JSON object per line: nothing is lost when a run is stopped."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._rows: dict[tuple[object, ...], Measurement] = {}
        if self._path.exists():
            text = self._path.read_text("utf-8")
            for line in text.splitlines():
                try:
                    row = Measurement.from_dict(json.loads(line))
                except (ValueError, TypeError):  # the line that was being written when the power went
                    continue
                self._rows[row.key] = row
            if text and not text.endswith("\n"):
                with self._path.open("a", encoding="utf-8") as file:
                    file.write("\n")

    def find(self, row: Measurement) -> Measurement | None:
        """Return the finished row with this one's key; a failed one does not count."""
        found = self._rows.get(row.key)
        return None if found is None or found.error else found

    def add(self, row: Measurement) -> None:
        self._rows[row.key] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row.to_dict()) + "\n")


def write_results(folder: Path, rows: Sequence[Measurement], bd: Iterable[dict[str, Any]]) -> None:
    """Write results.csv and results.json (which also has the frames' figures and the BD table)."""
    write_csv(folder / CSV, rows)
    document = {
        "version": _JSON_VERSION,
        "machine": f"{platform.machine()}, {_processor()}",
        "frame_columns": FRAME_COLUMNS,
        "rows": [row.to_dict() for row in rows],
        "bd": list(bd),
    }
    partial = folder / (JSON + ".part")
    partial.write_text(json.dumps(document, indent=None, separators=(",", ":")) + "\n", "utf-8")
    partial.replace(folder / JSON)


def write_csv(path: Path, rows: Sequence[Measurement]) -> None:
    """Write the rows' columns; what was not measured stays empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(["" if getattr(row, c) is None else getattr(row, c) for c in COLUMNS])


def read_results(folder: Path) -> list[Measurement]:
    """Read the rows of a result folder, from results.json. Raises NvcError if there are none."""
    try:
        document = json.loads((folder / JSON).read_text("utf-8"))
        return [Measurement.from_dict(row) for row in document["rows"]]
    except OSError as exc:
        raise NvcError(f"{folder} has no {JSON}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise NvcError(f"{folder / JSON} is not a result file of nvc bench") from exc


def read_csv(path: Path) -> list[Measurement]:
    """Read rows that `write_csv` wrote. Raises NvcError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [Measurement.from_dict(_typed(row)) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as exc:
        raise NvcError(f"{path} cannot be read as results of nvc bench: {exc}") from exc


def _typed(row: dict[str, str]) -> dict[str, Any]:
    types = Measurement.__annotations__
    typed: dict[str, Any] = {}
    for name, text in row.items():
        kind = types.get(name, "str")
        if not text and "None" in kind:
            typed[name] = None
        elif kind.startswith("int"):
            typed[name] = int(text)
        elif kind.startswith("float"):
            typed[name] = float(text)
        else:
            typed[name] = text
    return typed


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "processor unknown"
