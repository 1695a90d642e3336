# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs and gains that skin keeps some of what the photo shows beside the light (``delight.with_likeness``).

``python bridge/launch.py benchmarks.relightify.likeness SET [--hdris FOLDER] [--portraits PHOTO...] [--limit N]``

On heads with truth: the albedo, relit pictures and, where a face-recognition network is installed (see ``identity``),
how far the head is from itself. On portraits, which have no truth: how far the photo is from the photo with the head
drawn in the person's place by the fit's light.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from ...backend.optics.exposure import srgb_oetf
from ...backend.relightify import head as heads
from ...backend.relightify.delight import explain, with_likeness
from ...backend.relightify.detail import SIZES, refine
from ...backend.relightify.find import portrait_photo
from ...backend.relightify.fit import fit_face
from ...backend.relightify.job import SIDES
from ...backend.relightify.landmarks import find_faces
from ...backend.relightify.lighting import Lighting
from ...backend.relightify.maps import DIFFUSE, SPECULAR, filled
from ...backend.relightify.prior import EFFORTS, Prior, load_prior
from ...backend.relightify.records import FaceFit, PartialTexture
from ...backend.relightify.render import Pose, View
from ...backend.relightify.roughness import load_roughness
from ...backend.relightify.unwrap import unwrap
from . import identity
from .cases import Case, read_cases
from .relit import Relit, environments
from .score import DIFFUSE_RMSE, score

_QUALITY = "normal"


def alike(fit: FaceFit, stack: Tensor, known: PartialTexture, keep: bool) -> Tensor:
    """The maps with the albedo that ships, or with the prior's own."""
    found = stack.clone()
    if keep:
        found[DIFFUSE] = with_likeness(fit, heads.load(), stack[DIFFUSE], known)
    return found


def of_head(case: Case, prior: Prior, lights: dict[str, Lighting]) -> dict[bool, dict[str, float]]:
    """Errors with and without likeness."""
    model = heads.load()
    stack = prior.complete(case.known, EFFORTS[_QUALITY], seed=0)
    plain = torch.zeros(len(model.identity)), torch.zeros(len(model.expressions))
    offsets, nowhere = case.points - model.points(*plain), torch.zeros(3)
    dark, unmarked = torch.zeros(9, 3), torch.zeros(468, 2)
    fit = FaceFit(*plain, offsets, torch.eye(3), nowhere, 30.0, (8, 8), dark, unmarked, 0.0)
    fit, _ = explain(fit, model, stack[DIFFUSE], case.known)
    relit, rows = Relit(case.points, lights, case.maps), {}
    for keep in (False, True):
        maps = alike(fit, stack, case.known, keep)
        rows[keep] = {DIFFUSE_RMSE: score(maps, case.maps, case.known.mask)[DIFFUSE_RMSE], **relit.scores(maps)}
    return rows


def of_portrait(path: Path, prior: Prior) -> dict[bool, float]:
    """Identity distances with and without likeness; none without a network."""
    if identity.network() is None:
        return {}
    model, radiance = heads.load(), portrait_photo(path, SIDES[_QUALITY]).radiance
    landmarks = find_faces(radiance)[0].landmarks
    fit = fit_face(model, radiance, landmarks, None, lambda done: None)
    known = unwrap(radiance, fit, model)
    stack = prior.complete(known, EFFORTS[_QUALITY], seed=0)
    fit, _ = explain(fit, model, stack[DIFFUSE], known)
    view = View(model, fit.points(model), Pose(fit.rotation, fit.translation, fit.camera))
    light, roughness = Lighting.of_harmonics(fit.light, fit.rotation), load_roughness().of(filled(stack[SPECULAR]))
    photo, found = identity.descriptor(srgb_oetf(radiance.clamp(0, 1)), landmarks), {}
    for keep in (False, True):
        maps, _ = refine(alike(fit, stack, known, keep), radiance, fit, model, known, SIZES[_QUALITY], 0)
        drawn, alpha = view.render(maps, light, roughness)
        shown = srgb_oetf((drawn + radiance * (1 - alpha[..., None])).clamp(0, 1))
        found[keep] = identity.distance(photo, identity.descriptor(shown, landmarks))
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hdris", type=Path, help="folder of panoramas to relight by")
    parser.add_argument("--portraits", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=12, help="heads")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prior, lights = load_prior(), environments(options.hdris)
    rows = [of_head(case, prior, lights) for case in read_cases(options.folder, options.limit, 0)]
    keys = list(rows[0][True])
    print("| albedo | " + " | ".join(keys) + " |\n" + "| --- " * (1 + len(keys)) + "|")
    for keep, name in ((False, "the prior's own"), (True, "with likeness")):
        print(f"| {name} | " + " | ".join(f"{mean(row[keep][key] for row in rows):.4f}" for key in keys) + " |")
    for path in options.portraits:
        found = of_portrait(path, prior)
        told = ", ".join(f"{'with' if keep else 'without'} likeness {far:.3f}" for keep, far in found.items())
        print(f"{path.name}: identity distance from its photo {told or 'not measured'}", flush=True)


if __name__ == "__main__":
    main()
