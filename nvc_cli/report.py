"""Progress while a command works, its summary when it is done: lines for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from threading import Timer
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nvc.files.summary import DecodeSummary, EncodeSummary, FrameReport, Loss, VerifySummary

_FIRST_LINE_S = 16
_PATIENCE_S = 12
_WHY_NOTHING_YET = "Note: no frame is done yet; the first run of all compiles kernels, which takes a minute"


class Reporter:
    """Shows the progress of one command: a bar on a terminal, else lines after 16, 32, 64 ... seconds.

    Where no frame is done after a while it says what may take so long.
    """

    def __init__(self, verb: str, *, as_json: bool = False, quiet: bool = False) -> None:
        self._verb = verb
        self._as_json = as_json
        self._quiet = quiet
        self._began = time.monotonic()
        self._next_line_s = _FIRST_LINE_S
        self._bar: Any = None
        self._wait = Timer(_PATIENCE_S, _say, [_WHY_NOTHING_YET])
        self._wait.daemon = True

    def __enter__(self) -> Reporter:
        if not self._quiet:
            self._wait.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._wait.cancel()
        if self._bar is not None:
            self._bar.close()

    def on_frame(self, frame: FrameReport) -> None:
        """Take note of a finished frame."""
        if self._quiet:
            return
        self._wait.cancel()
        if sys.stderr.isatty():
            self._move_bar(frame)
            return
        seconds = time.monotonic() - self._began
        if seconds >= self._next_line_s:
            self._next_line_s *= 2
            _say(progress_line(self._verb, frame, seconds))

    def show_encoding(self, summary: EncodeSummary) -> None:
        """Show what an encode came to."""
        lines = [
            f"frame {name}: {part.n_frames}, avg qp {part.mean_qp:.1f}, {part.size_bytes} bytes"
            for name, part in summary.frame_types.items()
        ]
        lines.append(
            f"encoded {summary.n_frames} frames in {summary.seconds:.1f} s ({summary.encode_fps:.2f} fps), "
            f"{summary.size_bytes} bytes, {summary.bitrate_kbps:.1f} kb/s, {summary.bpp:.4f} bpp, "
            f"PSNR Y {summary.psnr_y_db:.2f} U {summary.psnr_u_db:.2f} V {summary.psnr_v_db:.2f} dB"
        )
        if len(summary.layers) > 1:
            lines += [
                f"layer {index}: qp {layer.qp_offset:+d}, {layer.size_bytes} bytes, "
                f"PSNR {layer.psnr_yuv_db:.2f} dB with those below"
                for index, layer in enumerate(summary.layers)
            ]
        self._show(summary, summary.notices, lines)

    def show_decoding(self, summary: DecodeSummary) -> None:
        """Show what a decode came to."""
        checked = "every checksum right" if summary.verified else "checksums not compared"
        lines = [loss_line(loss) for loss in summary.losses]
        lines.append(
            f"decoded {summary.n_frames} frames in {summary.seconds:.1f} s ({summary.decode_fps:.2f} fps), "
            f"{checked}{_reduced(summary)}"
        )
        self._show(summary, summary.notices, lines)

    def show_check(self, summary: VerifySummary) -> None:
        """Show what a check found."""
        lines = [loss_line(loss) for loss in summary.losses]
        verdict = "good" if summary.is_good else f"{summary.n_bad_frames} frames lost"
        if not summary.finished:
            verdict += ", not finished"
        lines.append(
            f"verified {summary.n_frames} frames in {summary.seconds:.1f} s: {verdict}{_reduced(summary)}"
        )
        self._show(summary, (), lines)

    def _show(self, summary: Any, notices: tuple[str, ...], lines: list[str]) -> None:
        if self._as_json:
            print_json(summary)
        if not self._quiet:
            for notice in notices:
                _say(f"Note: {notice}")
            for line in lines:
                _say(line)

    def _move_bar(self, frame: FrameReport) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(desc=self._verb, total=frame.n_expected, unit="frame", file=sys.stderr)
        if frame.fraction_done is not None:
            self._bar.set_postfix_str(f"{frame.fraction_done:.0%} read", refresh=False)
        elif frame.psnr_db is not None:
            self._bar.set_postfix_str(f"qp {frame.qp}, Y {frame.psnr_db[0]:.1f} dB", refresh=False)
        self._bar.update(frame.n_done - self._bar.n)


def progress_line(verb: str, frame: FrameReport, seconds: float) -> str:
    """Say in one line how far a command is after `seconds`."""
    count = f"{frame.n_done}/{frame.n_expected}" if frame.n_expected else f"{frame.n_done}"
    parts = [f"{verb} {count} frames", f"{frame.n_done / seconds:.2f} fps"]
    if frame.time_s > 0:
        parts.append(f"{8 * frame.total_bytes / frame.time_s / 1000:.0f} kb/s")
    done = frame.n_done / frame.n_expected if frame.n_expected else frame.fraction_done
    if done:
        parts.append(f"eta {max(0.0, seconds / done - seconds):.0f} s")
    return ", ".join(parts)


def _reduced(summary: DecodeSummary | VerifySummary) -> str:
    if not summary.n_reduced_frames:
        return ""
    return f"; {summary.n_reduced_frames} of them without upper layers, which are damaged or not there"


def loss_line(loss: Loss) -> str:
    """Say in one line what is lost, and why."""
    if not loss.n_frames:
        return f"fault: {loss.reason}"
    first, last = loss.first_frame_index, loss.first_frame_index + loss.n_frames - 1
    place = f"frame {first}" if first == last else f"frames {first} to {last}"
    time_s = "" if loss.start_s is None else f" at {loss.start_s:.3f} s"
    return f"lost {place}{time_s}: {loss.reason}"


def print_json(value: Any) -> None:
    """Print one JSON object on standard output."""
    fields = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
    click.echo(json.dumps(fields))


def _say(line: str) -> None:
    click.echo(line, err=True)
