# SPDX-License-Identifier: GPL-3.0-or-later
"""ICT-FaceKit (MIT, USC Institute for Creative Technologies) as the head, where a user points to a copy of it.

Either its folder ``FaceXModel`` of OBJ files, or an ``.npz`` of the same arrays: neutral (V, 3), identity (K, V, 3),
expression (E, V, 3), expression_names, faces_quad (F, 4), face_material (F,), material_names. Its units are
centimetres, y up, the face along +z. Face, back of the head and neck are used, and where the eyeballs are;
:mod:`.register` gives it the UV that the maps have.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from . import head as heads
from .head import HeadModel
from .register import Surface, register

#: The vertices of ICT-FaceKit's 68 landmarks (its vertex_indices.json), without the 16 along the jaw beside the chin.
LANDMARKS = (
    966, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269,
    3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200,
    6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966
)  # fmt: skip
#: MediaPipe's landmarks at the same places.
SAME = (
    152, 70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153,
    144, 362, 385, 387, 263, 373, 380, 61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308,
    317, 14, 87
)  # fmt: skip
SKIN, EYES = ("M_Face", "M_BackHead"), ("M_ScleraRight", "M_ScleraLeft")
_WHERE = "Point to the folder FaceXModel of ICT-FaceKit, or to an .npz made of it."


@dataclass(frozen=True)
class _Parts:
    """ICT-FaceKit's arrays, as they are in its files."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    names: list[str]
    quads: np.ndarray
    material: np.ndarray


def load(path: Path) -> HeadModel:
    """The head in a folder or file; raises :class:`BadInput` with the remedy for anything else."""
    folder = next(
        (place for place in (path, path / "FaceXModel") if (place / "generic_neutral_mesh.obj").is_file()), None
    )
    packed = [path] if path.suffix == ".npz" else sorted(path.glob("*.npz"))
    if not path.exists() or (folder is None and not packed):
        raise BadInput(f"There is no ICT-FaceKit at {path}.", _WHERE)
    try:
        return _head(_read_packed(packed[0]) if folder is None else _read_folder(folder))
    except (KeyError, ValueError, IndexError, OSError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is not ICT-FaceKit, or damaged ({type(error).__name__}: {error}).", _WHERE) from error


def _head(parts: _Parts) -> HeadModel:
    skin = np.isin(parts.material, SKIN)
    kept, quads = np.unique(parts.quads[skin], return_inverse=True)
    balls = [np.unique(parts.quads[parts.material == name]) for name in EYES]
    lows, highs = (np.stack([edge(parts.neutral[ball], 0) for ball in balls]) for edge in (np.min, np.max))
    middle = (lows + highs).mean(0) / 2

    def placed(values: np.ndarray) -> Tensor:
        """(…, N + 2, 3): centimetres as metres in the head frame's axes, the balls' means behind the kept points."""
        eyes = np.stack([values[..., ball, :].mean(-2) for ball in balls], -2)
        x, y, z = np.moveaxis(np.concatenate([values[..., kept, :], eyes], -2).astype(np.float32), -1, 0) / 100
        return torch.from_numpy(np.stack([x, -z, y], -1))

    mean = placed(parts.neutral - middle)
    mean[-2:] -= mean[-2:].mean(0) * torch.tensor([1.0, 0, 0])
    own = heads.load()
    marks = torch.from_numpy(np.searchsorted(kept, LANDMARKS))
    surface = Surface(mean, torch.from_numpy(quads.reshape(-1, 4)))
    expression = placed(parts.expression)
    expression[:, -2:] = 0
    worn = register(own, surface, marks, own.landmarks(own.mean)[list(SAME)])
    radius = float((highs - lows).mean()) / 200
    names = tuple(name.replace("_L", "Left").replace("_R", "Right") for name in parts.names)
    return HeadModel(
        mean, placed(parts.identity), expression, names, worn.corner_point, worn.uv, worn.faces, worn.material, radius,
        worn.landmark_corners, worn.landmark_weights,
    )  # fmt: skip


def _read_packed(path: Path) -> _Parts:
    with np.load(path, allow_pickle=False) as file:
        names = [str(name) for name in file["expression_names"]]
        arrays = (file["neutral"], file["identity"], file["expression"])
        material = np.array([str(name) for name in file["material_names"]])[file["face_material"]]
        return _Parts(*arrays, names, file["faces_quad"], material)


def _read_folder(folder: Path) -> _Parts:
    neutral = _vertices(folder / "generic_neutral_mesh.obj")
    modes = sorted(folder.glob("identity*.obj"))
    faces, material = _faces(folder / "generic_neutral_mesh.obj")
    actions = sorted(set(folder.glob("*.obj")) - set(modes) - {folder / "generic_neutral_mesh.obj"})
    identity, expression = (np.stack([_vertices(file) - neutral for file in files]) for files in (modes, actions))
    return _Parts(neutral, identity, expression, [file.stem for file in actions], faces, material)


def _vertices(path: Path) -> np.ndarray:
    """(V, 3) of an OBJ file."""
    lines = [line[2:] for line in path.read_text("utf-8").splitlines() if line.startswith("v ")]
    return np.array(" ".join(lines).split(), np.float32).reshape(len(lines), 3)


def _faces(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The quads (F, 4) of an OBJ file, and the name of each one's material."""
    quads, material, name = [], [], ""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("usemtl"):
            name = line.split()[1]
        elif line.startswith("f ") and len(corners := line.split()[1:]) == 4:
            quads.append([int(corner.split("/")[0]) - 1 for corner in corners])
            material.append(name)
    return np.array(quads), np.array(material)
