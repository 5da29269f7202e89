"""Times things in turn, so that a change of the machine's load meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def fastest_in_turn(forms: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run all forms once per round and return each one's shortest time in seconds."""
    times = dict.fromkeys(forms, float("inf"))
    for _ in range(rounds):
        for name, run in forms.items():
            start = time.perf_counter()
            run()
            times[name] = min(times[name], time.perf_counter() - start)
    return times
