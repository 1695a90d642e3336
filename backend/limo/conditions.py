# SPDX-License-Identifier: GPL-3.0-or-later
"""LIMO's geometric condition maps (methods.md §1.3), with the paper's sign.

Off the sphere the direction map holds (p − c)/‖p − c‖, on it the reflected view ray: on both sides "direction seen from
the probe", so a sphere pixel and the scene pixel that it mirrors hold the same vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics import sphere
from ..optics.exposure import srgb_oetf
from .view import Probe, View

#: Stands for the distance of the sky: far beyond what the log normalisation keeps.
SKY = 1e6


@dataclass(frozen=True)
class Conditions:
    """The five maps of one view and probe, all (H, W, ·), camera frame, normalised to [−1, 1].

    image (3) display values of the photo, 0 on the sphere; depth (1) and distance (1) log-normalised;
    normals (3) of the sphere, 0 off it; direction (3) unit; mask (1) is 1 on the sphere.
    """

    image: Tensor
    depth: Tensor
    normals: Tensor
    distance: Tensor
    direction: Tensor
    mask: Tensor

    def stacked(self) -> Tensor:
        """The maps on channels: (11, H, W) = image 3, depth 1, normals 3, distance 1, direction 3."""
        maps = [self.image, self.depth, self.normals, self.distance, self.direction]
        return torch.cat(maps, -1).permute(2, 0, 1)


def log_normalise(distance: Tensor) -> Tensor:
    """Positive distances (...) to [−1, 1]: the geometric mean of the finite ones maps to 0, ±1 is ±2 decades.

    Free of scale: log_normalise(k·d) = log_normalise(d) for any k > 0. Infinite distances map to 1.
    """
    logs = distance.clamp(max=SKY * 1e3).log10()
    finite = distance < SKY
    mean = logs[finite].mean() if bool(finite.any()) else logs.mean()
    return ((logs - mean + 1).clamp(-1, 3) + 1) / 2 - 1


def conditions(view: View, probe: Probe) -> Conditions:
    """Build the five maps at the view's size."""
    rays = view.camera.rays()
    hit = sphere.intersect(rays, probe.position, probe.radius)
    sphere_depth = hit.distance * -rays[..., 2]
    scene = view.depth.clamp(max=SKY)
    mask = hit.mask & (sphere_depth <= scene)
    on = mask[..., None]
    points = view.camera.unproject(scene)
    offset = points - probe.position
    distance = torch.where(mask, torch.full_like(scene, probe.radius), offset.norm(dim=-1).clamp(min=probe.radius))
    reflected = sphere.reflect(rays, hit.normals)
    direction = torch.where(on, reflected, F.normalize(offset, dim=-1))
    image = srgb_oetf(view.radiance.clamp(0, 1)) * 2 - 1
    return Conditions(
        image=torch.where(on, torch.zeros_like(image), image),
        depth=log_normalise(torch.where(mask, sphere_depth, scene))[..., None],
        normals=hit.normals * on,
        distance=log_normalise(distance)[..., None],
        direction=direction,
        mask=on.float(),
    )
