# SPDX-License-Identifier: GPL-3.0-or-later
"""The method's stages on a surface that stays: textures learnt from what every view sees of it."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import BadInput
from ..inputs import Scene, View
from ..shading.environment import Light
from ..train import losses
from ..train.loop import Compared, Loop, Settings
from ..train.stages import Place
from .geometry import Mesh
from .seen import Seen, look
from .textures import Look, Textures, hiding, shown

#: Longer steps than Gaussians': about one view in three sees a texel. And in the first stage nothing else moves.
_SELDOM, _RADIANCE_FIRST = 3.0, 2.0
_DEGREES = 4
#: Pixels at the object's rim mix it with what is behind.
_WHOLE = 0.99


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
        if not any(len(self.seen(view).pixels) for view in scene.train):
            raise BadInput("No picture shows the mesh.", "Give the mesh in the frame of the cameras.", "not_seen")

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
        image, truth, progress = self.picture(place, self.view())
        loss = losses.picture(image, truth)
        if place.stage.diffuse:
            loss = loss + losses.WHITE * losses.white(self.learnt.radiance())
            loss = loss + losses.PROGRESS * ((1 - progress) ** 2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self.learnt.step()
        return float(loss.detach())

    def rates(self, place: Place) -> dict[str, float]:
        """Learning rates by name."""
        first = 1.0 if place.stage.physical else _RADIANCE_FIRST
        found = {name: first * _SELDOM * rate for name, rate in self.settings.schedule.rates(place, 1.0).items()}
        found["environment"] = found.get("environment", 0.0) / _SELDOM
        if place.stage.name == "joint" and not self.scene.masked:
            found["environment"] = 0.0
        return found

    def picture(self, place: Place, view: View) -> tuple[Tensor, Tensor, Tensor]:
        """Picture and truth (H, W, 3), equal where the mesh or the object is not wholly seen; progress (P, 1)."""
        seen, device = self.seen(view), self.settings.device
        found = self.shown(place, seen)
        truth = view.over(torch.zeros(3, device=device))
        whole = (view.mask(torch.device(device)).reshape(-1)[seen.pixels] >= _WHOLE)[:, None]
        under = truth.reshape(-1, 3)[seen.pixels]
        return seen.spread(torch.where(whole, found.image, under), truth), truth, found.progress

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

    def covered(self) -> Tensor:
        """(T, T) bool: texels that some picture for training sees."""
        texels = self.learnt.values["albedo"].shape[-1]
        found = torch.zeros(texels, texels, dtype=torch.bool)
        for view in self.scene.train:
            uv = self.seen(view).uv.cpu()
            column, row = (uv[:, 0] * texels).long(), ((1 - uv[:, 1]) * texels).long()
            found[row.clamp(0, texels - 1), column.clamp(0, texels - 1)] = True
        return found
