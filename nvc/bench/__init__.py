"""The benchmark behind `nvc bench`: codes real clips with nvc and with other encoders, and compares them.

It measures; it never prints. It needs the extra `bench` (matplotlib, bjontegaard).
"""

from __future__ import annotations

from nvc.bench.anchors import select_anchors
from nvc.bench.bd import BdFigure, bd_table, mean_bd
from nvc.bench.benchmark import Outcome, benchmark
from nvc.bench.clip import Clip
from nvc.bench.codec import BenchCodec
from nvc.bench.external import find_external
from nvc.bench.measurement import FrameFigures, Measurement
from nvc.bench.nvc_codec import make_nvc_codec
from nvc.bench.reference import ReferenceRows, load_references
from nvc.bench.results import read_results, write_results
from nvc.bench.runner import Plan, Progress, run
from nvc.bench.summary import summarize, summary_table, write_summary
from nvc.bench.table import describe_row, format_bd

__all__ = [
    "BdFigure",
    "BenchCodec",
    "Clip",
    "FrameFigures",
    "Measurement",
    "Outcome",
    "Plan",
    "Progress",
    "ReferenceRows",
    "bd_table",
    "benchmark",
    "describe_row",
    "find_external",
    "format_bd",
    "load_references",
    "make_nvc_codec",
    "mean_bd",
    "read_results",
    "run",
    "select_anchors",
    "summarize",
    "summary_table",
    "write_results",
    "write_summary",
]
