# SPDX-License-Identifier: GPL-3.0-or-later
"""Front from the photo: what the camera saw of the surroundings, reprojected around the probe, over the fitted map."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics import panorama as pano
from .merge import CLIPPED
from .view import Probe, View

#: Lays what is known over a map (N, 2N, 3): what comes of it, and how far each texel is still free, (N, 2N) in [0, 1].
Front = Callable[[Tensor], tuple[Tensor, Tensor]]
#: The photo is read at no more pixels across than this many times the map's rows.
_DENSITY = 6
#: Gain matching: rows of its grid, how far a gain reaches (degrees), the share of seen light around a direction that
#: is trusted halfway, and the largest gain (natural logarithm).
_GAIN_ROWS, _GAIN_REACH, _GAIN_TRUST, _GAIN_LIMIT = 32, 20.0, 0.15, 1.5


def blend_front(panorama: Tensor, view: View, probe: Probe, height: int, turn: Tensor | None = None) -> Tensor:
    """Lay the visible surroundings over a fitted map: (N, 2N, 3) to (height, 2·height, 3); see :func:`front_of`."""
    return front_of(view, probe, height, turn)(panorama)[0]


def front_of(view: View, probe: Probe, height: int, turn: Tensor | None = None) -> Front:
    """What a photo shows around a probe, reprojected once, to be laid over fitted maps (N, 2N, 3): linear, camera frame
    or turned by ``turn`` (3, 3).

    It returns the map (height, 2·height, 3) in the same frame, and what of each direction the photo left open, in
    [0, 1], (height, 2·height): all that it did not see, and what it clipped. Where the photo was not clipped its
    radiance is the truth and replaces the fit; where it was clipped the fit's brighter value stays, so that lamps in
    view keep their power. Edges are feathered, hidden directions untouched.
    """
    width = min(view.camera.width, _DENSITY * height)
    rows = max(1, round(view.camera.height * width / view.camera.width))
    seen = view.resized(width, rows) if width < view.camera.width else view
    # Only a picture that ends at display white hides what is brighter; a linear one shows it.
    clipped = (seen.radiance >= CLIPPED).any(-1, keepdim=True) & (seen.radiance.amax() <= 1)
    told = torch.cat([seen.radiance.clamp(min=0), clipped.float()], -1)
    partial = pano.reproject(told, seen.depth, seen.camera, probe.position, height, turn)
    light, bright = partial.radiance.split((3, 1), -1)
    known = partial.valid * (1 - bright[..., 0])
    weight = feather(partial.valid, max(1, height // 48))[..., None]
    free = 1 - (weight * (1 - bright))[..., 0]
    blind = float(partial.valid.sum()) == 0

    def lay(panorama: Tensor) -> tuple[Tensor, Tensor]:
        base = pano.resize(panorama, height)
        if blind:
            return base, torch.ones(base.shape[:2])
        base = match_gain(base, light, known)
        photo = torch.lerp(light, torch.maximum(light, base), bright)
        # Blended in the logarithm, a bright edge does not bleed into a dark wall.
        floor = 1e-4
        laid = torch.exp(torch.lerp((base + floor).log(), (photo + floor).log(), weight)).sub(floor).clamp(min=0)
        return laid, free

    return lay


def match_gain(panorama: Tensor, seen: Tensor, valid: Tensor) -> Tensor:
    """Panorama (N, 2N, 3) with smooth gains that carry what is known of the seen part into its neighbourhood.

    seen (N, 2N, 3) holds the true radiance where ``valid`` (N, 2N) > 0. The gain at a direction is the average
    log-ratio of seen to painted radiance around it, shrunk to none where little was seen: no seam around the photo,
    and far from it the panorama is unchanged. Brightness and colour alike.
    """
    rows = min(_GAIN_ROWS, panorama.shape[0])
    share = valid[..., None]
    known = pano.resize(share, rows)
    floor = 1e-3
    truth = pano.resize(seen * share, rows) / known.clamp(min=1e-6)
    painted = pano.resize(panorama * share, rows) / known.clamp(min=1e-6)
    ratio = ((truth + floor) / (painted + floor)).log().clamp(-_GAIN_LIMIT, _GAIN_LIMIT)
    near = _neighbourhood(rows)
    trust = known.reshape(-1, 1)
    gain = near @ (ratio.reshape(-1, 3) * trust) / (near @ trust + _GAIN_TRUST)
    return panorama * pano.resize(gain.reshape(rows, 2 * rows, 3), panorama.shape[0]).exp()


@lru_cache(maxsize=2)
def _neighbourhood(rows: int) -> Tensor:
    """How much every texel of a panorama with ``rows`` rows counts around every other: (T, T), rows that sum to one."""
    d = pano.directions(rows).reshape(-1, 3)
    angle = torch.deg2rad(torch.tensor(_GAIN_REACH))
    near = torch.exp((d @ d.T - 1) / angle**2) * pano.solid_angles(rows).expand(-1, 2 * rows).reshape(1, -1)
    return near / near.sum(1, keepdim=True)


def feather(valid: Tensor, radius: int) -> Tensor:
    """Weights (N, 2N) that fall from 1 inside a region to 0 at its edge within about ``radius`` texels."""
    size = 2 * radius + 1
    around = F.pad(F.pad(valid[None, None], (radius, radius, 0, 0), mode="circular"), (0, 0, radius, radius))
    share = F.avg_pool2d(around, size, stride=1)[0, 0]
    # Rows beyond a pole do not exist: they must not count as unseen.
    rows = F.avg_pool2d(F.pad(torch.ones_like(valid)[None, None], (0, 0, radius, radius)), (size, 1), stride=1)[0, 0]
    return ((share / rows) * 2 - 1).clamp(0, 1) * valid
