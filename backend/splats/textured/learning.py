# SPDX-License-Identifier: GPL-3.0-or-later
"""The method's stages on a surface that stays: textures learnt from what every view sees of it."""

from __future__ import annotations

from functools import cached_property

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..inputs import Scene, View
from ..shading.environment import Light
from ..train import evidence, losses
from ..train.evidence import Evidence
from ..train.handover import Places, Told, base_colour, begin
from ..train.loop import Compared, Loop, Settings
from ..train.stages import Place
from .geometry import Mesh
from .seen import Seen, look, told
from .texels import Texels
from .textures import Look, Textures, hiding, shown

#: Longer steps than Gaussians': about one view in three sees a texel. And in the first stage nothing else moves.
_SELDOM, _RADIANCE_FIRST = 3.0, 2.0
_DEGREES = 4
#: Pixels at the object's rim mix it with what is behind.
_WHOLE = 0.99
#: Texels at which photos are looked at before materials are learnt; base colours below this are black.
_PLACES, _BLACK = 8_000, 1e-3


class Learning(Loop):
    """Textures of a mesh on their way."""

    learnt: Textures
    # A checkpoint of textures is large.
    looks = 20

    def __init__(self, mesh: Mesh, scene: Scene, textures: Textures, settings: Settings) -> None:
        super().__init__(scene, textures, settings)
        self.mesh = mesh
        # Pictures for training and for testing may have the same names.
        self._seen: dict[int, Seen] = {}

    def seen(self, view: View) -> Seen:
        """What a view sees of the mesh; found once."""
        if id(view) not in self._seen:
            self._seen[id(view)] = look(self.mesh, view.camera).to(self.settings.device)
        return self._seen[id(view)]

    def update(self, place: Place) -> float:
        """One iteration on one view."""
        if place.stage.diffuse and self.visibility is None:
            self.visibility = hiding(self.mesh, self.settings.device)
        self.learnt.rates(self.rates(place))
        self.hand_over()
        view = self.view()
        image, truth, material = self.picture(place, view)
        loss, short = losses.picture(image, truth), self.settings.schedule.short
        if place.stage.diffuse:
            weight = losses.SHORT_PROGRESS if short else losses.PROGRESS
            loss = loss + weight * ((1 - material["progress"]) ** 2).mean()
        if place.stage.physical:
            loss = loss + self.light_prior(place)
            loss = loss + self._surface(self.seen(view), material) if short else loss
        loss.backward()  # type: ignore[no-untyped-call]
        self.learnt.step()
        return float(loss.detach())

    def _surface(self, seen: Seen, material: dict[str, Tensor]) -> Tensor:
        """What is unlike the next pixel's, and mirrors without need: the shape itself stays."""
        empty = torch.zeros(*seen.size, 1, device=self.settings.device)
        alpha = seen.spread(torch.ones_like(material["progress"]), empty)
        roughness, metallic = material["roughness"], material["metallic"]
        loss = losses.SHORT_POLISH * losses.unpolished(roughness, metallic, torch.ones_like(metallic))
        for name in ("albedo", "metallic", "roughness"):
            layer = seen.spread(material[name], empty.expand(-1, -1, material[name].shape[-1]))
            loss = loss + losses.SHORT_EVEN[name] * losses.uneven(layer, alpha)
        return loss

    @cached_property
    def texels(self) -> Texels:
        """Those that pictures for training show."""
        size = self.learnt.values["albedo"].shape[-1]
        return Texels.seen([self.seen(view) for view in self.scene.train], size)

    @cached_property
    def _looked_at(self) -> tuple[Tensor, Tensor]:
        """Numbers (M,) of some of the texels that are seen, and for all of these (N,) which of them is nearest."""
        points = self.texels.points
        g = torch.Generator().manual_seed(0)
        some = torch.randperm(len(points), generator=g)[:_PLACES].to(points.device)
        _, near = cKDTree(points[some].cpu().numpy()).query(points.cpu().numpy())
        return some, torch.from_numpy(near).to(points.device)

    @cached_property
    def _evidence(self) -> Evidence:
        """Of the texels that are looked at."""
        some = self._looked_at[0]
        points, normals = self.texels.points[some], self.texels.normals[some]
        views = self.scene.train
        return evidence.joined([told(view, self.seen(view), points, normals, self.mesh.extent) for view in views])

    def metals(self) -> Told:
        """Told of some texels, for all."""
        some, near = self._looked_at
        size = self.learnt.values["environment"].shape[1]
        # Without masks, too, the mesh says what is the object.
        told = begin(self._evidence, self.texels.points[some], masked=True, texels=size)
        return told.at(near[self.texels.nearest])

    @torch.no_grad()
    def places(self) -> Places:
        """All texels: those that no picture shows are like the nearest that one does."""
        number, points, normals, nearest = self.texels
        shown = base_colour(self.learnt.rows("sh_base")[number])
        some, near = self._looked_at
        dull, told = evidence.dull(self._evidence)
        share, known = dull / shown[some].clamp(min=_BLACK), told[near]
        shown = torch.where(known[:, None], shown * share[near].clamp(max=1), shown)
        hidden = None if self.visibility is None else self.visibility.at(points, normals)
        metallic, progress = (torch.sigmoid(self.learnt.rows(name)[number, 0]) for name in ("metallic", "progress"))
        found = Places(normals, hidden, shown, known, metallic, progress, torch.ones_like(known))
        return Places._make(None if part is None else part[nearest] for part in found)

    def rates(self, place: Place) -> dict[str, float]:
        """Learning rates by name."""
        first = 1.0 if place.stage.physical else _RADIANCE_FIRST
        found = {name: first * _SELDOM * rate for name, rate in self.settings.schedule.rates(place, 1.0).items()}
        found["environment"] = found.get("environment", 0.0) / _SELDOM
        return found

    def picture(self, place: Place, view: View) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Picture and truth (H, W, 3), equal where the mesh or the object is not wholly seen; materials (P, C)."""
        seen, device = self.seen(view), self.settings.device
        found = self.shown(place, seen)
        truth = view.over(torch.zeros(3, device=device))
        whole = (view.mask(torch.device(device)).reshape(-1)[seen.pixels] >= _WHOLE)[:, None]
        under = truth.reshape(-1, 3)[seen.pixels]
        return seen.spread(torch.where(whole, found.image, under), truth), truth, found.material

    def shown(self, place: Place, seen: Seen) -> Look:
        """What seen pixels show in this stage."""
        light = Light(self.learnt.radiance()) if place.stage.physical else None
        degree = 3 if place.stage.physical else min(3, _DEGREES * place.step // max(1, place.steps))
        return shown(
            self.learnt, seen, light, self.visibility, diffuse=place.stage.diffuse, tone=self.settings.tone,
            degree=degree,
        )  # fmt: skip

    def compare(self, place: Place, view: View) -> Compared:
        """The error counts the object's pixels alone."""
        image, truth, _ = self.picture(place, view)
        error = (image.clamp(0, 1) - truth).reshape(-1, 3)[self.seen(view).pixels]
        return Compared(image, truth, (error**2).mean())
