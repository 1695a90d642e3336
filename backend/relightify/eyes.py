# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes: where the photo's look, what colour their irises are, and a painted texture for the eyeball.

The fitted head knows where the eyeballs are. Of all directions that an eye may look in, the one is taken whose iris
covers what is darkest between the lids. Iris over sclera, in linear light, is free of the light's colour; the sclera's
own reflectance is about the same for everybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ..optics.exposure import luminance, srgb_oetf
from .head import HeadModel
from .records import FaceFit

#: Metres; adults' irises hardly differ in size.
IRIS_RADIUS, PUPIL_RADIUS = 0.0059, 0.0021
#: Linear reflectance of the white of the eye, and of a brown iris for want of a better one.
SCLERA, BROWN = (0.62, 0.57, 0.53), (0.045, 0.022, 0.012)
#: MediaPipe's points along the lids, the head's right eye first.
LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
#: Irises of fewer pixels across say nothing.
_FEWEST = 6.0
_YAWS, _PITCHES = torch.linspace(-30, 30, 25), torch.linspace(-15, 15, 13)


@dataclass(frozen=True)
class Eyes:
    """``gaze`` (2, 3): unit directions in the head frame, the head's right eye first; ``iris`` (3,) linear reflectance;
    ``seen``: whether the photo told, or both are a guess (straight on, brown)."""

    gaze: Tensor
    iris: Tensor
    seen: bool


def read_eyes(radiance: Tensor, fit: FaceFit, head: HeadModel) -> Eyes:
    """Gaze and iris colour from the photo (H, W, 3), linear. Both eyes look the same way."""
    centres = head.eyes(fit.points(head))
    found = [_look(radiance, fit, centres[i], head.eye_radius, LIDS[i]) for i in range(2)]
    told = [entry for entry in found if entry is not None]
    if not told:
        return Eyes(torch.tensor([[0.0, -1.0, 0.0]] * 2), torch.tensor(BROWN), False)
    gaze = F.normalize(torch.stack([direction for direction, _ in told]).mean(0), dim=0)
    iris = torch.stack([colour for _, colour in told]).mean(0)
    return Eyes(gaze.expand(2, 3).clone(), iris, True)


def _look(
    radiance: Tensor, fit: FaceFit, centre: Tensor, radius: float, lids: tuple[int, ...]
) -> tuple[Tensor, Tensor] | None:
    """Gaze (3,) and iris reflectance (3,) of the eye at ``centre``, head frame; None if the photo shows too little."""
    height, width = radiance.shape[:2]
    outline = fit.landmarks[list(lids)] * torch.tensor([width, height])
    (left, top), (right, bottom) = (
        (outline.min(0).values.int() - 2).tolist(),
        (outline.max(0).values.int() + 3).tolist(),
    )
    if left < 0 or top < 0 or right > width or bottom > height:
        return None
    picture = Image.new("L", (right - left, bottom - top))
    corner = torch.tensor([left, top])
    ImageDraw.Draw(picture).polygon([tuple(p) for p in (outline - corner - 0.5).tolist()], fill=1)
    grid = torch.meshgrid(torch.arange(top, bottom) + 0.5, torch.arange(left, right) + 0.5, indexing="ij")
    inside = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(grid[0].shape) > 0
    at, colour = torch.stack([grid[1], grid[0]], -1)[inside], radiance[top:bottom, left:right][inside]
    looks = _looks()
    tips = (centre + radius * looks) @ fit.rotation.T + fit.translation
    camera = fit.camera.resized(width, height)
    uv, depth = camera.project(tips)
    size = camera.fx * IRIS_RADIUS / float(depth.mean())
    if 2 * size < _FEWEST or len(at) < 4 * _FEWEST:
        return None
    away = torch.cdist(uv * torch.tensor([width, height]), at.float()) / size
    dark = 1 - srgb_oetf(luminance(colour)).clamp(0, 1)
    iris, white = (away < 0.95).float(), (away > 1.1).float()
    contrast = (iris @ dark) / iris.sum(1).clamp(min=1) - (white @ dark) / white.sum(1).clamp(min=1)
    # A small pull ahead decides where lids hide most of the iris.
    score = contrast * (iris.sum(1) / iris.sum(1).max()).sqrt() + 0.15 * (looks @ torch.tensor([0.0, -1.0, 0.0]))
    best = int(score.argmax())
    return looks[best], _iris_colour(colour, away[best])


