# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads drawn under other light, with found and with true maps; all are as rough as their specular albedo tells."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.optics import exr
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain, expose
from ...backend.relightify import head
from ...backend.relightify.lighting import Lighting
from ...backend.relightify.maps import SPECULAR, filled
from ...backend.relightify.render import Pose, View
from ...backend.relightify.roughness import load_roughness
from ...synthesis.skin import illumination
from ...synthesis.sky import hdri_files
from . import identity
from .score import Scores, picture_error

#: Environments, their rows, pixels a side of the pictures, metres from the head, degrees across.
ENVIRONMENTS, _ROWS, _SIDE, _AWAY, _WIDE = 8, 64, 160, 0.9, 22.0


def environments(folder: Path | None) -> dict[str, Lighting]:
    """:data:`ENVIRONMENTS` by name: of a folder of panoramas evenly taken, or, without one, made by rule."""
    files = hdri_files(folder)
    if files:
        chosen = [files[i * len(files) // ENVIRONMENTS] for i in range(min(ENVIRONMENTS, len(files)))]
        return {path.stem: Lighting(pano.resize(exr.read_panorama(path)[0], _ROWS)) for path in chosen}
    found = {}
    for number in range(ENVIRONMENTS):
        drawn = illumination.draw(np.random.default_rng([8, number]), [])
        found[f"made {number}"] = Lighting(torch.as_tensor(drawn.panorama).float())
    return found


class Relit:
    """A head from in front, drawn under several environments and exposed by the true picture of each."""

    def __init__(self, points: Tensor, lights: dict[str, Lighting], truth: Tensor) -> None:
        rotation = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        camera, there = Camera.from_fov(_SIDE, _SIDE, _WIDE), torch.tensor([0, 0, -_AWAY])
        self._view = View(head.load(), points, Pose(rotation, there, camera), supersample=1)
        self._landmarks, _ = camera.project(head.load().landmarks(points) @ rotation.T + there)
        self._lights, self._gains = lights, {}
        self.truth: dict[str, Tensor] = {}
        for name, light in lights.items():
            radiance, self.alpha = self._drawn(truth, light)
            self._gains[name] = auto_exposure_gain(radiance[self.alpha > 0.5])
            self.truth[name] = expose(radiance * self._gains[name], 0)

    def pictures(self, maps: Tensor) -> dict[str, Tensor]:
        """Display pictures (S, S, 3) of other maps (10, R, R) by environment."""
        return {n: expose(self._drawn(maps, light)[0] * self._gains[n], 0) for n, light in self._lights.items()}

    def scores(self, maps: Tensor) -> Scores:
        """What other maps are off by, means over the environments; their identity where a network knows it."""
        pictures = self.pictures(maps)
        errors = [picture_error(picture, self.truth[name], self.alpha) for name, picture in pictures.items()]
        found = {key: sum(error[key] for error in errors) / len(errors) for key in errors[0]}
        who = self.descriptors(pictures)
        if who:
            away = [identity.distance(one, self.known[name]) for name, one in who.items()]
            found["identity distance"] = sum(away) / len(away)
        return found

    @cached_property
    def known(self) -> dict[str, np.ndarray]:
        """Who the head is in its true pictures, as ``descriptors`` tells."""
        return self.descriptors(self.truth)

    def descriptors(self, pictures: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Who the head is to a face-recognition network, by environment; empty without one."""
        if identity.network() is None:
            return {}
        return {name: identity.descriptor(picture, self._landmarks) for name, picture in pictures.items()}

    def _drawn(self, maps: Tensor, light: Lighting) -> tuple[Tensor, Tensor]:
        return self._view.render(maps, light, load_roughness().of(filled(maps[SPECULAR])))
