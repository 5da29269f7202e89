"""`nvc demo`: the whole road once, on a clip that nvc makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nvc_cli import options
from nvc_cli.report import Reporter

if TYPE_CHECKING:
    from nvc import Frame

_N_FRAMES = 100


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="nvc-demo")
@click.option("-q", "--qp", type=click.IntRange(0, 63), default=32, show_default=True, help="Quality.")
@click.option("-n", "--frames", "n_frames", type=options.POSITIVE, default=_N_FRAMES, show_default=True)
@options.model_option
@options.running_options
def demo(folder: Path, qp: int, n_frames: int, model: str, device: str, threads: int) -> None:
    """Make a clip in FOLDER, encode it, decode it, and say how it went.

    FOLDER is nvc-demo by default. The files are left to look at; those of an earlier demo are replaced.
    """
    import nvc
    from nvc.media.demo import demo_clip

    folder.mkdir(parents=True, exist_ok=True)
    clip, stream, decoded, picture = (
        folder / name for name in ("clip.mp4", "clip.nvc", "decoded.mp4", "compare.png")
    )
    click.echo(f"making {clip} ...", err=True)
    demo_clip(clip, n_frames)
    config = nvc.EncoderConfig(model=model, qp=qp, device=device, threads=threads)
    with Reporter("encoded") as reporter:
        coding = nvc.encode(clip, stream, config, overwrite=True, on_frame=reporter.on_frame)
    with Reporter("decoded") as reporter:
        decoding = nvc.decode(
            stream, decoded, device=device, threads=threads, overwrite=True, on_frame=reporter.on_frame
        )
    _write_comparison(clip, decoded, picture, n_frames // 2)
    clip_bytes = clip.stat().st_size
    for line in (
        f"clip      {clip}  {clip_bytes} bytes, {coding.width}x{coding.height}, {coding.duration_s:.1f} s",
        f"stream    {stream}  {coding.size_bytes} bytes ({coding.audio_bytes} of them sound)",
        f"decoded   {decoded}  every checksum right",
        f"picture   {picture}  left the clip, right what was decoded",
        f"rate      {coding.bpp:.4f} bpp, {coding.bitrate_kbps:.1f} kb/s without sound",
        f"quality   PSNR Y {coding.psnr_y_db:.2f}, U {coding.psnr_u_db:.2f}, V {coding.psnr_v_db:.2f} dB",
        f"speed     encode {coding.encode_fps:.1f} fps, decode {decoding.decode_fps:.1f} fps, start included",
    ):
        click.echo(line)


def _write_comparison(clip: Path, decoded: Path, picture: Path, index: int) -> None:
    from dataclasses import replace

    import numpy as np

    from nvc import Frame
    from nvc.media import open_output, open_video

    def frame_of(path: Path) -> Frame:
        with open_video(path, skip=index, n_frames=1) as video:
            return next(item for item in video if isinstance(item, Frame))

    with open_video(clip) as video:
        info = replace(video.info, width=2 * video.info.width, metadata=())
    y, u, v = map(np.hstack, zip(frame_of(clip).planes, frame_of(decoded).planes, strict=True))
    with open_output(picture, info) as writer:
        writer.write(Frame(y, u, v))
