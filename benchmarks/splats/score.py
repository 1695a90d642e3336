# SPDX-License-Identifier: GPL-3.0-or-later
"""How far learnt splats are from an object: novel views, normals, material, light, and pictures under other light."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.optics import metrics
from ...backend.optics.exposure import expose
from ...backend.splats.inputs import View
from ...backend.splats.shading.environment import to_panorama
from .cases import Case, Truth
from .models import PLAIN, SHOWN, Learnt

Scores = dict[str, float]
NOVEL, NOVEL_SSIM = "novel view psnr", "novel view ssim"
RELIT, RELIT_SSIM = "relit psnr", "relit ssim"
SCALED, SCALED_SSIM, SCALED_OBJECT = "relit scaled psnr", "relit scaled ssim", "relit scaled object psnr"
NORMAL, ALBEDO, ALBEDO_SCALED = "normal angle", "albedo psnr", "albedo scaled psnr"
ROUGHNESS, METALLIC = "roughness rmse", "metallic rmse"
SKY, SKY_PEAK = "light log rmse", "light peak angle"
KEYS = (NOVEL, NOVEL_SSIM, SCALED, SCALED_SSIM, SCALED_OBJECT, RELIT, RELIT_SSIM, NORMAL, ALBEDO, ALBEDO_SCALED,
        ROUGHNESS, METALLIC, SKY, SKY_PEAK)  # fmt: skip
#: Rows of the panoramas that lights are compared as; octaves of scale that are tried for a channel.
_ROWS, _OCTAVES = 32, 4.0


@dataclass
class Means:
    """Scores by key, collected one by one."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **found: float) -> None:
        """Scores under names with underscores for spaces."""
        for name, value in found.items():
            self.values.setdefault(name.replace("_", " "), []).append(value)

    def all(self) -> Scores:
        """Their means; NaN what nothing was said of."""
        return {key: sum(v) / len(v) if (v := self.values.get(key)) else math.nan for key in KEYS}


def score(case: Case, model: Learnt, name: str, check: Callable[[], None] = lambda: None) -> tuple[Scores, Tensor]:
    """All scores of a model of an object, and the factor (3,) that its pictures under other light are scaled by."""
    found = Means()
    for view in case.scene.test:
        check()
        shown = model.novel(view.camera)
        if shown is not None:
            truth = view.over(torch.ones(3))
            found.add(novel_view_psnr=_psnr(shown, truth), novel_view_ssim=_ssim(shown, truth))
    _material(case, model, name, found)
    scale = torch.ones(3)
    if model.relights:
        scale = _relit(case, model, found, check)
    if model.light is not None:
        told, truth = to_panorama(model.light, _ROWS), case.environment
        small = metrics.pano.resize(truth, _ROWS)
        everywhere = torch.ones(small.shape[:2], dtype=torch.bool)
        found.add(
            light_log_rmse=metrics.si_rmse_log(told, small, everywhere),
            light_peak_angle=metrics.peak_direction_error(told, small),
        )
    return found.all(), scale


def _everywhere(picture: Tensor) -> Tensor:
    return torch.ones(picture.shape[:2], dtype=torch.bool)


def _psnr(a: Tensor, b: Tensor) -> float:
    return metrics.psnr(a, b, _everywhere(a))


def _ssim(a: Tensor, b: Tensor) -> float:
    return metrics.ssim(a, b, _everywhere(a))


def _material(case: Case, model: Learnt, name: str, found: Means) -> None:
    """Normals of all; of materials, those that a model says something of."""
    told, true = [], []
    for view in case.scene.test:
        truth, maps = case.truth(view.name), model.maps(view.camera)
        mask = truth.mask & (maps.alpha[..., 0] > 0.5)
        cosine = (F.normalize(maps.channel("normal"), dim=-1) * truth.normal).sum(-1)[mask].clamp(-1, 1)
        found.add(normal_angle=float(torch.rad2deg(torch.arccos(cosine)).mean()))
        if name not in (PLAIN, SHOWN):
            told.append(maps.channel("albedo")[mask])
            true.append(truth.albedo[mask])
            for key in ("roughness", "metallic"):
                error = (maps.channel(key) - getattr(truth, key))[mask]
                found.add(**{f"{key}_rmse": float((error**2).mean().sqrt())})
    if told:
        a, b = torch.cat(told)[:, None], torch.cat(true)[:, None]
        factor = (a * b).sum((0, 1)) / (a * a).sum((0, 1)).clamp(min=1e-9)
        found.add(albedo_psnr=_psnr(a, b), albedo_scaled_psnr=_psnr((factor * a).clamp(0, 1), b))


def _views(case: Case, model: Learnt) -> Iterator[tuple[Tensor, Tensor, Tensor, Truth]]:
    """For each light and test view: linear radiance, coverage, the true picture over white, the truth."""
    for name in case.lights:
        light = case.light(name)
        for view in case.scene.test:
            yield *model.relit(view.camera, light), case.relit(name, view.name), case.truth(view.name)


def shown(linear: Tensor, cover: Tensor, scale: Tensor) -> Tensor:
    """(H, W, 3): display values over white of linear radiance times a scale (3,)."""
    return cover * expose(linear * scale, 0) + (1 - cover)


def _relit(case: Case, model: Learnt, found: Means, check: Callable[[], None]) -> Tensor:
    everything = []
    for one in _views(case, model):
        check()
        everything.append(one)
    scale = fit_scale(
        [(linear[truth.mask], true[truth.mask]) for linear, _, true, truth in everything],
    )
    for linear, cover, true, truth in everything:
        bare, scaled = shown(linear, cover, torch.ones(3)), shown(linear, cover, scale)
        found.add(
            relit_psnr=_psnr(bare, true), relit_ssim=_ssim(bare, true), relit_scaled_psnr=_psnr(scaled, true),
            relit_scaled_ssim=_ssim(scaled, true), relit_scaled_object_psnr=metrics.psnr(scaled, true, truth.mask),
        )  # fmt: skip
    return scale


def fit_scale(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """(3,): the factor of each channel by which linear values (P, 3) come nearest to display values (P, 3).

    One for all pictures of an object: how bright its light was and how bright it is itself cannot be told apart.
    """
    linear, true = torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])
    middle, wide = torch.zeros(3), _OCTAVES
    for _ in range(4):
        tried = middle + torch.linspace(-wide, wide, 17)[:, None]
        errors = torch.stack([((expose(linear * 2**octave, 0) - true) ** 2).mean(0) for octave in tried])
        middle, wide = tried.gather(0, errors.argmin(0, keepdim=True))[0], wide / 8
    return 2.0**middle


def view_of(case: Case, number: int) -> View:
    """A test view."""
    return case.scene.test[number % len(case.scene.test)]
