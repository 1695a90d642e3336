# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips of sequences: the photo and the balls under each light, frame by frame, as an artist would see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...backend.optics.exposure import expose
from .video_score import BALLS, Shown
from .video_set import Sequence

_PAPER, _INK, _FAINT = (28, 28, 30), (236, 234, 228), (160, 158, 152)
_TILE, _GAP, _SIDE, _LINE = 84, 6, 150, 20
#: Frames of a strip, spread evenly.
_SHOWN = 9


@dataclass(frozen=True, eq=False)
class Strip:
    """One sequence: 8-bit photos, and balls by light and kind."""

    name: str
    photos: list[Image.Image]
    tiles: dict[str, dict[str, list[Image.Image]]]

    @classmethod
    def of(cls, sequence: Sequence, shown: dict[str, Shown]) -> Strip:
        """``shown`` by the name of the light."""
        count = len(sequence.cases)
        places = sorted({round(i * (count - 1) / (_SHOWN - 1)) for i in range(_SHOWN)})
        photos = [_photo(sequence, place) for place in places]
        tiles = {
            name: {ball: [_tile(balls.balls[ball][place]) for place in places] for ball in BALLS}
            for name, balls in shown.items()
        }
        return cls(f"{sequence.name}: {sequence.family} moves", photos, tiles)


def write_strips(path: Path, title: str, strips: list[Strip]) -> None:
    """All strips below each other: the photos, then for each light a row of mirrors and one of white balls."""
    wide = _SIDE + _SHOWN * (_TILE + _GAP) + _GAP
    tall = [_LINE * 2 + (1 + 2 * len(strip.tiles)) * (_TILE + _GAP) for strip in strips]
    sheet = Image.new("RGB", (wide, 48 + sum(tall)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, _INK, ImageFont.load_default(18))
    y = 48
    for strip, height in zip(strips, tall, strict=True):
        _paste(sheet, draw, y, strip)
        y += height
    sheet.save(path)


def _paste(sheet: Image.Image, draw: ImageDraw.ImageDraw, y: int, strip: Strip) -> None:
    small = ImageFont.load_default(13)
    draw.text((_GAP, y), strip.name, _INK, ImageFont.load_default(14))
    y += _LINE
    rows = [("photo", strip.photos)]
    rows += [(f"{name}, {ball}", tiles) for name, balls in strip.tiles.items() for ball, tiles in balls.items()]
    for name, tiles in rows:
        for i, part in enumerate(name.split(", ")):
            draw.text((_GAP, y + 20 + 16 * i), part, _FAINT, small)
        for i, tile in enumerate(tiles):
            sheet.paste(tile, (_SIDE + i * (_TILE + _GAP), y))
        y += _TILE + _GAP


def _tile(display: Tensor) -> Image.Image:
    picture = Image.fromarray((display.clamp(0, 1).numpy() * 255 + 0.5).astype("uint8"))
    return picture.resize((_TILE, _TILE), Image.Resampling.LANCZOS)


def _photo(sequence: Sequence, place: int) -> Image.Image:
    """The frame's photo, with a ring where the probe is, on a square of paper."""
    case = sequence.cases[place]
    camera, radiance = case.view.camera, case.view.radiance
    picture = Image.fromarray((expose(radiance, 0) * 255 + 0.5).to(torch.uint8).numpy())
    scale = _TILE / max(camera.width, camera.height)
    picture = picture.resize((round(camera.width * scale), round(camera.height * scale)), Image.Resampling.BICUBIC)
    uv, depth = camera.project(case.probe.position)
    x, y = float(uv[0]) * picture.width, float(uv[1]) * picture.height
    r = max(case.probe.radius / float(depth) * camera.fx * scale, 3)
    ImageDraw.Draw(picture).ellipse((x - r, y - r, x + r, y + r), outline=(255, 64, 160), width=2)
    tile = Image.new("RGB", (_TILE, _TILE), _PAPER)
    tile.paste(picture, (0, (_TILE - picture.height) // 2))
    return tile
