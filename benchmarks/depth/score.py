# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of one picture's depth and field of view.

Depth is first scaled to the truth by the ratio of the medians, over the pixels where the truth is neither sky nor
farther than 100 m; a pixel taken for sky counts as 100 m there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...backend.optics.camera import Camera

FARTHEST = 100.0


@dataclass(frozen=True)
class Scores:
    """``absrel`` mean |d − t| / t and ``delta`` share within 1.25 of the truth, after alignment; ``scale`` |log₂| of
    the factor that aligned them; ``fov`` degrees of error and ``spread`` the degrees that the model itself expected;
    ``shared`` and ``either`` pixels of the sky: in both, in any."""

    absrel: float
    delta: float
    scale: float
    fov: float
    spread: float
    shared: int
    either: int


def score(depth: Tensor, truth: Tensor, camera: Camera, fov_x_deg: float, spread: float = 0.0) -> Scores:
    """Scores of ``depth`` (H, W) against ``truth`` (H, W), +inf = sky, seen by ``camera``."""
    sky, said = torch.isinf(truth), torch.isinf(depth)
    shared, either = int((sky & said).sum()), int((sky | said).sum())
    seen = truth <= FARTHEST
    absrel = delta = scale = float("nan")
    if bool(seen.any()):
        found, true = depth[seen].clamp(max=FARTHEST), truth[seen]
        factor = true.median() / found.median().clamp(min=1e-6)
        ratio = found * factor / true
        absrel = float((ratio - 1).abs().mean())
        delta = float((torch.maximum(ratio, 1 / ratio) < 1.25).float().mean())
        scale = abs(float(factor.log2()))
    return Scores(absrel, delta, scale, abs(fov_x_deg - camera.fov_x_deg), spread, shared, either)


def summary(scores: Iterable[Scores]) -> dict[str, Any]:
    """Means and medians over pictures; the sky's intersection over union is of all pixels of the set together."""
    rows: Sequence[Scores] = list(scores)
    table = {name: np.array([asdict(row)[name] for row in rows], float) for name in asdict(rows[0])}
    either = table["either"].sum()
    unsure = table["spread"] > 0
    return {
        "pictures": len(rows),
        "absrel": float(np.nanmean(table["absrel"])),
        "absrel_median": float(np.nanmedian(table["absrel"])),
        "delta": float(np.nanmean(table["delta"])),
        "scale_stops": float(np.nanmedian(table["scale"])),
        "fov_mean": float(table["fov"].mean()),
        "fov_median": float(np.median(table["fov"])),
        "fov_within_spread": float((table["fov"] <= table["spread"])[unsure].mean()) if unsure.any() else None,
        "sky_iou": float(table["shared"].sum() / either) if either else 1.0,
    }
