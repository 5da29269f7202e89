"""Decode streams under every kind of arithmetic at hand and compare the pixels.

    python benchmarks/exactness.py STREAM... [--other-python PATH]...

Each row is one way to run the decoder (torch with its threads, instruction sets, oneDNN off, sums in float64;
compiled kernels, also for older processors; CUDA where there is a card; another interpreter with another
torch); each column is the md5 of a stream's decoded planes. Exits with 1 if a column has two values.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def decode_md5(stream: Path, variant: str) -> str:
    """md5 of all decoded planes of a stream, in this process."""
    import torch

    from bitstream_spec import FramePacket, StreamReader
    from nvc.decoder import Decoder
    from nvc.models.layers import ProductLayer

    if variant == "onednn off":
        torch.backends.mkldnn.enabled = False
    if variant == "float64 sums":
        ProductLayer.sum_type = torch.float64
    digest = hashlib.md5()
    with open(stream, "rb") as file:
        reader = StreamReader(file)
        threads = 2 if variant.endswith("2 threads") else 1
        device = "cuda" if variant == "cuda" else "cpu"
        decoder = Decoder(reader.header, device=device, threads=threads)
        for item in reader:
            if isinstance(item, FramePacket):
                for plane in decoder.decode(item).planes:
                    digest.update(plane.tobytes())
    return digest.hexdigest()


def variants() -> dict[str, dict[str, str]]:
    """Names of the ways to decode, and the environment that each needs."""
    found: dict[str, dict[str, str]] = {"1 thread": {}, "2 threads": {}, "onednn off": {}, "float64 sums": {}}
    for isa in ("SSE41", "AVX2", "AVX512_CORE"):
        found[f"ONEDNN_MAX_CPU_ISA={isa}"] = {"ONEDNN_MAX_CPU_ISA": isa}
    for capability in ("default", "avx2"):
        found[f"ATEN_CPU_CAPABILITY={capability}"] = {"ATEN_CPU_CAPABILITY": capability}
    found["MKL_CBWR=COMPATIBLE"] = {"MKL_CBWR": "COMPATIBLE"}
    for environment in found.values():
        environment["NVC_KERNELS"] = "0"
    if importlib.util.find_spec("numba"):
        found |= {"kernels, 1 thread": {}, "kernels, 2 threads": {}}
        for cpu, features in (("generic", ""), ("haswell", "+avx,+avx2,+fma,+sse4.1,+sse4.2,+ssse3")):
            found[f"kernels for {cpu}"] = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    probe = "import torch; print(torch.cuda.is_available())"
    if "True" in subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout:
        found["cuda"] = {}
    return found


def run(python: str, streams: list[Path], variant: str, environment: dict[str, str]) -> list[str]:
    command = [python, __file__, "--variant", variant, *map(str, streams)]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}
    )
    if result.returncode:
        raise SystemExit(f"{variant}: {result.stderr.strip().splitlines()[-1]}")
    values: list[str] = json.loads(result.stdout)
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("streams", nargs="+", type=Path)
    parser.add_argument("--other-python", action="append", default=[])
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant is not None:
        print(json.dumps([decode_md5(s, options.variant) for s in options.streams]))
        return 0
    rows = {name: run(sys.executable, options.streams, name, env) for name, env in variants().items()}
    for python in options.other_python:
        version = subprocess.run(
            [python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True
        ).stdout.strip()
        for kernels in "01":
            name = f"torch {version}{', kernels' * int(kernels)}"
            rows[name] = run(python, options.streams, "1 thread", {"NVC_KERNELS": kernels})
    width = max(map(len, rows))
    print(" " * width, *(f"{s.stem[:18]:18}" for s in options.streams))
    for name, values in rows.items():
        print(f"{name:{width}}", *(f"{v[:18]:18}" for v in values))
    same = all(len({values[i] for values in rows.values()}) == 1 for i in range(len(options.streams)))
    print("all rows agree" if same else "ROWS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