def _looks() -> Tensor:
    """(N, 3) directions in the head frame about straight on."""
    yaw, pitch = torch.meshgrid(_YAWS.deg2rad(), _PITCHES.deg2rad(), indexing="ij")
    looks = torch.stack([yaw.sin() * pitch.cos(), -yaw.cos() * pitch.cos(), pitch.sin()], -1)
    return looks.reshape(-1, 3)


def _iris_colour(colour: Tensor, away: Tensor) -> Tensor:
    """Reflectance (3,) of the iris, by the white beside it as reference; without pupil and highlights."""
    ring, white = colour[(away > 0.45) & (away < 0.9)], colour[away > 1.15]
    if len(ring) < 4 or len(white) < 4:
        return torch.tensor(BROWN)
    level = luminance(ring)
    kept = ring[(level >= level.quantile(0.1)) & (level <= level.quantile(0.7))].mean(0)
    reference = white[luminance(white) >= luminance(white).quantile(0.6)].mean(0).clamp(min=1e-3)
    return (kept / reference * torch.tensor(SCLERA)).clamp(0.004, 0.35)


def paint_eye(iris: Tensor, radius: float, height: int, seed: int = 0) -> Tensor:
    """(3, height, 2·height) sRGB-encoded reflectance of an eyeball of ``radius`` metres: rows are the angle from the
    gaze, 0 at the top to π; columns go round it, from the head's left by its crown.
    """
    make = torch.Generator().manual_seed(seed)
    width = 2 * height
    angle = (torch.arange(height) + 0.5)[:, None] / height * math.pi
    edge, pupil = math.asin(IRIS_RADIUS / radius), math.asin(PUPIL_RADIUS / radius)
    t = ((angle - pupil) / (edge - pupil)).clamp(0, 1)
    fibres = 0.6 * _noise(6, 160, height, width, make) + 0.4 * _noise(10, 60, height, width, make)
    # The frill about the pupil is lighter, the rim dark.
    frill = (-(((t - 0.28) / 0.14) ** 2)).exp()
    shade = (0.75 + 0.5 * fibres) * (1 + 0.5 * frill) * (1 - 0.65 * _step(t, 0.72, 1.0)) * _step(t, 0.0, 0.06)
    coloured = iris[:, None, None] * shade * 1.25
    veins = (1 - (2 * _noise(14, 90, height, width, make) - 1).abs() * 7).clamp(0, 1) * _step(angle, 0.75, 1.4)
    pink = _step(angle, 0.6, 1.3)
    white = torch.tensor(SCLERA)[:, None, None] * (1 - torch.tensor([0.08, 0.3, 0.32])[:, None, None] * pink)
    white = white * (1 - torch.tensor([0.1, 0.45, 0.45])[:, None, None] * 0.6 * veins)
    outside = _step(angle, edge - 0.02, edge + 0.03)
    return srgb_oetf((coloured * (1 - outside) + white * outside).clamp(0, 1))


def _noise(rows: int, columns: int, height: int, width: int, make: torch.Generator) -> Tensor:
    """(height, width) smooth noise about 0.5 in 0..1 that goes on across the left and right edges."""
    grid = torch.rand(1, 1, rows, columns, generator=make)
    wide = F.pad(grid, (2, 2, 0, 0), mode="circular")
    scale = width / columns
    smooth = F.interpolate(wide, (height, round((columns + 4) * scale)), mode="bicubic", align_corners=False)
    first = round(2 * scale)
    return smooth[0, 0, :, first : first + width].clamp(0, 1)


def _step(values: Tensor, low: float, high: float) -> Tensor:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = ((values - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
