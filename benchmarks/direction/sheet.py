# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet of directions: each photo with its probe, and its true surroundings with both answers marked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from ...backend.optics import panorama as pano
from ...backend.optics.exposure import auto_exposure_gain, expose
from ..limo.probe_set import Case

_PAPER, _INK, _FAINT = (28, 28, 30), (236, 234, 228), (160, 158, 152)
_TRUE, _SAID = (80, 220, 120), (255, 64, 160)
_HIGH, _GAP, _LINE, _HEAD = 150, 12, 18, 62


@dataclass(frozen=True, eq=False)
class Shown:
    """One case, as small pictures."""

    name: str
    photo: Image.Image
    around: Image.Image
    error_deg: float
    key_to_fill: float

    @classmethod
    def of(
        cls, case: Case, probe: tuple[float, float], true: Tensor, said: Tensor, error_deg: float, key_to_fill: float
    ) -> Shown:
        """Shrunk at once, so that a long set fits into memory."""
        height, width = case.view.radiance.shape[:2]
        size = (_HIGH, max(1, round(_HIGH * width / height)))
        photo = _picture(F.interpolate(case.view.radiance.permute(2, 0, 1)[None], size, mode="bilinear",
                                       antialias=True)[0].permute(1, 2, 0))  # fmt: skip
        _ring(photo, (probe[0] * photo.width, probe[1] * photo.height), _INK)
        light = pano.resize(case.truth, _HIGH)
        around = _picture(light * auto_exposure_gain(light))
        for direction, colour in ((true, _TRUE), (said, _SAID)):
            u, v = pano.uv_from_direction(direction).tolist()
            _ring(around, (u * around.width, v * around.height), colour)
        return cls(case.name, photo, around, error_deg, key_to_fill)


def _picture(radiance: Tensor) -> Image.Image:
    values = (expose(radiance, 0) * 255).round().to(torch.uint8)
    return Image.fromarray(values.numpy())


def _ring(picture: Image.Image, at: tuple[float, float], colour: tuple[int, int, int]) -> None:
    x, y = at
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - 8, y - 8, x + 8, y + 8), outline=(0, 0, 0), width=4)
    draw.ellipse((x - 7, y - 7, x + 7, y + 7), outline=colour, width=2)


def write_sheet(path: Path, title: str, cases: list[Shown]) -> None:
    """Two cases a row; green is the true light, pink the answer. The middle of a map is where the camera looks."""
    wide = max((c.photo.width + c.around.width for c in cases), default=400) + 3 * _GAP
    rows = -(-len(cases) // 2)
    sheet = Image.new("RGB", (2 * wide, _HEAD + rows * (_HIGH + _LINE + 2 * _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 8), title, _INK, ImageFont.load_default(20))
    told = "Left: the photo and its probe. Right: what surrounds the probe, its middle is where the camera looks."
    draw.text((_GAP, 36), f"{told} Green: the true key light. Pink: the answer.", _FAINT, ImageFont.load_default(14))
    for i, case in enumerate(cases):
        x, y = (i % 2) * wide + _GAP, _HEAD + (i // 2) * (_HIGH + _LINE + 2 * _GAP)
        sheet.paste(case.photo, (x, y))
        sheet.paste(case.around, (x + case.photo.width + _GAP, y))
        text = f"{case.name}: {case.error_deg:.0f}° off, key to fill {case.key_to_fill:.1f}"
        draw.text((x, y + _HIGH + 2), text, _INK, ImageFont.load_default(14))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
