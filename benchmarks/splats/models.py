# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared: learnt splats, each with the light it believes in, seen as learnt and under other light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.limo.report import Report
from ...backend.optics import exr
from ...backend.splats import render
from ...backend.splats.files import formats
from ...backend.splats.inputs import Scene
from ...backend.splats.raster import SplatCamera
from ...backend.splats.raster.dense import rotations
from ...backend.splats.shading.environment import Light, from_panorama
from ...backend.splats.shading.visibility import Visibility, bake
from ...backend.splats.train import handover
from ...backend.splats.train.job import TrainJob, run_train
from . import constant
from .cases import LARGEST, TEXELS

#: The method, and the baselines by what they are.
FULL, UNDISTILLED, CONSTANT = "distilled", "without distillation", "constant material"
PLAIN, BASE = "plain 3DGS", "base colour and normals"
#: The method's splats as programs show them that know nothing of material, and Blender before *Relight*.
SHOWN = "distilled, raw radiance"
#: On the object's own mesh: the method, and what scans come with.
TEXTURED, PHOTOGRAPHED = "mesh, distilled", "mesh, as photographed"
#: Those that a floor compares the method with under other light.
RIVALS = (UNDISTILLED, CONSTANT)
#: The pictures are sRGB without a film curve.
TONE = "srgb"


@dataclass(frozen=True)
class Effort:
    """``iterations`` of a training, the most ``gaussians``, and ``texels`` along a side of a mesh's textures."""

    iterations: int
    gaussians: int
    texels: int


class Learnt(Protocol):
    """What can be scored: see :class:`Model`."""

    @property
    def light(self) -> Tensor | None:
        """(6, R, R, 3)."""

    @property
    def relights(self) -> bool:
        """Whether it takes other light."""

    def novel(self, camera: SplatCamera) -> Tensor | None:
        """(H, W, 3)."""

    def maps(self, camera: SplatCamera) -> render.Maps:
        """All channels."""

    def relit(self, camera: SplatCamera, light: Light) -> tuple[Tensor, Tensor]:
        """(H, W, 3) and (H, W, 1)."""


@dataclass(frozen=True)
class Model:
    """A ``cloud`` under the names of ``Splats.tensors``, its ``light`` (6, R, R, 3) if it has one.

    ``visibility`` or nothing hides. ``shown``: whether it takes other light, and whether novel views are its physical
    shading blended with raw radiance (else raw radiance alone).
    """

    cloud: dict[str, Tensor]
    light: Tensor | None
    visibility: Visibility | None
    relights: bool = True

    @torch.no_grad()
    def novel(self, camera: SplatCamera) -> Tensor | None:
        """(H, W, 3): display values over white, in the light it was learnt in; nothing if it says nothing of that."""
        white = torch.ones(3)
        if self.relights and self.light is None:
            return None
        maps = render.draw(self.cloud, camera, material=self.light is not None)
        if self.light is None:
            return render.plain(maps, white).clamp(0, 1)
        light = Light(self.light)
        return render.physical(maps, camera, light, white, visibility=self.visibility, tone=TONE).image.clamp(0, 1)

    @torch.no_grad()
    def maps(self, camera: SplatCamera) -> render.Maps:
        """All channels."""
        return render.draw(self.cloud, camera, material=True)

    @torch.no_grad()
    def relit(self, camera: SplatCamera, light: Light) -> tuple[Tensor, Tensor]:
        """Linear radiance (H, W, 3) of what covers the pixels under another light, and how much it covers (H, W, 1)."""
        maps = self.maps(camera)
        return render.radiance(maps, camera, light, self.visibility), maps.alpha


def trained(scene: Path, out: Path, variant: str, effort: Effort, seed: int, device: str, report: Report) -> Path:
    """Train a variant on a scene, or go on, or take what is there already; returns the splats' file."""
    if not out.is_file():
        job = TrainJob(
            scene, out, effort.iterations, LARGEST, TONE, seed, device, gaussians=effort.gaussians, variant=variant,
        )  # fmt: skip
        run_train(job, report)
    return out


def load(path: Path) -> Model:
    """Learnt splats with material, and the light beside them."""
    cloud = formats.read(path).splats.tensors()
    panorama, _ = exr.read_panorama(path.with_name(f"{path.name.split('.')[0]}_environment.exr"))
    return Model(cloud, from_panorama(panorama, TEXELS), _baked(cloud))


def plain(path: Path) -> Model:
    """Learnt splats as anybody's."""
    return Model(_with(formats.read(path).splats.tensors(), None, 0.0, 0.5), None, None, relights=False)


def base_colour(found: Model) -> Model:
    """The base colour taken for the albedo and the normals alone for the rest: what relighting add-ons do."""
    return Model(_with(found.cloud, handover.base_colour(found.cloud["sh"][:, 0]), 0.0, 1.0), None, None)


def constant_material(found: Model, scene: Scene, iterations: int, seed: int) -> Model:
    """One material for all of it, and a light that suits it."""
    fit = constant.fit(found.cloud, scene, iterations, seed, TONE)
    cloud = _with(found.cloud, fit.albedo, fit.metallic, fit.roughness)
    return Model(cloud, fit.radiance, None)


def _with(cloud: dict[str, Tensor], albedo: Tensor | None, metallic: float, roughness: float) -> dict[str, Tensor]:
    """The cloud with a material that is physical all through; ``albedo`` (3,) or (N, 3)."""
    count = len(cloud["means"])
    one = torch.ones(count)
    colour = torch.full((3,), 0.5) if albedo is None else albedo
    return {**cloud, "albedo": colour.expand(count, 3).contiguous(), "metallic": metallic * one,
            "roughness": roughness * one, "progress": one}  # fmt: skip


def _baked(cloud: dict[str, Tensor]) -> Visibility:
    axes = rotations(F.normalize(cloud["quats"], dim=-1))
    return bake(cloud["means"], axes, cloud["scales"], cloud["opacity"])
