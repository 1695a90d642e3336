# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded painter over time: frames mixed with their neighbours along the motion of what they show.

All frames start from the same noise, so what still changes from frame to frame is what the network makes of slightly
other inputs. What a mirror shows moves with probe and camera, so neighbours are moved along first: by the photo's depth
where it was seen, by a smooth guess elsewhere. Where all that the photo shows got brighter or darker, so do they.
Where the light itself changes suddenly nothing is mixed across.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...optics import panorama as pano
from ...optics.exposure import luminance
from ...optics.motion import Placement, place_of, seen_before
from ...optics.sphere import SphereView, mirror_point
from ..view import Probe, View
from .brightness import brightened, lit
from .encode import CROP, Inputs, decode_radiance, encode_radiance, fill_unseen

#: Rows of the coarse surroundings by which a change of light is noticed.
_COARSE = 6
#: A step of the light this many stops beyond the usual one, or this many times it, is a cut.
_STEP, _TIMES = 0.02, 3.0
#: Ties weaker than this are none.
_NOTHING = 1e-3
#: So many frames before and after one take part in it, the less the further away.
NEIGHBOURS = 3
#: The usual step is the median of so many on either side.
AROUND = 5


@dataclass(frozen=True, eq=False)
class Frame:
    """What mixing needs of one frame: the close-up, its place in the world, distances, surroundings and photo.

    view and placement are in double precision: what stays at rest must not be shaken by rounding. distance: (N, 2N)
    metres from the probe, camera frame, complete. coarse: (6, 12) log2 luminance of what was seen, world frame's turn,
    and seen: (6, 12) in [0, 1].
    """

    view: SphereView
    placement: Placement
    distance: Tensor
    coarse: Tensor
    seen: Tensor
    photo: View

    @classmethod
    def of(cls, view: View, probe: Probe, inputs: Inputs) -> Frame:
        """Of a frame whose inputs are made."""
        world = torch.eye(4) if view.camera_to_world is None else view.camera_to_world
        far = fill_unseen(inputs.partial.distance.clamp(min=1e-3).log()[..., None], inputs.partial.valid)[..., 0].exp()
        light = luminance(inputs.partial.radiance).clamp(min=1e-3).log2()
        stack = torch.stack([light * inputs.partial.valid, inputs.partial.valid], -1)
        turned = pano.to_world(stack, world[:3, :3], _COARSE * 2)
        turned = pano.resize(turned, _COARSE)
        coarse = turned[..., 0] / turned[..., 1].clamp(min=1e-3)
        place = probe.position.double()
        ball = SphereView(place, probe.radius, CROP)
        return cls(ball, Placement(place, world.double()), far, coarse, turned[..., 1], view)


def light_steps(frames: list[Frame]) -> Tensor:
    """How much the light seen changes from each frame to the next, in stops, (T − 1)."""
    steps = []
    for before, now in itertools.pairwise(frames):
        weight = before.seen * now.seen * pano.solid_angles(_COARSE)
        steps.append(((now.coarse - before.coarse).abs() * weight).sum() / weight.sum().clamp(min=1e-6))
    return torch.stack(steps) if steps else torch.zeros(0)


def continuity(steps: Tensor) -> Tensor:
    """From the steps of the light (T − 1) how far each lets neighbours mix, in [0, 1]: 0 at a cut."""
    if not len(steps):
        return steps
    around = F.pad(steps[None, None], (AROUND, AROUND), mode="replicate")[0, 0].unfold(0, 2 * AROUND + 1, 1)
    usual = around.median(-1).values
    return torch.exp(-(((steps - usual).clamp(min=0) / (_STEP + _TIMES * usual)) ** 2) * 4)


def moved(code: Tensor, source: Frame, target: Frame) -> tuple[Tensor, Tensor]:
    """What one frame's spheres (6, S, S) would show in another: (6, S, S), and how far known (2, S, S) per sphere."""
    view, code = target.view, code.double()
    d = view.reflected
    distance = pano.sample(target.distance[..., None], d.float())[..., 0].double()
    distance = torch.where(distance > 1e4, torch.inf, distance)
    towards, _ = seen_before(d, distance, target.placement, source.placement)
    turned, _ = seen_before(view.normals, torch.full_like(distance, torch.inf), target.placement, source.placement)
    facing = (turned * F.normalize(source.view.center + source.view.radius * turned, dim=-1)).sum(-1) < 0
    found = []
    mask = source.view.mask.double()[None]
    for sphere, normals, known in ((code[:3], mirror_point(source.view, towards), None), (code[3:], turned, facing)):
        grid, inside = place_of(source.view, normals)
        stack = torch.cat([sphere * mask, mask])[None]
        got = F.grid_sample(stack, grid[None], padding_mode="border", align_corners=False)[0]
        sure = inside & view.mask if known is None else inside & view.mask & known
        found.append((got[:3] / got[3:].clamp(min=1e-3), (got[3] * sure)[None]))
    return torch.cat([found[0][0], found[1][0]]).float(), torch.cat([found[0][1], found[1][1]]).float()


def mixed(codes: Tensor, frames: list[Frame]) -> Tensor:
    """Codes (T, 6, S, S) of consecutive frames, each mixed with its neighbours along motion: (T, 6, S, S).

    Neighbours are first set to the frame's brightness, so that slow swings of the light are not cut.
    """
    ties = continuity(light_steps(frames))
    steps = [brightened(before.photo, now.photo) for before, now in itertools.pairwise(frames)]
    levels = torch.stack([torch.zeros(3), *steps]).cumsum(0)
    result = []
    for t, target in enumerate(frames):
        total, count = codes[t], torch.ones(2, 1, 1)
        for k in range(max(0, t - NEIGHBOURS), min(len(frames), t + NEIGHBOURS + 1)):
            tie = float(ties[min(t, k) : max(t, k)].prod()) * (1 - abs(k - t) / (NEIGHBOURS + 1))
            if k == t or tie < _NOTHING:
                continue
            code = encode_radiance(lit(decode_radiance(codes[k]), levels[t] - levels[k]))
            there, known = moved(code, frames[k], target)
            total = total + there * (known * tie).repeat_interleave(3, 0)
            count = count + known * tie
        result.append(total / count.repeat_interleave(3, 0))
    return torch.stack(result)
