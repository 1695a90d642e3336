# SPDX-License-Identifier: GPL-3.0-or-later
"""A sheet of heads: what is known, and found and true maps one above the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...backend.relightify.maps import DIFFUSE, NORMAL, SPECULAR, TEXTURE, skin_mask
from ...synthesis.skin.person import TONES
from .cases import Case
from .methods import MIRROR, PRIOR
from .score import DIFFUSE_RMSE, HIDDEN_PSNR, Scores

_PAPER, _INK, _FAINT = (28, 28, 30), (236, 234, 228), (160, 158, 152)
_SIDE, _GAP, _LINE, _HEAD = 176, 6, 19, 62
_COLUMNS = ("known texture", "texture", "diffuse albedo", "specular albedo", "normal, 4 times")
_STEEPER = 4.0


@dataclass(frozen=True, eq=False)
class Shown:
    """One head: 8-bit tiles in two rows, found and true, and the scores of all methods."""

    name: str
    tiles: tuple[list[Image.Image], list[Image.Image]]
    scores: dict[str, Scores]

    @classmethod
    def of(cls, case: Case, found: Tensor, other: Tensor, scores: dict[str, Scores]) -> Shown:
        """Made small at once. ``other``: a baseline's texture (3, S, S), which stands below the known one."""
        known = case.known.colour * case.known.mask + 0.12 * (1 - case.known.mask)
        rows = ([_tile(known), *_maps(found)], [_tile(other), *_maps(case.maps)])
        return cls(f"{case.name}, {TONES[case.tone]} skin", rows, scores)

    @property
    def error(self) -> float:
        """What the worst are chosen by."""
        return -self.scores[PRIOR][HIDDEN_PSNR]


def write_sheet(path: Path, title: str, shown: list[Shown]) -> None:
    """Two heads a row, each with its numbers."""
    wide, high = len(_COLUMNS) * (_SIDE + _GAP) + 2 * _GAP, 2 * (_SIDE + _GAP) + _LINE + 2 * _GAP
    sheet = Image.new("RGB", (2 * wide, _HEAD + -(-len(shown) // 2) * high), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 8), title, _INK, ImageFont.load_default(20))
    told = f"From the left: {', '.join(_COLUMNS)}. Above: found; below: true, and, on the left, {MIRROR}."
    draw.text((_GAP, 36), told, _FAINT, ImageFont.load_default(14))
    for i, one in enumerate(shown):
        x, y = (i % 2) * wide + _GAP, _HEAD + (i // 2) * high
        draw.text((x, y), f"{one.name}: {_numbers(one.scores)}", _INK, ImageFont.load_default(13))
        for row, tiles in enumerate(one.tiles):
            for column, tile in enumerate(tiles):
                sheet.paste(tile, (x + column * (_SIDE + _GAP), y + _LINE + row * (_SIDE + _GAP)))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _numbers(scores: dict[str, Scores]) -> str:
    ours = scores[PRIOR]
    return (
        f"hidden texture {ours[HIDDEN_PSNR]:.1f} dB (mirror {scores[MIRROR][HIDDEN_PSNR]:.1f}),"
        f" diffuse RMSE {ours[DIFFUSE_RMSE]:.3f}"
    )


def _maps(maps: Tensor) -> list[Image.Image]:
    steep = (maps[NORMAL] - torch.tensor([0.5, 0.5, 1.0])[:, None, None]) * _STEEPER
    normal = (steep + torch.tensor([0.5, 0.5, 1.0])[:, None, None]).clamp(0, 1)
    return [_tile(maps[TEXTURE]), _tile(maps[DIFFUSE]), _tile(maps[SPECULAR].expand(3, -1, -1)), _tile(normal)]


def _tile(planes: Tensor) -> Image.Image:
    skin = skin_mask(planes.shape[-1])
    picture = planes.clamp(0, 1) * skin + 0.12 * (1 - skin)
    pixels = (picture.movedim(0, -1).numpy() * 255 + 0.5).astype("uint8")
    return Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
