"""Makes video that looks a little like nature, from a seed and numpy alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvc.frames import Frame

_Image = npt.NDArray[np.float32]

_PAN_RADIUS = 24.0
"""Pixels the camera strays from its start, so that a clip of any length needs one bounded background."""
_PAN_PERIOD = 110.0
"""Frames per turn of the camera: at most 2 pi 24 / 110 = 1.4 pixels per frame."""
_MARGIN = int(_PAN_RADIUS) + 4
_NOISE_SIGMA = 0.7
_Y_RANGE = 16, 235
_C_RANGE = 16, 240


def natural_clip(width: int, height: int, n_frames: int, seed: int = 0) -> list[Frame]:
    """Return frames of a scene with camera pan, moving and turning objects, drifting light and slight noise.

    Overlapping soft-edged, textured shapes of all sizes ("dead leaves") have the edges and the 1/f spectrum
    of photographs. The same arguments give the same frames; pts are 0, 1, 2, ...; BT.601, limited range.
    """
    rng = np.random.default_rng(seed)
    background = _leaves(rng, width + 2 * _MARGIN, height + 2 * _MARGIN)
    objects = [_Sprite(rng, width, height) for _ in range(3)]
    phase = rng.uniform(0, 2 * np.pi, 3)
    frames = []
    for index in range(n_frames):
        angle = 2 * np.pi * index / _PAN_PERIOD
        dx = _MARGIN + _PAN_RADIUS * np.sin(angle + phase[0])
        dy = _MARGIN + 0.5 * _PAN_RADIUS * np.sin(0.7 * angle + phase[1])
        image = _crop(background, dx, dy, width, height)
        for sprite in objects:
            sprite.paint(image, index)
        image[0] *= 1 + 0.04 * np.sin(0.5 * angle + phase[2])
        image[0] += _NOISE_SIGMA * rng.standard_normal((height, width), np.float32)
        frames.append(_to_frame(image, index))
    return frames


class _Sprite:
    """A textured, soft-edged ellipse on a straight course that wraps round the picture, slowly turning."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        size = min(width, height)
        self._radii = rng.uniform(0.10, 0.24, 2) * size + 1
        self._reach = float(self._radii.max()) + 2
        side = int(2 * self._reach) + 4
        self._texture = _leaves(rng, side, side)
        self._extent = np.array([width, height]) + 2 * self._reach
        self._start = rng.uniform(0, 1, 2) * self._extent
        self._velocity = rng.uniform(-1, 1, 2) * np.clip(size / 80, 0.3, 3.0)
        self._spin = rng.uniform(-0.02, 0.02)

    def paint(self, image: _Image, index: int) -> None:
        """Draw the object as it is in frame `index` over image [3, height, width]."""
        x, y = (self._start + index * self._velocity) % self._extent - self._reach
        height, width = image.shape[1:]
        left, right = max(0, int(x - self._reach)), min(width, int(x + self._reach) + 1)
        top, bottom = max(0, int(y - self._reach)), min(height, int(y + self._reach) + 1)
        if left >= right or top >= bottom:
            return
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        cos, sin = np.cos(index * self._spin), np.sin(index * self._spin)
        u = cos * (columns - x) + sin * (rows - y)
        v = cos * (rows - y) - sin * (columns - x)
        distance = np.hypot(u / self._radii[0], v / self._radii[1])
        alpha = np.clip((1 - distance) * self._radii.min() / 1.5 + 0.5, 0, 1)
        middle = self._texture.shape[1] / 2
        texture = _sample(self._texture, u + middle, v + middle)
        patch = image[:, top:bottom, left:right]
        patch += alpha * (texture - patch)


def _leaves(rng: np.random.Generator, width: int, height: int) -> _Image:
    """Paint [3, height, width]: Y, U, V planes of overlapping soft-edged ellipses over a smooth ground."""
    image = np.empty((3, height, width), np.float32)
    clouds = _clouds(rng, width, height, 1.6)
    image[0] = 105 + 26 * clouds
    image[1] = 128 - 7 * clouds + 3 * _clouds(rng, width, height, 1.8)
    image[2] = 128 + 5 * clouds + 3 * _clouds(rng, width, height, 1.8)
    grain = _clouds(rng, width, height, 1.0)
    largest = max(4.0, 0.4 * min(width, height))
    count = int(np.clip(width * height / 160, 12, 900))
    # Areas by an inverse law, painted from the largest to the smallest: scale-invariant, as in photographs.
    radii = 1 / np.sqrt(rng.uniform(1 / largest**2, 1 / 3.0**2, count))
    for radius in np.sort(radii)[::-1]:
        _paint_leaf(rng, image, grain, float(radius))
    return image


