# SPDX-License-Identifier: GPL-3.0-or-later
"""How near a fitted head is to the true one, without a fit, by landmarks, and with the skin's shading beside them.

``python bridge/launch.py benchmarks.relightify.geometry SET --out FOLDER [--limit 24] [--hdris FOLDER]``: SET has heads
of 'synthesize faces', each of which is photographed once (:mod:`.sitters`). The error is the mean distance of the
points of the face, the found head turned and shifted onto the true one; *scaled* takes its size from the true one too,
which one photo does not tell.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...backend.relightify import head as heads
from ...backend.relightify.fit import lay, shaded
from ...backend.relightify.fit_landmarks import Laid
from ...backend.relightify.head import HeadModel
from ...backend.relightify.landmarks import find_faces
from ...synthesis.skin.person import TONES
from .sitters import Sitter, read_sitters

METHODS = ("mean head", "landmarks", "landmarks and shading")
#: Metres from a landmark to which the face reaches.
_REACH = 0.008


@dataclass(frozen=True)
class Measured:
    """Of one photo: ``rigid`` and ``scaled`` errors in millimetres, and ``reprojection`` of the landmarks in
    inter-ocular distances, by method."""

    name: str
    tone: str
    light: str
    rigid: dict[str, float]
    scaled: dict[str, float]
    reprojection: dict[str, float]


def measure(head: HeadModel, sitter: Sitter) -> Measured | None:
    """Fit a sitter's photo; None if no face is found there."""
    faces = find_faces(sitter.photo)
    if not faces:
        return None
    size = (sitter.photo.shape[1], sitter.photo.shape[0])
    fit, laid = lay(head, faces[0].landmarks * torch.tensor(size), size)
    moved = shaded(head, fit, laid, sitter.photo, faces[0].landmarks)
    found = dict(zip(METHODS, (head.mean, _points(head, laid), _points(head, moved)), strict=True))
    region = face_points(head)
    return Measured(
        sitter.name,
        TONES[sitter.tone],
        sitter.light,
        {name: apart(points[region], sitter.points[region]) for name, points in found.items()},
        {name: apart(points[region], sitter.points[region], scaled=True) for name, points in found.items()},
        {METHODS[1]: float(fit.errors(laid).mean()), METHODS[2]: float(fit.errors(moved).mean())},
    )


def _points(head: HeadModel, laid: Laid) -> Tensor:
    return head.points(laid.identity.float(), laid.expression.float())


def face_points(head: HeadModel) -> Tensor:
    """(N,): the points of the skin that lie about landmarks."""
    skin = head.corner_point[head.triangles("skin").unique()].unique()
    return skin[torch.cdist(head.mean[skin], head.landmarks(head.mean)).amin(1) < _REACH]


def apart(found: Tensor, truth: Tensor, *, scaled: bool = False) -> float:
    """Mean distance in millimetres of points (N, 3) in metres, turned and shifted (``scaled``, too) onto the truth."""
    a, b = found - found.mean(0), truth - truth.mean(0)
    u, size, v = torch.linalg.svd(b.T @ a)
    keep = torch.tensor([1, 1, float(torch.linalg.det(u @ v))])
    scale = (size * keep).sum() / (a**2).sum() if scaled else 1.0
    return float((scale * a @ (u @ torch.diag(keep) @ v).T - b).norm(dim=-1).mean()) * 1e3


def as_table(rows: list[Measured], missed: int) -> str:
    """Markdown: the means over all photos, and by tone and light."""
    lines = [
        f"{len(rows)} photos; in {missed} more no face was found. Mean distance of the face's points in millimetres.",
        "",
        "| photos | number | " + " | ".join(METHODS) + " | better with shading |",
        "|---|---|" + "---|" * (len(METHODS) + 1),
    ]
    groups = {"all, scaled": rows}
    groups |= {f"{tone}, scaled": [row for row in rows if row.tone == tone] for tone in TONES}
    groups |= {f"{light} light, scaled": [row for row in rows if row.light == light] for light in ("soft", "lamps")}
    for label, group in groups.items():
        if group:
            lines.append(_line(label, [row.scaled for row in group]))
    lines.append(_line("all, not scaled", [row.rigid for row in rows]))
    means = [sum(row.reprojection[name] for row in rows) / len(rows) for name in METHODS[1:]]
    lines += ["", f"Landmarks are missed by {means[0]:.2%} and, with shading, {means[1]:.2%} of the eyes' distance."]
    return "\n".join(lines) + "\n"


def _line(label: str, errors: list[dict[str, float]]) -> str:
    means = " | ".join(f"{sum(error[name] for error in errors) / len(errors):.2f}" for name in METHODS)
    better = sum(error[METHODS[2]] < error[METHODS[1]] for error in errors)
    return f"| {label} | {len(errors)} | {means} | {better} |"


def main() -> None:
    """Measure a set and write geometry.json and geometry.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--hdris", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    head, rows, missed = heads.load(), [], 0
    for sitter in read_sitters(options.set, options.limit, options.hdris, options.seed):
        row = measure(head, sitter)
        missed += row is None
        rows += [row] if row else []
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "geometry.json").write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")
    table = as_table(rows, missed)
    (options.out / "geometry.md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
