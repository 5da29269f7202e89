"""An interrupt while FFmpeg waits for piped input is not taken for the end of the video."""

from __future__ import annotations

import io

import pytest

from nvc.media import open_video

HEADER = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n"
PICTURE = b"FRAME\n" + bytes(64 * 48 * 3 // 2)


class InterruptedPipe(io.BytesIO):
    """Gives its bytes; where they end, the interrupt comes."""

    def __init__(self, data: bytes, interrupt: BaseException) -> None:
        super().__init__(data)
        self._interrupt = interrupt

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise self._interrupt
        return data

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
@pytest.mark.parametrize(
    "data", [b"", HEADER[:20], HEADER, HEADER + 2 * PICTURE, HEADER + 40 * PICTURE], ids=len
)
def test_it_is_raised(data: bytes, interrupt: BaseException) -> None:
    def read() -> None:
        with open_video(InterruptedPipe(data, interrupt)) as video:
            for _ in video:
                pass

    with pytest.raises(type(interrupt)):
        read()
