# SPDX-License-Identifier: GPL-3.0-or-later
"""An object of a set ('limelight synthesize splats'): views, its material's truth, pictures under other light."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import BadInput
from ...backend.limo.output import write_json
from ...backend.optics import exr
from ...backend.splats.inputs import Scene, read_scene
from ...backend.splats.inputs.pictures import read_picture
from ...backend.splats.shading.environment import Light, from_panorama

#: Texels along an edge of a true light's cube.
TEXELS = 128
#: Pictures are taken at their own size.
LARGEST = 4096
#: The object itself, in a folder of one.
MESH = "mesh.obj"


@dataclass(frozen=True)
class Truth:
    """Of a test view: ``albedo`` and unit ``normal`` (H, W, 3), the latter in the world; ``roughness`` and ``metallic``
    (H, W, 1); ``mask`` (H, W) bool: pixels that the object fills."""

    albedo: Tensor
    normal: Tensor
    roughness: Tensor
    metallic: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Case:
    """``folder``: see :mod:`...synthesis.splat_sets`. ``lights``: names of those it is relit by."""

    folder: Path
    lights: tuple[str, ...]

    @property
    def name(self) -> str:
        """The object's."""
        return self.folder.name

    @cached_property
    def digest(self) -> str:
        """Tells the object from its namesakes in other sets, by what it was made with and its cameras."""
        return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.json")))).hexdigest()

    def claim(self, work: Path, **told: Any) -> None:
        """Make a folder for what is ``told`` of a run on this object; raises :class:`BadInput` if it is another's."""
        made, told = work / "made.json", {**told, "object": self.digest}
        if made.is_file() and json.loads(made.read_text(encoding="utf-8")) != told:
            raise BadInput(f"{work} was made of another set, or with another seed or quality.", "Name another folder.")
        work.mkdir(parents=True, exist_ok=True)
        write_json(made, told)

    @cached_property
    def scene(self) -> Scene:
        """Views at the size of their pictures."""
        return read_scene(self.folder, LARGEST)

    @cached_property
    def environment(self) -> Tensor:
        """(N, 2N, 3): the light of the views, world frame."""
        return exr.read_panorama(self.folder / "environment.exr")[0]

    def light(self, name: str) -> Light:
        """A light that it is relit by."""
        return _light(self.folder / "relit" / f"{name}.exr")

    def relit(self, light: str, view: str) -> Tensor:
        """(H, W, 3): a test view under another light, display values over white."""
        colour, cover = read_picture(self.folder / "relit" / light / view, None, LARGEST)
        assert cover is not None
        return colour.float() / 255 + (1 - cover.float() / 255)[..., None]

    def truth(self, view: str) -> Truth:
        """What the object is made of where a test view sees it."""
        with np.load(self.folder / "truth" / Path(view).with_suffix(".npz").name) as file:
            found = {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files}
        return Truth(
            found["albedo"], found["normal"], found["roughness"][..., None], found["metallic"][..., None],
            found["cover"] > 0.99,
        )  # fmt: skip


@lru_cache(maxsize=8)
def _light(path: Path) -> Light:
    return Light(from_panorama(exr.read_panorama(path)[0], TEXELS))


def read_cases(folder: Path, limit: int) -> list[Case]:
    """The finished objects of a set, at most ``limit``, 0 for all."""
    found = []
    for told in sorted(folder.glob("*/object.json")):
        found.append(Case(told.parent, tuple(json.loads(told.read_text(encoding="utf-8"))["relit"])))
    if not found:
        raise BadInput(f"There are no objects in {folder}.", "Make some: limelight synthesize splats --blender PY.")
    return found[: limit or len(found)]
