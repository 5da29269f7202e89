"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(cells: Sequence[Sequence[str]]) -> str:
    """Lay out cells, headings first; all columns but the first are aligned to the right."""
    head, *body = cells
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
