"""Each thing that cannot be read or written gives one clear line."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest

from nvc.errors import MediaError
from nvc.media import VideoInfo, open_output, open_video
from nvc.media.synthetic import natural_clip

INFO = VideoInfo(32, 16, Fraction(1, 25), Fraction(25))


def _message(error: pytest.ExceptionInfo[MediaError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def _refuse(path) -> str:
    with pytest.raises(MediaError) as error:
        open_video(path)
    return _message(error)


def _read_or_message(read, path):
    try:
        return read(path)
    except MediaError as error:
        message = str(error)
    assert "\n" not in message
    return message


def test_absent_file_and_folder(tmp_path):
    assert _refuse(tmp_path / "absent.mp4") == f"cannot read {tmp_path / 'absent.mp4'}: no such file"
    assert _refuse(tmp_path) == f"cannot read {tmp_path}: no such file"


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes"])
@pytest.mark.parametrize("data", [b"", b"just some words\n" * 99, bytes(range(256)) * 16])
def test_not_a_video(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert _refuse(tmp_path / name).startswith(f"cannot read {tmp_path / name}: ")


def test_sound_only(tmp_path, phone_video):
    path = tmp_path / "sound.m4a"
    with av.open(str(phone_video)) as source, av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert _refuse(path) == f"cannot read {path}: there is no video in it"


def test_truncated_mp4_gives_an_error_or_whole_frames(tmp_path, phone_video, read, rewrite):
    fronted = rewrite(phone_video, "fronted.mp4", lossless=True)
    data = (tmp_path / "fronted.mp4").read_bytes()
    whole = read(tmp_path / "fronted.mp4")
    assert len(fronted.frames) == 30
    outcomes = set()
    for percent in (5, 30, 60, 95):
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[: len(data) * percent // 100])
        part = _read_or_message(read, path)
        outcomes.add("error" if isinstance(part, str) else "part")
        if isinstance(part, str):
            continue
        assert part.notices or len(part.frames) == 30
        assert part.planes[: 3 * (len(part.frames) - 1)] == whole.planes[: 3 * (len(part.frames) - 1)]
    assert "part" in outcomes


def test_flipped_bytes_never_give_another_exception(tmp_path, phone_video, read):
    data = bytearray(phone_video.read_bytes())
    for position in range(40, len(data), len(data) // 40):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        (tmp_path / "damaged.mp4").write_bytes(damaged)
        _read_or_message(read, tmp_path / "damaged.mp4")


def test_picture_size_may_not_change(tmp_path, read):
    data = io.BytesIO()
    for size in ((32, 16), (48, 16)):
        with av.open(data, "w", format="mpegts") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height = size
            for picture in range(3):
                frame = av.VideoFrame(*size, "yuv420p")
                frame.pts = picture
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            data.seek(0, io.SEEK_END)
    data.seek(0)
    with pytest.raises(MediaError, match="changes its picture size from 32x16 to 48x16"):
        read(data)


def test_unknown_output_formats(tmp_path):
    for name in ("out", "out.avi"):
        with pytest.raises(MediaError, match=r"by its suffix: expected \.mp4, "):
            open_output(tmp_path / name, INFO)
    with pytest.raises(
        MediaError, match="cannot write format avi: expected one of mp4, mov, mkv, y4m, png, jpg"
    ):
        open_output(tmp_path / "out", INFO, format="avi")
    with pytest.raises(MediaError, match="standard output: only y4m"):
        open_output("-", INFO, format="mp4")


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.y4m", "out.png"])
def test_unwritable_place(tmp_path, name):
    frame = natural_clip(32, 16, 1)[0]
    with pytest.raises(MediaError) as error, open_output(tmp_path / "absent" / name, INFO) as writer:
        writer.write(frame)
    assert _message(error).endswith("no such file or directory")


def test_a_picture_holds_one_frame(tmp_path):
    first, second = natural_clip(32, 16, 2)
    writer = open_output(tmp_path / "x.png", INFO)
    writer.write(first)
    with pytest.raises(MediaError, match="holds one frame only"):
        writer.write(second)
    writer.abort()
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("name", ["x.png", "x.mp4", "x.mkv"])
def test_no_frame_at_all(tmp_path, name):
    with pytest.raises(MediaError, match="there is no frame"):
        open_output(tmp_path / name, INFO).close()


def test_odd_sizes_in_quicktime(tmp_path):
    with pytest.raises(MediaError, match="cannot write 17x31 to mov: odd sizes need mp4, mkv or y4m"):
        open_output(tmp_path / "x.mov", VideoInfo(17, 31, Fraction(1, 25)))


@pytest.mark.parametrize("name", ["x.mp4", "x.y4m"])
def test_a_frame_of_another_size_is_the_callers_mistake(tmp_path, name):
    with (
        pytest.raises(ValueError, match="frame of 16x16, expected 32x16"),
        open_output(tmp_path / name, INFO) as writer,
    ):
        writer.write(natural_clip(16, 16, 1)[0])


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.y4m", "x.png"])
def test_close_and_abort_may_be_repeated(tmp_path, name):
    writer = open_output(tmp_path / name, INFO)
    writer.write(natural_clip(32, 16, 1)[0])
    writer.close()
    writer.close()
    writer.abort()
    with open_video(tmp_path / name) as reader:
        assert reader.info.width == 32
