# SPDX-License-Identifier: GPL-3.0-or-later
"""A sheet of transfers: source, reference, result and truth, two transfers a row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .methods import LUMINET, MEASURED
from .pairs import Pair
from .score import LEADING, Scores

_PAPER, _INK, _FAINT = (28, 28, 30), (236, 234, 228), (160, 158, 152)
_SIDE, _GAP, _LINE, _HEAD = 176, 8, 19, 62
_TILES = ("source", "light from", "result", "truth")


@dataclass(frozen=True, eq=False)
class Shown:
    """One transfer as 8-bit tiles in the order of the sheet, and the scores of all methods."""

    name: str
    tiles: tuple[Image.Image, ...]
    scores: dict[str, Scores]

    @classmethod
    def of(cls, pair: Pair, result: Tensor, scores: dict[str, Scores]) -> Shown:
        """Made small at once, so that a long set fits into memory."""
        pictures = (pair.source, pair.reference, result, pair.truth)
        return cls(pair.name, tuple(_tile(picture) for picture in pictures), scores)

    @property
    def error(self) -> float:
        """What the worst are chosen by."""
        return self.scores[LUMINET][LEADING]


def write_sheet(path: Path, title: str, shown: list[Shown]) -> None:
    """Two transfers a row, each with the errors of the result, of the source and of the best baseline for it."""
    wide, high = len(_TILES) * (_SIDE + _GAP) + 2 * _GAP, _SIDE + 2 * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (2 * wide, _HEAD + -(-len(shown) // 2) * high), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 8), title, _INK, ImageFont.load_default(20))
    told = f"From the left: {', '.join(_TILES)}. RMSE of display values in [0, 1]; 0 is the truth."
    draw.text((_GAP, 36), told, _FAINT, ImageFont.load_default(14))
    for i, one in enumerate(shown):
        x, y = (i % 2) * wide + _GAP, _HEAD + (i // 2) * high
        for column, tile in enumerate(one.tiles):
            sheet.paste(tile, (x + column * (_SIDE + _GAP), y))
        draw.text((x, y + _SIDE + 2), one.name, _INK, ImageFont.load_default(14))
        draw.text((x, y + _SIDE + 2 + _LINE), _numbers(one.scores), _FAINT, ImageFont.load_default(13))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _numbers(scores: dict[str, Scores]) -> str:
    best = min((name for name in scores if name not in MEASURED), key=lambda name: scores[name][LEADING])
    ours = scores[LUMINET]
    return (
        f"RMSE {ours[LEADING]:.3f}; best baseline here {scores[best][LEADING]:.3f} ({best});"
        f" colour {ours['colour_angle']:.0f}°, albedo error {ours['albedo_error']:.2f}"
    )


def _tile(picture: Tensor) -> Image.Image:
    pixels = (picture.clamp(0, 1).numpy() * 255 + 0.5).astype("uint8")
    return Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
