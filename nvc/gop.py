"""Which frames are keyframes, and which qp each frame gets. Pure decisions, no pictures coded."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from nvc.config import QP_MAX, EncoderConfig

KEYFRAME_QP_OFFSET = -8  # everything in a GOP descends from its keyframe
# P frames at these places of each period are references of better quality for those that follow.
CASCADE_QP_OFFSETS = (4, 2, 4, 0)
# Halfway through each period one is a refresh, nearly as good as a keyframe: what that left fades.
REFRESH_PERIOD, REFRESH_PLACE = 32, 16
REFRESH_QP_OFFSET = -5

SCENE_CUT_RATIO = 0.8
SCENE_CUT_FLOOR = 6.0


class GopSchedule:
    """Decides frame by frame, in display order, which is coding order; looks at source pictures only."""

    def __init__(self, config: EncoderConfig) -> None:
        self._config = config
        self._before: npt.NDArray[np.float32] | None = None
        self._n_in_gop = 0

    def begins_gop(self, luma: npt.NDArray[np.uint8]) -> bool:
        """Whether the next frame, of luma [h, w], is a keyframe."""
        before, self._before = self._before, shrink(luma)
        is_due = before is None or self._n_in_gop == self._config.keyint
        if is_due or (self._config.scene_cut and before is not None and is_scene_cut(before, self._before)):
            self._n_in_gop = 0
        self._n_in_gop += 1
        return self._n_in_gop == 1


def qp_offset(since_keyframe: int, gop_frames: int | None = None) -> int:
    """What a frame's place in its GOP (0: the keyframe) adds to the stream's qp.

    gop_frames: the most frames a GOP has, as far as it is known; from keyframes alone nothing descends.
    """
    if gop_frames == 1:
        return 0
    if since_keyframe == 0:
        return KEYFRAME_QP_OFFSET
    if is_refresh(since_keyframe, gop_frames):
        return REFRESH_QP_OFFSET
    return CASCADE_QP_OFFSETS[(since_keyframe - 1) % len(CASCADE_QP_OFFSETS)]


def is_refresh(since_keyframe: int, gop_frames: int | None) -> bool:
    """Whether a P frame at this place is a refresh, which would not pay at the end of a GOP."""
    is_followed = gop_frames is None or since_keyframe + REFRESH_PERIOD - REFRESH_PLACE <= gop_frames
    return is_followed and since_keyframe % REFRESH_PERIOD == REFRESH_PLACE


def is_kept(since_keyframe: int) -> bool:
    """Whether a P frame at this place is to become a golden picture: the finest of each period."""
    return since_keyframe % len(CASCADE_QP_OFFSETS) == 0


def clip_qp(qp: int) -> int:
    return min(max(qp, 0), QP_MAX)


def is_scene_cut(before: npt.NDArray[np.float32], current: npt.NDArray[np.float32]) -> bool:
    """Whether `current` has so little of `before` in it, both as `shrink` has them, that a keyframe is worth
    its bits.

    Compares the change between the frames with the detail inside the new one: where the past predicts worse
    than a flat guess does, it is of no use.
    """
    change = float(np.abs(current - before).mean())
    detail = float(np.abs(current - current.mean()).mean())
    return change > SCENE_CUT_FLOOR and change > SCENE_CUT_RATIO * detail


def shrink(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Luma [h, w] at an eighth of its resolution, by means; smaller than 8 samples it stays."""
    h, w = plane.shape[0] // 8 * 8, plane.shape[1] // 8 * 8
    if not h or not w:
        return plane.astype(np.float32)
    small = cv2.resize(plane[:h, :w].astype(np.float32), (w // 8, h // 8), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
