# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets: what an artist would see of each estimate, beside the truth and the best baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...backend.optics import metrics
from ...backend.optics import panorama as pano
from ...backend.optics.exposure import expose
from .probe_set import Case
from .score import TRUTH, Scores
from .spheres import LIMO, Balls

_PAPER, _INK, _FAINT, _MARK = (28, 28, 30), (236, 234, 228), (160, 158, 152), (255, 64, 160)
_BALL, _GAP, _LINE = 150, 14, 19
_WIDE = 2 * _BALL + 8
_MAP = _WIDE // 2
_HEAD = 92
_ROW = _LINE + _BALL + 8 + _MAP + 2 * _LINE + 2 * _GAP
_LEGEND = (
    "Left ball: mirror, right ball: white without gloss, both in the photo's exposure. Below: the map of light"
    " (its middle is where the camera looks) and a ring where it is brightest.",
    "RMSE: how far the ball's picture is from the true one, 0 is equal. Energy: stops too bright (+) or too dark (-)."
    " The photo's ring is the probe.",
)


@dataclass(frozen=True, eq=False)
class Picture:
    """What a row of a sheet shows of a case: 8-bit tiles by light and the numbers under them."""

    name: str
    photo: Image.Image
    tiles: dict[str, tuple[Image.Image, Image.Image, Image.Image]]
    scores: dict[str, Scores]

    @classmethod
    def of(cls, case: Case, lights: dict[str, Tensor], shown: dict[str, Balls], scores: dict[str, Scores]) -> Picture:
        """Shrunk at once, so that a long set fits into memory. ``shown``: display pictures of the balls by light."""
        tiles = {
            name: (_ball(shown[name]["mirror"]), _ball(shown[name]["diffuse"]), _map(light))
            for name, light in lights.items()
        }
        return cls(case.name, _photo(case), tiles, scores)


def write_sheet(path: Path, title: str, pictures: list[Picture], columns: list[str]) -> None:
    """One row a case: the photo, then mirror ball, white ball and map by each light in ``columns``."""
    width = _GAP + (len(columns) + 1) * (_WIDE + 2 * _GAP)
    sheet = Image.new("RGB", (width, _HEAD + len(pictures) * _ROW), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, _INK, ImageFont.load_default(20))
    for i, text in enumerate(_LEGEND):
        draw.text((_GAP, 40 + i * _LINE), text, _FAINT, ImageFont.load_default(13))
    for i, picture in enumerate(pictures):
        _row(sheet, draw, _HEAD + i * _ROW, picture, columns)
    sheet.save(path)


def _row(sheet: Image.Image, draw: ImageDraw.ImageDraw, y: int, picture: Picture, columns: list[str]) -> None:
    font, small = ImageFont.load_default(14), ImageFont.load_default(13)
    draw.line((_GAP, y, sheet.width - _GAP, y), (64, 64, 68))
    y += _GAP // 2
    draw.text((_GAP, y), picture.name, _INK, font)
    sheet.paste(picture.photo, (_GAP, y + _LINE + 4))
    for column, name in enumerate(columns, 1):
        x = _GAP + column * (_WIDE + 2 * _GAP)
        heading = name if name.startswith("estimate") or name == TRUTH else f"best baseline: {name}"
        draw.text((x, y), heading, _INK, font)
        mirror, diffuse, panorama = picture.tiles[name]
        top = y + _LINE + 4
        sheet.paste(mirror, (x, top))
        sheet.paste(diffuse, (x + _BALL + 8, top))
        sheet.paste(panorama, (x, top + _BALL + 8))
        if name in picture.scores:
            for i, text in enumerate(_numbers(picture.scores[name])):
                draw.text((x, top + _BALL + 12 + _MAP + i * (_LINE - 2)), text, _FAINT, small)


def _numbers(scores: Scores) -> tuple[str, str]:
    peak = scores["map.peak_direction_deg"]
    where = "has no brightest spot" if math.isnan(peak) else f"brightest spot off by {peak:.0f}°"
    return (
        f"RMSE mirror {scores['limo.mirror.rmse']:.2f}, white {scores['limo.diffuse.rmse']:.2f}"
        f"   energy {scores['map.energy_ev']:+.1f} stops",
        f"{where}   colour {scores['limo.diffuse.colour_angle']:.0f}°",
    )


def _image(display: Tensor) -> Image.Image:
    return Image.fromarray((display.clamp(0, 1).numpy() * 255 + 0.5).astype("uint8"))


def _ball(display: Tensor) -> Image.Image:
    """The ball on the sheet's paper."""
    paper = torch.tensor(_PAPER) / 255
    picture = torch.where(LIMO.mask[..., None], display, paper.expand_as(display))
    return _image(picture).resize((_BALL, _BALL), Image.Resampling.LANCZOS)


def _map(light: Tensor) -> Image.Image:
    picture = _image(expose(light, 0)).resize((_WIDE, _MAP), Image.Resampling.BICUBIC)
    peak = metrics.peak_direction(light)
    if peak is not None:
        u, v = pano.uv_from_direction(peak).tolist()
        _ring(picture, u * _WIDE, v * _MAP, 8)
    return picture


def _photo(case: Case) -> Image.Image:
    """The photo, at most as large as the column, with the probe's outline."""
    camera = case.view.camera
    scale = min(_WIDE / camera.width, (_BALL + 8 + _MAP) / camera.height)
    size = (round(camera.width * scale), round(camera.height * scale))
    picture = _image(expose(case.view.radiance, 0)).resize(size, Image.Resampling.BICUBIC)
    uv, depth = camera.project(case.probe.position)
    radius = case.probe.radius / float(depth) * camera.fx * scale
    _ring(picture, float(uv[0]) * size[0], float(uv[1]) * size[1], max(radius, 5))
    return picture


def _ring(picture: Image.Image, x: float, y: float, radius: float) -> None:
    """A pink ring with a dark rim, which shows on every ground."""
    draw = ImageDraw.Draw(picture)
    for grow, colour, wide in ((1.5, (0, 0, 0), 5), (0, _MARK, 2)):
        r = radius + grow
        draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=wide)
