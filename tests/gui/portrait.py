# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in engine answers when it is asked about a portrait: the mean head where the photo's face is."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import torch
from limelight.backend.relightify import head as heads
from PIL import Image

#: Where the eyes of the astronaut are in her portrait of 512 × 512 pixels, on average, and how large her face is.
_CENTRE, _FACE, _FOV = (223, 112), 0.2, 30.0


def photo() -> Path | None:
    """NASA's portrait of Eileen Collins (public domain) out of scikit-image; None where that is not installed."""
    found = importlib.util.find_spec("skimage")
    path = Path(found.origin).parent / "data" / "astronaut.png" if found and found.origin else None
    return path if path is not None and path.is_file() else None


def write_answer(folder: Path, picture: Path) -> None:
    """Fill ``folder`` with ``faces.json`` and ``head``: what a ``landmarks`` and a ``face`` job give."""
    head = heads.load()
    size = Image.open(picture).size
    neutral = head.points(torch.zeros(len(head.identity)), torch.zeros(len(head.expressions)))
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    focal = size[0] / 2 / math.tan(math.radians(_FOV / 2))
    away = focal * 0.145 / (_FACE * size[0])
    shift = torch.tensor([(_CENTRE[0] - size[0] / 2) / focal, (size[1] / 2 - _CENTRE[1]) / focal, -1.0]) * away
    seen = head.landmarks(neutral) @ turn.T + shift
    uv = torch.stack([size[0] / 2 - focal * seen[:, 0] / seen[:, 2], size[1] / 2 + focal * seen[:, 1] / seen[:, 2]], 1)
    marks = (uv / torch.tensor(size)).tolist()
    faces = [{"box": [0.3, 0.1, 0.6, 0.4], "score": 0.9, "landmarks": marks}]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faces.json").write_text(json.dumps({"size": size, "faces": faces, "warnings": []}))
    (folder / "head").mkdir()
    np.savez_compressed(
        folder / "head" / "head.npz",
        points=neutral.numpy(),
        expression_names=np.array(list(head.expressions)),
        expression=head.expression.half().numpy(),
        expression_value=np.zeros(len(head.expressions), np.float32),
        identity=head.identity[:16].half().numpy(),
        identity_value=np.zeros(16, np.float32),
        faces=head.corner_point[head.faces].int().numpy(),
        uv=head.uv[head.faces].numpy(),
        material=head.material.int().numpy(),
        material_names=np.array(heads.MATERIALS),
        eye_radius=np.float32(head.eye_radius),
        rotation=turn.double().numpy(),
        translation=shift.double().numpy(),
        fov_x_deg=np.float64(_FOV),
    )
    colours = {"diffuse_albedo": (205, 155, 130), "normal": (128, 128, 255)}
    colours |= {"specular_albedo": (110,) * 3, "roughness": (128,) * 3, "overlay": (90,) * 3}
    for name, colour in colours.items():
        Image.new("RGB", (64, 64), colour).save(folder / "head" / f"{name}.png")
    eye = np.full((64, 128, 3), 225, np.uint8)
    eye[:8] = 40
    Image.fromarray(eye).save(folder / "head" / "eye.png")