def _paint_leaf(rng: np.random.Generator, image: _Image, grain: _Image, radius: float) -> None:
    height, width = image.shape[1:]
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    left, right = max(0, int(x - radius) - 2), min(width, int(x + radius) + 3)
    top, bottom = max(0, int(y - radius) - 2), min(height, int(y + radius) + 3)
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
    angle, aspect, softness = rng.uniform(0, np.pi), rng.uniform(0.25, 1.0), rng.choice([1.2, 1.2, 2.5, 6.0])
    along = np.cos(angle) * (columns - x) + np.sin(angle) * (rows - y)
    across = np.cos(angle) * (rows - y) - np.sin(angle) * (columns - x)
    edge = (1 - np.hypot(along, across / aspect) / radius) * aspect * radius
    alpha = np.clip(edge / softness + 0.5, 0, 1) if radius > softness else np.clip(edge / 1.2, 0, 1)
    under = image[:, top:bottom, left:right]
    # Small leaves differ less from what they lie on: detail inside one surface.
    spread = min(1.0, 0.35 + radius / 40)
    middle = under.mean(axis=(1, 2))
    tint = rng.normal(0, 9)
    step = spread * np.array([rng.normal(0, 46), tint, -0.7 * tint + rng.normal(0, 4)])
    leaf = np.broadcast_to((middle + step)[:, None, None], under.shape).astype(np.float32)
    leaf[0] += rng.uniform(3, 12) * grain[top:bottom, left:right] + rng.normal(0, 22) * along / radius
    under += alpha * (leaf - under)


def _clouds(rng: np.random.Generator, width: int, height: int, exponent: float) -> _Image:
    """Return [height, width] of zero-mean, unit-variance noise whose amplitude falls as 1/f**exponent."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.maximum(np.hypot(fx, fy), 1 / max(width, height, 2))
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency**exponent
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(height, width))
    return (noise / max(float(noise.std()), 1e-9)).astype(np.float32)


def _crop(image: _Image, x: float, y: float, width: int, height: int) -> _Image:
    """Cut [3, height, width] out at a sub-pixel place, with cubic interpolation."""
    column, row = int(np.floor(x)), int(np.floor(y))
    taps = _cubic_taps(y - row)
    rows = np.zeros((3, height, image.shape[2]), np.float32)
    for k in range(4):
        rows += taps[k] * image[:, row - 1 + k : row - 1 + k + height]
    taps = _cubic_taps(x - column)
    cut = np.zeros((3, height, width), np.float32)
    for k in range(4):
        cut += taps[k] * rows[:, :, column - 1 + k : column - 1 + k + width]
    return cut


def _cubic_taps(t: float) -> npt.NDArray[np.float32]:
    """Catmull-Rom weights of the samples at -1, 0, 1 and 2 for a place t in [0, 1)."""
    weights = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return np.array(weights, np.float32) / 2


def _sample(image: _Image, x: _Image, y: _Image) -> _Image:
    """Interpolate image [3, h, w] linearly at x, y [...], which are clamped to it; returns [3, ...]."""
    height, width = image.shape[1:]
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    column, row = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - column, y - row
    upper = image[:, row, column] * (1 - fx) + image[:, row, column + 1] * fx
    lower = image[:, row + 1, column] * (1 - fx) + image[:, row + 1, column + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float32)


def _to_frame(image: _Image, pts: int) -> Frame:
    height, width = image.shape[1:]
    padded = np.pad(image[1:], ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    rows = (height + 1) // 2
    chroma = padded.reshape(2, rows, 2, (width + 1) // 2, 2).mean(axis=(2, 4))
    y = np.clip(np.rint(image[0]), *_Y_RANGE).astype(np.uint8)
    u, v = np.clip(np.rint(chroma), *_C_RANGE).astype(np.uint8)
    return Frame(y, u, v, pts=pts, duration=1)
