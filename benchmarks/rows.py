"""Tables of a benchmark: CSV files of one kind of row, kept clip by clip."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

R = TypeVar("R")


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """The rows of a file, a dataclass with str, int and float fields; none where there is no file."""
    if not path.exists():
        return []
    kinds = get_type_hints(kind)
    with path.open(newline="") as file:
        return [
            kind(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(file)
        ]


def put_rows(path: Path, new: list[R], order: Callable[[R], Any]) -> None:
    """Write these rows, of one clip, into a file in place of those of the same clip; sorted by `order`."""
    kind = type(new[0])
    clip = vars(new[0])["clip"]
    rows = [row for row in read_rows(path, kind) if vars(row)["clip"] != clip] + new
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in sorted(rows, key=order):
            writer.writerow({name: _written(value) for name, value in vars(row).items()})


def _written(value: str | int | float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
