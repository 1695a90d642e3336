# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a coarse environment out of the picture before any sphere is painted.

One token for every patch of directions knows what the photo shows there, and asks the tokens of the whole picture about
the rest. What it answers is a regression, an expectation: the painter starts from it and adds what regression can't.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...optics import panorama as pano
from .encode import AROUND_CHANNELS, AROUND_ROWS, decode_radiance, encode_radiance, from_opponent, to_opponent

#: Texels of a patch along each side.
_PATCH = 4


class LightReader(nn.Module):
    """forward(tokens (B, T, C), around (B, 8, 16, 32)) -> (B, 3, 16, 32), opponent code, camera frame."""

    def __init__(self, tokens: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        rows, columns = AROUND_ROWS // _PATCH, 2 * AROUND_ROWS // _PATCH
        self.enter = nn.Conv2d(AROUND_CHANNELS, width, _PATCH, stride=_PATCH)
        self.place = nn.Parameter(torch.randn(1, width, rows, columns) * 0.02)
        self.scene = nn.Linear(tokens, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.leave = nn.Linear(width, 3 * _PATCH**2)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, tokens: Tensor, around: Tensor) -> Tensor:
        patches = self.enter(around) + self.place
        rows, columns = patches.shape[-2:]
        asked = patches.flatten(2).transpose(1, 2)
        heard = self.layers(torch.cat([asked, self.scene(tokens)], 1))[:, : asked.shape[1]]
        change = self.leave(heard).transpose(1, 2).unflatten(2, (rows, columns))
        # What the photo shows, continued smoothly, is the answer to begin with.
        return to_opponent(around[:, -3:].float()) + F.pixel_shuffle(change, _PATCH).float()


def show(code: Tensor, normals: Tensor, reflected: Tensor) -> Tensor:
    """Mirror and diffuse sphere (B, 6, S, S), opponent code, under coarse environments ``code`` (B, 3, 16, 32).

    normals and reflected: (B, 3, S, S) unit directions of the sphere's pixels, camera frame.
    """
    light = decode_radiance(from_opponent(code))
    diffuse = to_opponent(encode_radiance(irradiance(light) / math.pi))
    return torch.cat([pano.sample_each(code, reflected), pano.sample_each(diffuse, normals)], 1)


def irradiance(radiance: Tensor) -> Tensor:
    """Irradiance (B, 3, N, 2N) for the normals at a panorama's own texels, from its radiance (B, 3, N, 2N)."""
    cosines = _cosines(radiance.shape[-2]).to(radiance)
    return (radiance.flatten(2) @ cosines).reshape(radiance.shape)


_COSINES: dict[int, Tensor] = {}


def _cosines(rows: int) -> Tensor:
    """(T, T): what radiance 1 of one texel gives a surface facing another; symmetric but for the solid angle."""
    if rows not in _COSINES:
        d = pano.directions(rows).reshape(-1, 3)
        area = pano.solid_angles(rows).expand(-1, 2 * rows).reshape(-1, 1)
        _COSINES[rows] = (d @ d.T).clamp(min=0) * area
    return _COSINES[rows]
