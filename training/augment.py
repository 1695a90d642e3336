# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies between light and a photo's file: haze, exposure, white balance, vignette, blur, tone, noise, JPEG.

For the recipes of any model that sees photos. Pictures are (B, 3, H, W) linear Rec.709; every function draws its own
strengths, one a picture, from ``rng``. What moves pixels, a mirror or another lens, belongs to the recipe, whose labels
must move along.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..backend.optics.exposure import luminance, srgb_oetf


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).reshape(-1, 1, 1, 1)


def haze(radiance: Tensor, depth: Tensor, rng: np.random.Generator, share: float = 0.2) -> Tensor:
    """Air light over planar ``depth`` (B, H, W): in a ``share`` of the pictures, a veil of the picture's mean grey."""
    count = len(radiance)
    density = _column((rng.random(count) < share) * np.exp(rng.uniform(np.log(0.003), np.log(0.08), count)))
    veil = radiance.clamp(max=2).mean((1, 2, 3), keepdim=True) * _column(rng.uniform(0.8, 1.8, count))
    through = torch.exp(-density * depth[:, None].clamp(max=400.0))
    return radiance * through + veil * (1 - through)


def exposure(radiance: Tensor, rng: np.random.Generator, stops: float = 0.6) -> Tensor:
    """Gains of 2^N(0, ``stops``), at most two and a half of them."""
    return radiance * _column(2 ** np.clip(rng.normal(0, stops, len(radiance)), -2.5 * stops, 2.5 * stops))


def white_balance(radiance: Tensor, rng: np.random.Generator, spread: float = 0.1) -> Tensor:
    """Channel gains of e^N(0, ``spread``); one picture in twelve loses its colour."""
    count = len(radiance)
    gains = torch.from_numpy(np.exp(rng.normal(0, spread, (count, 3, 1, 1))).astype(np.float32))
    grey = luminance(radiance.movedim(1, -1))[:, None].expand_as(radiance)
    return torch.where(_column(rng.random(count)) < 1 / 12, grey, radiance * gains)


def vignette(radiance: Tensor, rng: np.random.Generator, share: float = 0.4) -> Tensor:
    """Corners darker by up to half, with the square of the distance from the middle."""
    height, width = radiance.shape[-2:]
    x, y = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)[:, None]
    strength = _column((rng.random(len(radiance)) < share) * rng.uniform(0, 0.5, len(radiance)))
    return radiance * (1 - strength * (x**2 + y**2) / 2)


def blur(radiance: Tensor, rng: np.random.Generator, share: float = 0.4) -> Tensor:
    """In a ``share`` of the pictures fewer pixels, down to two fifths: a soft lens, a small or enlarged original."""
    blurred = []
    for picture in radiance:
        if rng.random() < share:
            size = [max(8, round(side * rng.uniform(0.4, 0.9))) for side in picture.shape[-2:]]
            small = F.interpolate(picture[None], size, mode="area")
            picture = F.interpolate(small, picture.shape[-2:], mode="bilinear", align_corners=False)[0]
        blurred.append(picture)
    return torch.stack(blurred)


def tone(radiance: Tensor, rng: np.random.Generator) -> Tensor:
    """A camera's curve: contrast around middle grey, and a shoulder that keeps some of the light over white."""
    count = len(radiance)
    contrast = _column(np.exp(rng.normal(0, 0.15, count)))
    shoulder = _column(np.clip(rng.normal(0, 0.5, count), 0, 0.8))
    bent = 0.18 * (radiance.clamp(1e-5, 8) / 0.18) ** contrast
    return bent * (1 + shoulder * bent) / (1 + shoulder * (bent + bent**2))


def noise(radiance: Tensor, rng: np.random.Generator) -> Tensor:
    """Sensor noise: its variance grows with the light."""
    strength = _column(0.02 * np.exp(rng.normal(-0.7, 1.0, len(radiance))))
    drawn = torch.from_numpy(rng.standard_normal(radiance.shape, np.float32))
    return radiance + strength * drawn * (0.03 + radiance.clamp(0, 1)).sqrt()


def jpeg(display: Tensor, rng: np.random.Generator, share: float = 0.4) -> Tensor:
    """Display values in [0, 1], a ``share`` of the pictures after JPEG of quality 30 to 95."""
    coded = []
    for picture in display:
        if rng.random() < share:
            pixels = (picture.movedim(0, -1).numpy() * 255 + 0.5).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(30, 96)))
            picture = torch.from_numpy(np.array(Image.open(file), np.float32) / 255).movedim(-1, 0)
        coded.append(picture)
    return torch.stack(coded)


def photograph(radiance: Tensor, depth: Tensor | None, rng: np.random.Generator) -> Tensor:
    """All of it in the order in which a camera does it: display values (B, 3, H, W) in [0, 1].

    ``depth`` (B, H, W): planar, metres, +inf = sky; without it there is no haze.
    """
    light = radiance if depth is None else haze(radiance, depth, rng)
    return develop(white_balance(exposure(light, rng), rng), rng)


def develop(radiance: Tensor, rng: np.random.Generator) -> Tensor:
    """What lens, sensor and file make of exposed, balanced light (B, 3, H, W): display values in [0, 1]."""
    light = blur(vignette(radiance, rng), rng)
    return jpeg(srgb_oetf(noise(tone(light, rng), rng).clamp(0, 1)), rng).clamp(0, 1)
