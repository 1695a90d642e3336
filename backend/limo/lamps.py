# SPDX-License-Identifier: GPL-3.0-or-later
"""The concentrated sources of an environment as lamps, and the environment without them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..optics import panorama as pano
from ..optics.exposure import luminance

#: A source is at least this many times brighter than the median of the map …
_CONTRAST = 8.0
#: … holds this share of all light …
_SHARE = 0.03
#: … and is smaller than this solid angle in steradian (a cone of about 50 degrees).
_LARGEST = 0.6
#: One that was there a frame before may be weaker, or larger, by this factor; and it is the same within this angle.
_KEPT, _SAME_DEG = 0.6, 6.0
#: Sources narrower than this count as a sun.
_SUN_DEG = 5.0


@dataclass(frozen=True, eq=False)
class Lamp:
    """One source: unit ``direction`` (3,) towards it in the map's frame, ``irradiance`` (3,) = ∫ L cosθ dω on a plane
    facing it (units of the map's radiance times steradian), ``angle_deg`` of the disc with its solid angle."""

    kind: str
    direction: Tensor
    irradiance: Tensor
    angle_deg: float

    def to_dict(self) -> dict[str, object]:
        """The form kept in result.json."""
        return {
            "kind": self.kind,
            "direction": self.direction.tolist(),
            "irradiance": self.irradiance.tolist(),
            "angle_deg": self.angle_deg,
        }


def extract_lamps(
    panorama: Tensor, *, frame: pano.Frame = "camera", max_lamps: int = 4, before: Sequence[Sequence[float]] = ()
) -> tuple[list[Lamp], Tensor]:
    """The strongest sources of a map (N, 2N, 3), and the map with each replaced by its own surroundings.

    Lamps and remaining map together light a surface as the map did: what leaves one enters the other. ``before`` are
    the directions of a previous frame's lamps: these blink less easily.
    """
    fill = panorama.clone()
    area = pano.solid_angles(panorama.shape[0]).expand(-1, panorama.shape[1])
    towards = pano.directions(panorama.shape[0], frame)
    total = float((luminance(panorama) * area).sum())
    lamps: list[Lamp] = []
    passed = torch.zeros(panorama.shape[:2], dtype=torch.bool)
    for _ in range(3 * max_lamps):
        if len(lamps) == max_lamps:
            break
        region, height = _brightest_region(fill, passed)
        if height < _CONTRAST * (_KEPT if before else 1):
            break
        passed |= region
        ease = _KEPT if _holds(region, towards, before) else 1.0
        ground = torch.minimum(_surroundings(fill, region, area), fill[region])
        power = (fill[region] - ground) * area[region][:, None]
        weak = height < ease * _CONTRAST or float(luminance(power).sum()) < ease * _SHARE * total
        if weak or float(area[region].sum()) > _LARGEST / ease:
            continue
        lamps.append(_lamp(power, towards[region], float(area[region].sum())))
        fill[region] = ground
    return lamps, fill


def _lamp(power: Tensor, towards: Tensor, solid_angle: float) -> Lamp:
    direction = torch.nn.functional.normalize((luminance(power)[:, None] * towards).sum(0), dim=0)
    irradiance = (power * (towards @ direction).clamp(min=0)[:, None]).sum(0)
    angle = 2 * math.degrees(math.acos(1 - min(solid_angle, 2 * math.pi) / (2 * math.pi)))
    return Lamp("sun" if angle < _SUN_DEG else "area", direction, irradiance, angle)


def _holds(region: Tensor, towards: Tensor, known: Sequence[Sequence[float]]) -> bool:
    """Whether a region (N, 2N) lies within :data:`_SAME_DEG` of one of the ``known`` directions."""
    if not known:
        return False
    nearest = (towards[region] @ torch.tensor(known).T).max()
    return float(nearest) > math.cos(math.radians(_SAME_DEG))


def _brightest_region(panorama: Tensor, passed: Tensor) -> tuple[Tensor, float]:
    """The connected texels around the brightest one not looked at yet, above a tenth of its height over the median;
    and how many times the median that one is."""
    light = luminance(panorama)
    median = float(light.median())
    candidates = torch.where(passed, torch.zeros_like(light), light)
    peak = float(candidates.max())
    above = (candidates > median + 0.1 * (peak - median)).numpy()
    # Two copies side by side join what the azimuth's wrap cuts.
    labels, _ = ndimage.label(np.concatenate([above, above], 1), structure=np.ones((3, 3)))
    row, column = divmod(int(candidates.argmax()), light.shape[1])
    found = (labels == labels[row, column]) | (labels == labels[row, column + light.shape[1]])
    region = torch.from_numpy(found[:, : light.shape[1]] | found[:, light.shape[1] :])
    return region, peak / max(median, 1e-6)


def _surroundings(panorama: Tensor, region: Tensor, area: Tensor) -> Tensor:
    """Average radiance (3,) of the ring around a region."""
    doubled = np.concatenate([region.numpy()] * 3, 1)
    width = max(2, panorama.shape[0] // 24)
    near, far = (
        torch.from_numpy(ndimage.binary_dilation(doubled, iterations=n)[:, region.shape[1] : 2 * region.shape[1]])
        for n in (max(1, width // 2), width * 2)
    )
    ring = far & ~near
    if not bool(ring.any()):
        return pano.mean_radiance(panorama)
    weight = area[ring][:, None]
    return (panorama[ring] * weight).sum(0) / weight.sum()
