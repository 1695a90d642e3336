# SPDX-License-Identifier: GPL-3.0-or-later
"""A head with its maps under any light, on the CPU in a second or so: for benchmarks, previews and turntables.

Reflection is a diffuse part and a GGX gloss above it, the gloss taking what it reflects from the diffuse. An
environment lights by its irradiance and by a lobe of its mirror image (split sum, Karis 2013); lamps by the BRDF
itself, with shadow maps. How much of the environment's light other parts of the head hide is found at the corners, per
colour; what they throw back themselves is estimated from the albedo. Light within the skin is a wrapped cosine, farther
for red, and for red a smoother normal. Nothing is traced: shoulders throw no light, and ears are
not translucent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.camera import Camera
from ..optics.shading import wrapped_cosine
from . import maps
from .head import HeadModel
from .lighting import WRAP, Lamp, Lighting
from .raster import corner_tangents, project, rasterise
from .solid import shadow_map, solid
from .surface import SKIN, Surface, gloss, hemispherical, surface, wears_maps

#: How much of the fine normal red, green and blue light sees.
_FINE = (0.45, 0.75, 0.9)


@dataclass(frozen=True)
class Pose:
    """Head frame to camera frame: ``rotation`` (3, 3), ``translation`` (3,) metres; and the ``camera``."""

    rotation: Tensor
    translation: Tensor
    camera: Camera


class View:
    """A head seen from somewhere: what of it shows, found once and drawn under any number of maps and lights.

    ``points`` (V, 3) in the head frame. Each pixel is the mean of ``supersample``² samples.
    """

    def __init__(self, head: HeadModel, points: Tensor, pose: Pose, supersample: int = 2) -> None:
        self.supersample = supersample
        camera = pose.camera.resized(pose.camera.width * supersample, pose.camera.height * supersample)
        body = solid(head, points)
        tangents = corner_tangents(head, points, body.normals[: len(head.uv)])
        balls = len(body.corners) - len(head.uv)
        own = torch.cat([body.eye_directions(), F.pad(tangents @ pose.rotation.T, (0, 0, 0, balls))], -1)
        self.body = body.moved(pose.rotation, pose.translation)
        places, depth = project(self.body.corners, camera)
        raster = rasterise(places, depth, self.body.triangles, (camera.width, camera.height))
        values = torch.cat([self.body.corners, self.body.normals, own, F.pad(head.uv, (0, 0, 0, balls))], -1)
        self.inside = torch.nonzero(raster.mask, as_tuple=True)
        self.hit, self.size = raster.triangle[self.inside], raster.mask.shape
        self.weights = raster.weights[self.inside]
        point, normal, self.eye, tangent, self.uv = self._between(values).split((3, 3, 3, 3, 2), -1)
        self.material = self.body.material[self.hit]
        self.towards, self.normal = F.normalize(-point, dim=-1), F.normalize(normal, dim=-1)
        self.tangent = F.normalize(tangent - (tangent * self.normal).sum(-1, keepdim=True) * self.normal, dim=-1)
        self.point = point
        self._reach: dict[Lighting, Tensor] = {}

    def render(self, stack: Tensor, lighting: Lighting, roughness: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Linear radiance (H, W, 3) and alpha (H, W) of a stack of maps (10, R, R) under a light.

        ``roughness`` (1, r, r): the skin's, as :mod:`.roughness` tells it; without it skin is :data:`~.surface.SKIN`.
        The radiance is multiplied by alpha: over a background b it is image + (1 − alpha)·b.
        """
        rough = torch.full((len(self.uv), 1), SKIN) if roughness is None else self._look_up(roughness)
        values, eye = self._look_up(maps.filled(stack)), F.normalize(self.eye, dim=-1)
        shown = surface(self.material, values, rough, self.normal, self.tangent, eye)
        colour = self._environment(shown, lighting)
        for lamp in lighting.lamps:
            colour = colour + self._lamp(shown, lamp)
        return self._picture(colour)

    def flat(self, colours: Tensor) -> tuple[Tensor, Tensor]:
        """Linear colours (3, R, R) on the skin as they are, unlit, all else black: (H, W, 3), and alpha (H, W)."""
        return self._picture(self._look_up(maps.filled(colours)) * wears_maps(self.material)[:, None])

    def _between(self, values: Tensor) -> Tensor:
        """(P, D): values (N, D) of the corners at the samples that hit."""
        return torch.einsum("pkd,pk->pd", values[self.body.triangles[self.hit]], self.weights)

    def _look_up(self, stack: Tensor) -> Tensor:
        """(P, C): a map (C, R, R), filled beside the skin, at the samples, between its texels."""
        grid = torch.stack([self.uv[:, 0] * 2 - 1, 1 - self.uv[:, 1] * 2], -1)[None, None]
        found = F.grid_sample(stack[None], grid, padding_mode="border", align_corners=False)
        return found[0, :, 0].T

    def _picture(self, colour: Tensor) -> tuple[Tensor, Tensor]:
        samples = torch.zeros(*self.size, 4).index_put(self.inside, F.pad(colour, (0, 1), value=1.0))
        mean = F.avg_pool2d(samples.permute(2, 0, 1)[None], self.supersample)[0].permute(1, 2, 0)
        return mean[..., :3].contiguous(), mean[..., 3].contiguous()

    def _environment(self, shown: Surface, lighting: Lighting) -> Tensor:
        if lighting not in self._reach:
            self._reach[lighting] = self._between(lighting.reach(self.body)).clamp(0, 1)
        reach = self._reach[lighting]
        taken, mirrored = self._gloss_of_environment(shown, lighting, reach.mean(-1, keepdim=True))
        # What hides the light is of the same kind and throws some of it back.
        reach = reach / (1 - shown.albedo * (1 - reach))
        return shown.albedo * lighting.diffuse(_normals(shown)) * reach * (1 - taken) + mirrored

    def _gloss_of_environment(self, shown: Surface, lighting: Lighting, reach: Tensor) -> tuple[Tensor, Tensor]:
        """(P, 1), the part of the light that the gloss takes from the diffuse, and (P, 3), what it shows instead.

        Where the head hides the environment the gloss would show skin, which is lit about as this is.
        """
        cosine = (shown.fine * self.towards).sum(-1, keepdim=True)
        to = 2 * cosine * shown.fine - self.towards
        cosine = cosine.clamp(1e-3, 1)
        # Lagarde and de Rousiers (2014): gloss is hidden less than the rest, the less so the smoother it is.
        free = ((cosine + reach) ** torch.exp2(-16 * shown.roughness - 1) - 1 + reach).clamp(0, 1)
        taken = hemispherical(shown.f0, cosine, shown.roughness) * free
        return taken, taken * lighting.mirrored(to, shown.roughness)

    def _lamp(self, shown: Surface, lamp: Lamp) -> Tensor:
        lit = shadow_map(self.body, lamp.direction).lit(self.point, shown.smooth)[:, None]
        cosines = [wrapped_cosine(n @ lamp.direction, wrap) for n, wrap in zip(_normals(shown), WRAP, strict=True)]
        cosine = (shown.fine * self.towards).sum(-1, keepdim=True).clamp(1e-3, 1)
        taken = hemispherical(shown.f0, cosine, shown.roughness)
        colour = shown.albedo / math.pi * torch.stack(cosines, -1) * (1 - taken)
        colour = colour + gloss(shown.fine, self.towards, lamp.direction, shown.f0, shown.roughness)
        return colour * lit * lamp.irradiance


def _normals(shown: Surface) -> tuple[Tensor, Tensor, Tensor]:
    """A normal (P, 3) for each colour: light that travels in the skin does not see its finest bumps."""
    red, green, blue = (F.normalize(torch.lerp(shown.smooth, shown.fine, part), dim=-1) for part in _FINE)
    return red, green, blue
