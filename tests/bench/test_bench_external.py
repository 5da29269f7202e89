from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nvc.bench import find_external
from nvc.bench.clip import Clip
from nvc.bench.external import _round_to_8_bits
from nvc.bench.measure import measure
from nvc.bench.stopwatch import Stopwatch
from nvc.bench.template import BUILT_IN, read_template
from nvc.errors import ConfigError, NvcError


def test_fake_encoder_is_measured(template: Path, clip: Clip, tmp_path: Path) -> None:
    (codec,), missing = find_external({}, [template])
    assert missing == []
    rows = [measure(clip, codec, qp, -1, tmp_path / "p.webp") for qp in codec.qps]
    assert [row.error for row in rows] == [""] * 4
    sizes, qualities = zip(*((row.size_bytes, row.psnr_db) for row in rows), strict=True)
    assert list(sizes) == sorted(sizes, reverse=True)
    assert list(qualities) == sorted(qualities, reverse=True)
    assert rows[0].codec == "fake_ld"
    assert rows[0].encode_cpu_s is not None
    assert rows[0].encode_cpu_s > 0
    assert rows[0].settings.endswith("fake_encoder.py encode in.yuv out.bin 1 N")


@pytest.mark.parametrize(
    ("qp", "words"),
    [
        (7, "ended with status 3: no licence for this picture"),
        (6, "ended well but wrote no stream"),
        (5, "4 frames were decoded, expected 5"),
    ],
)
def test_broken_encoder_gives_a_row_that_says_why(
    qp: int, words: str, template: Path, clip: Clip, tmp_path: Path
) -> None:
    (codec,), _ = find_external({}, [template])
    row = measure(clip, codec, qp, -1, tmp_path / "p.webp")
    assert words in row.error
    assert (row.size_bytes, row.psnr_db, row.qp) == (None, None, qp)


def test_quality_settings_by_template_and_mode(template: Path) -> None:
    assert find_external({}, [template], {"fake": (9,)})[0][0].qps == (9,)
    assert find_external({}, [template], {"fake": (9,), "fake_ld": (8,)})[0][0].qps == (8,)


@pytest.mark.parametrize("name", ["hm", "vtm", "vvenc"])
def test_missing_program_is_named_with_what_to_install(name: str, tmp_path: Path) -> None:
    codecs, missing = find_external({name: str(tmp_path)})
    assert codecs == []
    assert len(missing) == len(read_template(BUILT_IN / f"{name}.toml").modes)
    assert f"not found in {tmp_path} or on PATH; needs {name.upper()[:2]}" in missing[0].replace(
        "VVenC", "VVENC"
    )


def test_programs_and_config_are_found_in_a_source_folder(tmp_path: Path) -> None:
    for place in ("bin/TAppEncoderStatic", "bin/TAppDecoderStatic", "cfg/encoder_lowdelay_P_main.cfg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("")
    (codec,), (missing,) = find_external({"hm": str(tmp_path)}, protocols=["ld"])
    assert codec.name == "hm_ldp"
    assert codec.settings(22, -1) == (
        "TAppEncoderStatic -c encoder_lowdelay_P_main.cfg -i in.yuv -wdt N -hgt N -fr FPS -f N -q 22 -ip -1 "
        "--InputBitDepth=8 -b out.bit -o /dev/null"
    )
    assert "encoder_lowdelay_main.cfg was not found near" in missing


def test_all_intra_mode_has_its_own_keyint(tmp_path: Path) -> None:
    for name in ("EncoderApp", "DecoderApp", "encoder_intra_vtm.cfg"):
        (tmp_path / name).write_text("")
    (codec,), _ = find_external({"vtm": str(tmp_path)}, protocols=["intra"])
    assert (codec.name, codec.protocol) == ("vtm_intra", "intra")
    assert " -c encoder_intra_vtm.cfg " in codec.settings(22, -1)
    assert " -ip 1 " in codec.settings(22, -1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[modes", "colour = 1\n[modes"), "colour is not known here"),
        (("{{qp}}", "{{quality}}"), "{quality} in encode is not one of config, decoded,"),
        (
            ('protocol = "ld"', 'protocol = "fast"'),
            "protocol 'fast' of fake_ld is none of ld, default, intra",
        ),
        (("qps = [1, 2, 3, 4]", ""), "qps is missing"),
        (("qps =", "decoded_bits = 9\nqps ="), "decoded_bits 9 is neither 8 nor 10"),
        (("qps =", "qps"), "line"),
    ],
)
def test_wrong_template(change: tuple[str, str], words: str, template: Path) -> None:
    old, new = (text.replace("{{", "{").replace("}}", "}") for text in change)
    text = template.read_text()
    assert old in text
    template.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_template(template)
    assert words in str(caught.value)
    assert str(template) in str(caught.value)


def test_unknown_program() -> None:
    with pytest.raises(ConfigError, match="anchor 'xvid' is unknown: expected hm, vtm, vvenc"):
        find_external({"xvid": "/usr/bin/xvid"})


def test_ten_bits_are_rounded(tmp_path: Path) -> None:
    path = tmp_path / "ten.yuv"
    path.write_bytes(np.array([0, 1, 2, 5, 6, 1021, 1022, 1023], "<u2").tobytes())
    _round_to_8_bits(path, 4)
    assert list(path.read_bytes()) == [0, 0, 1, 1, 2, 255, 255, 255]


def test_program_that_hangs_is_stopped(tmp_path: Path) -> None:
    watch = Stopwatch()
    with pytest.raises(NvcError, match="was stopped after 0 s"):
        watch.run([sys.executable, "-c", "while True: pass"], tmp_path / "log", 0.3)
    assert 0.2 < watch.wall_s < 5
    assert watch.cpu_s > 0.05


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_memory_is_that_of_the_program_alone(tmp_path: Path) -> None:
    ballast = np.ones(200 << 20, np.uint8)
    small, large = Stopwatch(), Stopwatch()
    wait = "import time; time.sleep(0.1)"
    small.run([sys.executable, "-c", wait], tmp_path / "log", 20)
    large.run([sys.executable, "-c", f"b = b'x' * (100 << 20); {wait}"], tmp_path / "log", 20)
    assert ballast.nbytes / (1 << 20) == 200
    assert small.peak_mib is not None
    assert large.peak_mib is not None
    assert small.peak_mib < 100 < large.peak_mib < 200


def test_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NvcError, match="cannot run /nowhere/enc"):
        Stopwatch().run(["/nowhere/enc"], tmp_path / "log", 1)
