# SPDX-License-Identifier: GPL-3.0-or-later
"""The object's mesh with textures that ``limelight splat texture`` learnt, looked at as learnt splats are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ...backend.limo.report import Report
from ...backend.optics import exr
from ...backend.optics.exposure import srgb_eotf
from ...backend.splats.raster import SplatCamera
from ...backend.splats.render import Maps
from ...backend.splats.shading.environment import Light, from_panorama
from ...backend.splats.shading.physical import Surface, shade
from ...backend.splats.shading.visibility import Visibility
from ...backend.splats.textured.files import read_mesh
from ...backend.splats.textured.geometry import Mesh
from ...backend.splats.textured.job import TextureJob, run_texture
from ...backend.splats.textured.seen import Seen, look
from ...backend.splats.textured.textures import Textures, hiding, shown
from ...backend.splats.train.handover import base_colour
from ...backend.splats.train.parameters import logit
from .cases import LARGEST, MESH, TEXELS, Case
from .models import TONE, Effort

#: Looks along a side of a pixel: a mesh's edges are sharp, those of the truth are not.
_FINER = 3


@dataclass(frozen=True)
class Textured:
    """``textures`` on a ``mesh``, the ``light`` (6, R, R, 3) they were learnt in if they know it, and what hides it."""

    mesh: Mesh
    textures: Textures
    light: Tensor | None
    visibility: Visibility | None
    relights: bool = True

    @torch.no_grad()
    def novel(self, camera: SplatCamera) -> Tensor | None:
        """(H, W, 3): display values over white, in the light it was learnt in; nothing if it does not know that."""
        if self.light is None:
            return None
        seen = self._seen(camera)
        found = shown(self.textures, seen, Light(self.light), self.visibility, diffuse=True, tone=TONE)
        return _smaller(seen.spread(found.image.clamp(0, 1), torch.ones(*seen.size, 3)))

    @torch.no_grad()
    def maps(self, camera: SplatCamera) -> Maps:
        """All channels that a score looks at, weighted by coverage."""
        seen = self._seen(camera)
        at = self.textures.at(seen.uv)
        found = [at[name] for name in ("albedo", "metallic", "roughness", "progress")]
        layers = torch.cat([*found, seen.normals, torch.ones(len(seen.pixels), 1)], -1)
        drawn = _smaller(seen.spread(layers, torch.zeros(*seen.size, layers.shape[-1])))
        alpha, nothing = drawn[..., -1:], torch.zeros_like(drawn[..., :3])
        return Maps(nothing, alpha, nothing[..., :1], alpha.new_ones(0), drawn[..., :-1])

    @torch.no_grad()
    def relit(self, camera: SplatCamera, light: Light) -> tuple[Tensor, Tensor]:
        """Linear radiance (H, W, 3) of what covers the pixels under another light, and how much it covers (H, W, 1)."""
        seen = self._seen(camera)
        at = self.textures.at(seen.uv)
        hidden = None if self.visibility is None else self.visibility.at(seen.points, seen.normals)
        surface = Surface(at["albedo"], at["metallic"][:, 0], at["roughness"][:, 0], seen.normals, seen.view, hidden)
        lit = torch.cat([shade(surface, light).physical, torch.ones(len(seen.pixels), 1)], -1)
        drawn = _smaller(seen.spread(lit, torch.zeros(*seen.size, 4)))
        return drawn[..., :3] / drawn[..., 3:].clamp(min=1e-6), drawn[..., 3:]

    def _seen(self, camera: SplatCamera) -> Seen:
        lens = camera.lens
        return look(self.mesh, camera.resized(_FINER * lens.width, _FINER * lens.height))


def _smaller(picture: Tensor) -> Tensor:
    """(H, W, C) of looks (_FINER · H, _FINER · W, C)."""
    return F.avg_pool2d(picture.permute(2, 0, 1)[None], _FINER)[0].permute(1, 2, 0)


def trained(case: Case, out: Path, effort: Effort, seed: int, device: str, report: Report) -> Textured:
    """Train on an object's mesh, or go on, or take what is there already."""
    mesh = case.folder / MESH
    if not (out / "mesh.glb").is_file():
        job = TextureJob(
            case.folder, out, effort.iterations, LARGEST, TONE, seed, device, mesh=mesh, texels=effort.texels
        )
        run_texture(job, report)
    return load(mesh, out, effort.texels)


def load(mesh: Path, folder: Path, texels: int) -> Textured:
    """What a training on a mesh left in a folder, as its files have it."""
    surface, textures = read_mesh(mesh, texels), Textures(texels, 1, "cpu")
    with np.load(folder / "radiance.npz") as file:
        sh = torch.from_numpy(file["sh"].astype(np.float32)).flatten(2).permute(2, 0, 1)[None]
    values = {"sh_base": sh[:, :3], "sh_rest": sh[:, 3:]}
    for name in ("albedo", "metallic", "roughness", "progress"):
        pixels = torch.from_numpy(np.asarray(Image.open(folder / f"{name}.png"), np.float32) / 255)
        values[name] = logit((srgb_eotf(pixels).permute(2, 0, 1) if name == "albedo" else pixels[None])[None])
    textures.values |= values
    panorama, _ = exr.read_panorama(folder / "environment.exr")
    return Textured(surface, textures, from_panorama(panorama, TEXELS), hiding(surface, "cpu"))


def photographed(found: Textured) -> Textured:
    """The photos' own colour taken for the albedo of a rough surface: what scans come with."""
    textures = Textures(found.textures.values["albedo"].shape[-1], 1, "cpu")
    textures.put_rows("albedo", logit(base_colour(found.textures.rows("sh_base"))))
    for name, value in (("metallic", 0.0), ("roughness", 1.0), ("progress", 1.0)):
        textures.put(name, logit(torch.full_like(textures.values[name], value)))
    return replace(found, textures=textures, light=None, visibility=None)
