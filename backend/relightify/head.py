# SPDX-License-Identifier: GPL-3.0-or-later
"""The morphable head: a mean, identity modes, 52 expressions (ARKit's names) and UVs made for textures of faces.

**Head frame**: metres, Blender's axes: z up, the face looks along -y, the head's own left is +x; the origin lies
between the mean head's eyes. **UV**: u grows with +x, v with +z, so a texture looks like the face seen from in front;
row 0 of a map is v = 1. A head has two sets of vertices: ``V`` points, and ``C`` corners, which are the points doubled
along UV seams. Whatever has a texture works on corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..weights import opened
from .teeth import with_teeth

WEIGHTS = Path(__file__).parent / "weights" / "head.safetensors"

#: What a face of the mesh is made of, by its index in ``HeadModel.material``. The neck wears the skin's maps, mirrored.
MATERIALS = ("skin", "socket", "mouth", "neck", "tongue", "teeth")
#: What a file of a head holds, by kind.
_REAL = ("mean", "identity", "expression", "uv", "landmark_weights")
_INDEX = ("corner_point", "faces", "material", "landmark_corners")


@dataclass(frozen=True)
class HeadModel:
    """A linear head of ``V`` points, ``C`` corners, ``F`` quads, ``K`` identity modes and ``E`` expressions.

    ``mean`` (V, 3); ``identity`` (K, V, 3), scaled so that coefficients are N(0, 1) over plausible adults;
    ``expression`` (E, V, 3), coefficients in 0..1, named by ``expressions``; ``corner_point`` (C,) the point of each
    corner; ``uv`` (C, 2) in 0..1; ``faces`` (F, 4) corners, counter-clockwise from outside; ``material`` (F,) indices
    into :data:`MATERIALS`; ``eye_radius`` metres. The last two points are the eyeballs' centres, the head's right eye
    first; they belong to no face. MediaPipe's 468 landmarks lie between the corners ``landmark_corners`` (468, 3), with
    the weights ``landmark_weights`` (468, 3).
    """

    mean: Tensor
    identity: Tensor
    expression: Tensor
    expressions: Sequence[str]
    corner_point: Tensor
    uv: Tensor
    faces: Tensor
    material: Tensor
    eye_radius: float
    landmark_corners: Tensor
    landmark_weights: Tensor

    def points(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(…, V, 3) metres in the head frame, of identity (…, K) and expression (…, E) coefficients."""
        moved = torch.einsum("...k,kvc->...vc", identity, self.identity)
        return self.mean + moved + torch.einsum("...e,evc->...vc", expression, self.expression)

    def corners(self, points: Tensor) -> Tensor:
        """(…, C, 3): the points of the corners."""
        return points[..., self.corner_point, :]

    def eyes(self, points: Tensor) -> Tensor:
        """(…, 2, 3): the eyeballs' centres, the head's right eye first."""
        return points[..., -2:, :]

    def landmarks(self, points: Tensor) -> Tensor:
        """(…, 468, 3): MediaPipe's landmarks on the skin, in the frame of the points."""
        ring = self.corner_point[self.landmark_corners]
        return (points[..., ring, :] * self.landmark_weights[..., None]).sum(-2)

    def triangles(self, *materials: str) -> Tensor:
        """(T, 3) corners: each quad of these materials (all, if none is named) cut along its first diagonal."""
        chosen = [MATERIALS.index(name) for name in materials or MATERIALS]
        quads = self.faces[torch.isin(self.material, torch.tensor(chosen))]
        return torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def load(path: Path = WEIGHTS, *, teeth: bool = True) -> HeadModel:
    """The head in a file; raises :class:`~..errors.MissingPart` with the remedy if it is missing or damaged.

    A file holds no teeth; without ``teeth`` the head is as it was saved.
    """
    with opened(path, "head", missing="Install the extension again.") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        real = {name: tensors[name].float() for name in _REAL}
        index = {name: tensors[name].long() for name in _INDEX}
        names = tuple(header["expressions"].split())
        head = HeadModel(**real, **index, expressions=names, eye_radius=float(header["eye_radius"]))
    return with_teeth(head, MATERIALS.index("teeth"), MATERIALS.index("mouth")) if teeth else head


def save(head: HeadModel, path: Path) -> None:
    """Write a head: offsets in half precision, the mean in single."""
    half = {name: getattr(head, name).half().contiguous() for name in ("identity", "expression")}
    single = {name: getattr(head, name).float().contiguous() for name in ("mean", "uv", "landmark_weights")}
    index = {name: getattr(head, name).short().contiguous() for name in _INDEX}
    header = {"expressions": " ".join(head.expressions), "eye_radius": f"{head.eye_radius:.6f}"}
    save_file({**half, **single, **index}, path, metadata=header)
