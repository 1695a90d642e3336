# SPDX-License-Identifier: GPL-3.0-or-later
"""Training examples out of rendered sphere sets (``limelight synthesize spheres``), one probe, material and exposure.

A set holds stills and sequences of moving spheres, cameras or lights (methods.md §1.6, §1.7). Augmentations are those
of §1.5: mirrored pictures, haze, noise, colour temperature of the picture and the spheres, exposure, and time reversed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....backend.errors import BadInput
from ....backend.limo.backbone.conventions import SPHERES
from ....backend.limo.backbone.frame import frame
from ....backend.limo.view import Probe, View
from ....backend.optics import exr, sphere
from ....backend.optics.camera import Camera
from ....backend.optics.exposure import EVS, auto_exposure_gain, expose
from ....synthesis.blackbody import blackbody
from ....synthesis.samples import EVALUATION_SEEDS

#: Every so manieth scene is kept for validation.
_KEPT = 20


@dataclass(frozen=True, eq=False)
class Example:
    """One clip of T frames, T = 1 for a picture: what is seen, where the probe is, and what is to be painted.

    ``target``: (T, 3, H, W) in [−1, 1], the photo at EV 0 with the sphere at ``ev``; ``mask``: (T, 1, H, W), the
    sphere's share of each pixel.
    """

    views: list[View]
    probes: list[Probe]
    target: Tensor
    mask: Tensor
    material: str
    ev: int


class SphereSets:
    """Everything in a folder of sets; ``length`` frames make an example, of which shorter sequences give what fits."""

    def __init__(self, folder: Path, side: int, length: int = 1, kept: bool = False) -> None:
        self.side, self.length = side, length
        scenes = [clip for clip in map(_frames_of, _samples(folder)) if length == 1 or len(clip) > 1]
        if not scenes:
            kind = "pictures" if length == 1 else "sequences"
            raise BadInput(f"{folder} holds no {kind} of spheres.", "Make some by 'limelight synthesize spheres'.")
        numbers = range(len(scenes))
        chosen = [n for n in numbers if (n % _KEPT == _KEPT - 1) == kept] or list(numbers)
        self.scenes = [scenes[n] for n in chosen]

    def draw(self, rng: np.random.Generator) -> Example:
        """A random example; a sequence's are consecutive frames, as many as make 4·k + 1."""
        clip = self.scenes[rng.integers(len(self.scenes))]
        count = min(self.length, 4 * ((len(clip) - 1) // 4) + 1)
        start = int(rng.integers(len(clip) - count + 1))
        folders = clip[start : start + count]
        if count > 1 and rng.random() < 0.5:
            folders = folders[::-1]
        material = tuple(SPHERES)[rng.integers(len(SPHERES))]
        return read_example(folders, material, rng, self.side)


def _samples(folder: Path) -> list[Path]:
    """Finished samples of a set, or of every set in a folder."""
    return sorted(path.parent for path in (*folder.glob("*/sample.json"), *folder.glob("*/*/sample.json")))


def _frames_of(sample: Path) -> list[Path]:
    """The frames of a sequence, or the one of a still; none without rendered spheres."""
    frames = sorted(path.parent for path in (*sample.glob("meta.json"), *sample.glob("frame_*/meta.json")))
    if not frames or not (frames[0] / "mirror.exr").is_file():
        return []
    if json.loads((frames[0] / "meta.json").read_text(encoding="utf-8"))["seed"] >= EVALUATION_SEEDS:
        raise BadInput(f"{sample.name} belongs to evaluation.", f"Train on seeds below {EVALUATION_SEEDS}.")
    return frames


def read_example(folders: Sequence[Path], material: str, rng: np.random.Generator, side: int) -> Example:
    """One probe of consecutive frames, augmented; exposure and chance are the same for all of them."""
    metas = [json.loads((folder / "meta.json").read_text(encoding="utf-8")) for folder in folders]
    number = int(rng.integers(min(len(meta["probes"]) for meta in metas)))
    change = Change.drawn(rng)
    views, probes, renders = [], [], []
    for folder, meta in zip(folders, metas, strict=True):
        view, probe, render = _read_frame(folder, meta, number, material)
        views.append(view)
        probes.append(probe)
        renders.append(render)
    gain = auto_exposure_gain(views[0].radiance) * change.balance
    shown, masks, brightest = [], [], 0.0
    for i, (view, probe, render) in enumerate(zip(views, probes, renders, strict=True)):
        lit = View(view.radiance * gain, view.depth, view.camera)
        if change.flipped:
            lit, probe, render = _flipped(lit, probe, render)
        picture = frame(lit, side)
        share, colour = _sphere(picture, probe, render)
        picture = replace(picture, radiance=change.photographed(picture.radiance, rng))
        views[i], probes[i] = picture, probe
        shown.append(colour * gain)
        masks.append(share)
        brightest = max(brightest, float((shown[-1] * (share > 0.5)).max()))
    ev = random_exposure(brightest, rng)
    target = torch.stack([
        share * expose(colour, ev) + (1 - share) * expose(view.radiance, 0)
        for share, colour, view in zip(masks, shown, views, strict=True)
    ])  # fmt: skip
    mask = torch.stack(masks).permute(0, 3, 1, 2)
    return Example(views, probes, target.permute(0, 3, 1, 2) * 2 - 1, mask, material, ev)


def random_exposure(brightest: float, rng: np.random.Generator) -> int:
    """One of LIMO's exposures, none at which the whole sphere would be black (methods.md §1.4)."""
    darkest = 3 * math.floor(-math.log2(2 * max(brightest, 1e-6)) / 3)
    allowed = [ev for ev in EVS if ev >= min(max(darkest, min(EVS)), 0)]
    return allowed[rng.integers(len(allowed))]


@dataclass(frozen=True)
class Change:
    """What an augmentation does to all frames alike: ``balance`` (3,) gains, haze, and noise of two strengths."""

    flipped: bool
    balance: Tensor
    haze: float
    photons: float
    grain: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Change:
        """By the paper's laws (methods.md §1.5)."""
        kelvin = float(np.clip(rng.normal(6600, 800), 3500, 12000))
        balance = torch.from_numpy(blackbody(kelvin) / blackbody(6600)).float()
        haze = min(abs(float(rng.normal(0, 0.004))), 0.1) if rng.random() < 0.5 else 0.0
        photons, grain = 10 ** rng.uniform(3, 5), 10 ** rng.uniform(-4, -2.3)
        return cls(bool(rng.random() < 0.5), balance, haze, float(photons), float(grain))

    def photographed(self, radiance: Tensor, rng: np.random.Generator) -> Tensor:
        """Haze and sensor noise, each pixel's own."""
        light = (radiance + self.haze).clamp(1e-3, 1e3).numpy()
        counted = rng.poisson(light * self.photons) / self.photons + self.grain * rng.standard_normal(light.shape)
        return torch.from_numpy(counted.astype(np.float32)).clamp(min=0)


def _read_frame(folder: Path, meta: dict, number: int, material: str) -> tuple[View, Probe, Tensor]:
    camera, entry = Camera.from_dict(meta["camera"]), meta["probes"][number]
    view = View(exr.read_image(folder / "image.exr")[..., :3], exr.read_depth(folder / "depth.exr"), camera)
    probe = Probe("probe", torch.tensor(entry["position_camera"]), entry["radius"])
    return view, probe, exr.read_image(folder / f"{material}.exr")


def _flipped(view: View, probe: Probe, render: Tensor) -> tuple[View, Probe, Tensor]:
    """The mirror image of a frame."""
    camera = replace(view.camera, cx=view.camera.width - view.camera.cx)
    flipped = View(view.radiance.flip(1), view.depth.flip(1), camera)
    return flipped, replace(probe, position=probe.position * torch.tensor([-1.0, 1.0, 1.0])), render.flip(1)


def _sphere(view: View, probe: Probe, render: Tensor) -> tuple[Tensor, Tensor]:
    """A sphere's share (H, W, 1) of each pixel and its radiance (H, W, 3), of a render (h, w, 4) of all of them.

    Renders are premultiplied by their alpha.
    """
    size = (view.camera.height, view.camera.width)
    small = F.interpolate(render.permute(2, 0, 1)[None], size, mode="area")[0].permute(1, 2, 0)
    on = sphere.intersect(view.camera.rays(), probe.position, probe.radius).mask
    near = F.max_pool2d(on[None].float(), 3, 1, 1)[0, ..., None]
    share = small[..., 3:].clamp(0, 1) * near
    return share, small[..., :3] / small[..., 3:].clamp(min=1e-4)
