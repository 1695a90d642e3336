# SPDX-License-Identifier: GPL-3.0-or-later
"""The baseline that knows of light but not of materials: plain splats, one material for all, a light to fit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam

from ...backend.splats import render
from ...backend.splats.inputs import Scene
from ...backend.splats.shading.environment import Light
from ...backend.splats.train import losses

#: Texels along an edge of the light's cube; learning rates of it and of the material.
_TEXELS, _LIGHT, _MATERIAL = 32, 0.03, 0.03
_DARK, _BRIGHT = -9.0, 7.0


class Fit(NamedTuple):
    """``albedo`` (3,) linear, ``metallic`` and ``roughness`` in 0..1, ``radiance`` (6, R, R, 3)."""

    albedo: Tensor
    metallic: float
    roughness: float
    radiance: Tensor


def fit(cloud: dict[str, Tensor], scene: Scene, iterations: int, seed: int, tone: str) -> Fit:
    """The material and the light under which a cloud with fixed geometry is most like its pictures.

    Metallic starts in between, so that it may go either way. Colours of light and of material cannot be told apart by
    one object; as in the method, a prior makes the light white.
    """
    material = torch.zeros(5, requires_grad=True)
    sky = torch.full((6, _TEXELS, _TEXELS, 3), 0.5).log().requires_grad_()
    optimiser = Adam([{"params": [material], "lr": _MATERIAL}, {"params": [sky], "lr": _LIGHT}])
    g = torch.Generator().manual_seed(seed)
    count, white = len(cloud["means"]), torch.ones(3)
    for _ in range(iterations):
        view = scene.train[int(torch.randint(len(scene.train), (1,), generator=g))]
        found = torch.sigmoid(material)
        told = {"albedo": found[:3].expand(count, 3), "metallic": found[3].expand(count),
                "roughness": found[4].expand(count), "progress": torch.ones(count)}  # fmt: skip
        maps = render.draw({**cloud, **told}, view.camera, material=True)
        radiance = sky.clamp(_DARK, _BRIGHT).exp()
        shown = render.physical(maps, view.camera, Light(radiance), white, tone=tone)
        loss = losses.picture(shown.image, view.over(white)) + losses.WHITE * losses.white(radiance)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    found = torch.sigmoid(material.detach())
    return Fit(found[:3], float(found[3]), float(found[4]), sky.detach().clamp(_DARK, _BRIGHT).exp())
