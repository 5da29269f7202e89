"""Rows measured elsewhere and carried along, so that slow encoders' curves appear without installing them.

They are used only for the very same pictures: the md5 of the raw planes of the coded frames must match.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nvc.bench.clip import Clip
from nvc.bench.codec import DEFAULT, INTRA, LOW_DELAY
from nvc.bench.measurement import Measurement
from nvc.errors import NvcError

DEFAULT_REFERENCES = ("hm_ldp", "hm_ldb", "vtm_ldb", "vtm17_ldb", "vvenc_medium", "hm_intra", "vtm_intra")
_ROWS, _WHOLE_ROWS, _MD5S = "anchors.csv", "vtm17_ldb_per_sequence.csv", "md5.csv"
_WHOLE = "vtm17_ldb"
"""VTM 17 low-delay B on whole sequences, as published."""
_BESIDE = Path(__file__).resolve().parent
FOLDERS = (_BESIDE / "anchors", _BESIDE.parents[1] / "benchmarks" / "anchors")  # installed; in a checkout


@dataclass(frozen=True)
class ReferenceRows:
    """The rows of one folder. `by_md5` gives the sequence whose first frames have that md5."""

    folder: str
    rows: tuple[dict[str, str], ...]
    by_md5: dict[tuple[str, int], str]

    def find(self, clip: Clip, keyint: int, codecs: Sequence[str] | None = None) -> list[Measurement]:
        """Return the rows of these very frames, of `codecs` (None: all of them).

        All were coded with one keyframe; there are none for a keyint within the clip.
        """
        sequence = self.by_md5.get((clip.md5, clip.n_frames))
        if sequence is None or 0 < keyint < clip.n_frames:
            return []
        wanted = (row for row in self.rows if codecs is None or row["codec"] in codecs)
        place = sequence, str(clip.n_frames)
        return [
            self._measurement(row, clip, keyint)
            for row in wanted
            if (row["sequence"], row["frames"]) == place
        ]

    def _measurement(self, row: dict[str, str], clip: Clip, keyint: int) -> Measurement:
        encode_s, decode_s = _number(row["enc_s"]), _number(row["dec_s"])
        size_bytes = int(row["bytes"])
        return Measurement(
            clip=clip.name,
            clip_md5=clip.md5,
            width=clip.width,
            height=clip.height,
            fps=round(float(clip.frame_rate), 3),
            n_frames=clip.n_frames,
            keyint=keyint,
            codec=row["codec"],
            protocol=_protocol(row["codec"]),
            version=row["version"],
            settings=row["settings"],
            qp=int(row["qp"]),
            size_bytes=size_bytes,
            bpp=float(row["bpp"]),
            bitrate_kbps=round(size_bytes * 8 * float(clip.frame_rate) / clip.n_frames / 1000, 3),
            psnr_y_db=float(row["psnr_y"]),
            psnr_u_db=_number(row["psnr_u"]),
            psnr_v_db=_number(row["psnr_v"]),
            psnr_db=float(row["psnr_yuv"]),
            encode_wall_s=encode_s,
            encode_cpu_s=_number(row["enc_cpu_s"]),
            encode_fps=_rate(clip.n_frames, encode_s),
            decode_wall_s=decode_s,
            decode_cpu_s=_number(row["dec_cpu_s"]),
            decode_fps=_rate(clip.n_frames, decode_s),
            origin=f"{self.folder}/{_WHOLE_ROWS if row['codec'] == _WHOLE else _ROWS}",
        )


def load_references(folder: Path | None = None) -> ReferenceRows:
    """Read a folder of reference rows, the shipped one if none is named; empty if that is not there.

    Raises NvcError if a named folder, or a file in it, cannot be read.
    """
    if folder is None:
        folder = next((path for path in FOLDERS if (path / _ROWS).is_file()), None)
        if folder is None:
            return ReferenceRows("", (), {})
    try:
        rows = (*_read(folder / _ROWS), *_read_whole(folder / _WHOLE_ROWS))
        md5s = {(row["md5"], int(row["frames"])): row["sequence"] for row in _read(folder / _MD5S)}
    except (OSError, KeyError, ValueError) as exc:
        raise NvcError(f"cannot use the reference rows in {folder}: {exc}") from exc
    return ReferenceRows(folder.name, rows, md5s)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _read_whole(path: Path) -> list[dict[str, str]]:
    """Read the published rows of whole sequences, in the columns of the others."""
    rows = []
    for row in _read(path) if path.exists() else []:
        width, height = (int(size) for size in row["seq"].split("_")[1].split("x"))
        n_bytes = round(float(row["bpp"]) * width * height * int(row["frames"]) / 8)
        values = {
            "codec": _WHOLE,
            "version": "VTM-17.0",
            "settings": f"EncoderApp -c encoder_lowdelay_vtm.cfg -q {row['qp']} (IntraPeriod=-1)",
            "sequence": row["seq"],
            "bytes": str(n_bytes),
            "psnr_yuv": row["psnr_6yuv"],
        }
        empty = dict.fromkeys(("psnr_u", "psnr_v", "enc_s", "enc_cpu_s", "dec_s", "dec_cpu_s"), "")
        rows.append(row | empty | values)
    return rows


def _protocol(codec: str) -> str:
    if codec.endswith("_intra"):
        return INTRA
    low_delay = codec.endswith("_ld") or codec in ("hm_ldp", "hm_ldb", "vtm_ldb", _WHOLE)
    return LOW_DELAY if low_delay else DEFAULT


def _number(text: str) -> float | None:
    return float(text) if text else None


def _rate(count: int, seconds: float | None) -> float | None:
    return round(count / seconds, 3) if seconds else None
