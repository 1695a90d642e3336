# SPDX-License-Identifier: GPL-3.0-or-later
"""An object's sheet: what it is and what was learnt of it; below, the same under every other light."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from ...backend.optics.exposure import expose, srgb_oetf
from ...backend.splats.shading.environment import to_panorama
from .cases import Case
from .models import BASE, CONSTANT, FULL, PHOTOGRAPHED, PLAIN, TEXTURED, UNDISTILLED, Learnt
from .score import NOVEL, SCALED_OBJECT, Scores, shown, view_of

_PAPER, _INK, _FAINT = (28, 28, 30), (236, 234, 228), (160, 158, 152)
_SIDE, _GAP, _LINE, _HEAD = 176, 6, 17, 34
_RELIT = (FULL, UNDISTILLED, CONSTANT, BASE, TEXTURED, PHOTOGRAPHED)
Cells = list[tuple[str, Tensor | None]]


def write_sheet(
    path: Path, case: Case, models: Mapping[str, Learnt], scores: Mapping[str, Scores], scales: Mapping[str, Tensor]
) -> None:
    """Two test views and what is learnt of the first, a row for each light."""
    rows = [_novel(case, models, scores, number) for number in (0, 1)]
    rows += [_made_of(case, models), _lights(case, models)]
    rows += [_relit(case, models, scores, scales, name, k) for k, name in enumerate(case.lights)]
    wide = max(len(row) for row in rows) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (wide, _HEAD + len(rows) * (_SIDE + _LINE + _GAP)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    title = f"{case.name}: seen in its own light; what it is made of; relit, each scaled by one factor a channel"
    pen.text((_GAP, 8), title, _INK, ImageFont.load_default(16))
    for y, row in enumerate(rows):
        for x, (name, tile) in enumerate(row):
            left, top = _GAP + x * (_SIDE + _GAP), _HEAD + y * (_SIDE + _LINE + _GAP)
            if tile is not None:
                pen.text((left, top), name, _FAINT, ImageFont.load_default(11))
                sheet.paste(_tile(tile), (left, top + _LINE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _known(models: Mapping[str, Learnt], *names: str) -> list[str]:
    return [name for name in names if name in models]


def _tile(picture: Tensor) -> Image.Image:
    pixels = (picture.clamp(0, 1).numpy() * 255 + 0.5).astype("uint8")
    height = max(1, round(_SIDE * picture.shape[0] / picture.shape[1]))
    return Image.fromarray(pixels).resize((_SIDE, min(_SIDE, height)), Image.Resampling.BICUBIC)


def _novel(case: Case, models: Mapping[str, Learnt], scores: Mapping[str, Scores], number: int) -> Cells:
    view = view_of(case, number)
    row: Cells = [("photo, kept for testing", view.over(torch.ones(3)))]
    for name in _known(models, PLAIN, FULL, UNDISTILLED, CONSTANT, TEXTURED):
        row.append((f"{name}, {scores[name][NOVEL]:.1f} dB", models[name].novel(view.camera)))
    return row


def _made_of(case: Case, models: Mapping[str, Learnt]) -> Cells:
    """True and learnt maps of the first view."""
    view = view_of(case, 0)
    truth, maps = case.truth(view.name), models[FULL].maps(view.camera)
    cover, mask = maps.alpha, truth.mask[..., None].float()
    parts = torch.cat([maps.channel("roughness"), maps.channel("metallic"), 0 * cover], -1)
    normals = F.normalize(maps.channel("normal"), dim=-1) / 2 + 0.5
    return [
        ("true albedo", srgb_oetf(truth.albedo) * mask),
        ("albedo", srgb_oetf(maps.channel("albedo").clamp(0, 1)) * cover),
        ("true normal", (truth.normal / 2 + 0.5) * mask),
        ("normal", normals * cover),
        ("true roughness, metallic", torch.cat([truth.roughness, truth.metallic, 0 * mask], -1) * mask),
        ("roughness, metallic", parts * cover),
        ("progress", (maps.channel("progress") * cover).expand(-1, -1, 3)),
    ]


def _lights(case: Case, models: Mapping[str, Learnt]) -> Cells:
    row: Cells = [("true light", expose(case.environment, 0))]
    for name in _known(models, FULL, UNDISTILLED, CONSTANT, TEXTURED):
        light = models[name].light
        if light is not None:
            row.append((f"light: {name}", expose(to_panorama(light, 64), 0)))
    return row


def _relit(
    case: Case, models: Mapping[str, Learnt], scores: Mapping[str, Scores], scales: Mapping[str, Tensor], name: str,
    number: int,
) -> Cells:  # fmt: skip
    view, light = view_of(case, number), case.light(name)
    row: Cells = [(f"truth: {name}", case.relit(name, view.name))]
    for method in _known(models, *_RELIT):
        picture = shown(*models[method].relit(view.camera, light), scales[method])
        row.append((f"{method}, {scores[method][SCALED_OBJECT]:.1f} dB", picture))
    return row
