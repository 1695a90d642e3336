# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit over time: steady where nothing happens, at once where something does, the same in chunks as in one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from limelight.backend.limo.energy import PAINTED
from limelight.backend.limo.fit import fit
from limelight.backend.limo.fit_frames import fit_frames
from limelight.backend.limo.painter import Spheres
from limelight.backend.limo.source_track import decide, link
from limelight.backend.limo.temporal import change_costs, smooth
from limelight.backend.optics import panorama as pano
from limelight.backend.optics import shading
from limelight.backend.optics.exposure import EVS, expose
from limelight.backend.optics.sphere import SphereView
from limelight.tests.engine.limo.test_fit import room

VIEW = SphereView(torch.tensor([0.3, -0.3, -2.0]), 0.15, 32)
#: Normals all around at which irradiance is compared.
AROUND = pano.directions(8).reshape(-1, 3)


def painted(env: torch.Tensor, seed: int, noise: float = 0.1, view: SphereView = VIEW) -> Spheres:
    """Spheres as a painter may paint a frame: each with an error of brightness, and of every part of its picture."""
    generator = torch.Generator().manual_seed(seed)
    balls = []
    for ball, share in ((shading.mirror_sphere(env, view, 4), 1.0), (shading.diffuse_sphere(env, view), 0.3)):
        parts = torch.randn(1, 3, 6, 6, generator=generator) * noise * share
        patchy = torch.nn.functional.interpolate(parts, ball.shape[:2], mode="bilinear")[0].permute(1, 2, 0)
        whole = torch.randn((), generator=generator) * 0.4 * noise * share
        wrong = ball * (patchy + whole).exp() * view.mask[..., None]
        balls.append((torch.stack([expose(wrong, ev) for ev in EVS]) * 255).round() / 255)
    return Spheres(view, *balls)


def irradiance(env: torch.Tensor) -> torch.Tensor:
    return shading.irradiance(env, AROUND)


def flicker(environments: list[torch.Tensor]) -> float:
    """The largest mean change of irradiance between frames, beside the mean irradiance."""
    lit = torch.stack([irradiance(env) for env in environments])
    return float((lit[1:] - lit[:-1]).abs().mean((1, 2)).max() / lit.mean())


def test_smoothing_is_the_exact_minimum() -> None:
    generator = torch.Generator().manual_seed(3)
    y = torch.randn(7, 8, generator=generator).double()
    w, c = (torch.rand(n, 8, generator=generator).double() + 0.1 for n in (7, 6))
    found = smooth(y, w, c)
    # The dual of the problem by projected gradients: any step's tension is at most its cost.
    tension = torch.zeros_like(c)
    for _ in range(5000):
        x = y - (torch.nn.functional.pad(tension, (0, 0, 1, 0)) - torch.nn.functional.pad(tension, (0, 0, 0, 1))) / w
        tension = (tension + 0.04 * (x[1:] - x[:-1])).clamp(-c, c)
    assert torch.allclose(found, x, atol=1e-5)


def test_a_change_that_stands_out_costs_little_and_chance_the_whole() -> None:
    change = torch.full((10, 1), 0.05)
    change[4] = 3.0
    costs = change_costs(change)
    assert torch.allclose(costs[:4], torch.full((4, 1), 0.1)) and float(costs[4]) < 0.001


@pytest.fixture(scope="module")
def still() -> tuple[torch.Tensor, list[Spheres], list[torch.Tensor]]:
    env = room(64, sun=60.0)
    spheres = [painted(env, seed) for seed in range(7)]
    return env, spheres, fit_frames(spheres, height=32).environments


def test_a_still_scene_does_not_flicker(still) -> None:
    env, spheres, found = still
    alone = [fit(each, height=32) for each in spheres[:3]]
    assert flicker(found) <= 0.02 < flicker(alone)
    # Steady, and no less true than the frames alone are.
    truth = irradiance(env)
    errors = [float((irradiance(e) - truth).abs().mean() / truth.mean()) for e in (*found, *alone)]
    assert max(errors[:7]) < 1.1 * max(errors[7:])


def test_chunks_join_without_a_step(still) -> None:
    _, spheres, whole = still
    first = fit_frames(spheres[:5], height=32, keep=3)
    second = fit_frames(spheres[3:], height=32, before=first.carries[2], found=first.found[3:])
    joined = first.environments + second.environments
    assert flicker(joined) <= 0.02
    assert float((irradiance(joined[-1]) / irradiance(whole[-1]) - 1).abs().max()) < 0.05


def test_a_switched_lamp_is_there_within_one_frame() -> None:
    dark, bright = room(64), room(64, sun=300.0)
    spheres = [painted(bright if 3 <= t < 7 else dark, t, noise=0.05) for t in range(9)]
    fitted = fit_frames(spheres, height=32)
    found = [irradiance(env).mean() for env in fitted.environments]
    step = float(irradiance(bright).mean() - irradiance(dark).mean())
    for before, after, way in ((2, 3, 1), (6, 7, -1)):
        assert way * float(found[after] - found[before]) > 0.9 * step
    still = [abs(float(b - a)) for t, (a, b) in enumerate(pairwise(found)) if t not in (2, 6)]
    assert max(still) < 0.02 * float(torch.stack(found).mean())
    # Nor does it matter that the chunk before ends there.
    (after, *_) = fit_frames(spheres[3:5], height=32, before=fitted.carries[2]).environments
    assert float(irradiance(after).mean() - found[2]) > 0.9 * step


def test_turned_views_fit_the_same_light_in_other_axes() -> None:
    env = room(64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turn = turn * torch.linalg.det(turn)
    spheres = painted(env, 0, noise=0.0)
    turned = Spheres(VIEW.turned(turn), spheres.mirror, spheres.diffuse)
    straight, other = (fit_frames([each], height=32).environments[0] for each in (spheres, turned))
    back = shading.irradiance(other, AROUND @ turn.T)
    assert float((back / irradiance(straight) - 1).abs().max()) < 0.04


def test_candidates_are_linked_and_do_not_blink() -> None:
    def at(*degrees: float) -> torch.Tensor:
        angle = torch.deg2rad(torch.tensor(degrees))
        return torch.stack([angle.sin(), torch.zeros_like(angle), -angle.cos()], -1)

    towards = [at(0, 50), at(51, 1), at(52), at(3, 53), at(4, 54)]
    tracks = link(towards)
    assert [track.at for track in tracks] == [{0: 0, 1: 1, 3: 0, 4: 0}, {0: 1, 1: 0, 2: 0, 3: 1, 4: 1}]
    compact = [torch.tensor(each) for each in ([True, True], [True, True], [False], [True, True], [True, True])]
    chosen = decide(tracks, compact)
    assert [each.tolist() for each in chosen] == [[True, True], [True, True], [True], [True, True], [True, True]]


def test_what_a_photo_shows_of_a_frame_counts_for_its_energy_and_stays() -> None:
    """The diffuse spheres tell a brighter window than the mirrors. A bright front explains some of that."""
    window = (pano.directions(32)[..., 2:] > 0.9).float()
    told, whole = (painted(torch.full((32, 64, 3), 0.2) + window * level, 0, noise=0.0) for level in (1.0, 6.0))
    spheres = [Spheres(VIEW, told.mirror, whole.diffuse)] * 2
    known = (pano.directions(32)[..., 2:] < 0).float()

    def front(light: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.lerp(light, torch.full_like(light, 0.6), known), 1 - known[..., 0]

    alone = fit_frames(spheres, height=32, error=PAINTED).environments
    laid = fit_frames(spheres, height=32, error=PAINTED, fronts=[front] * 2).environments
    for before, after in zip(alone, laid, strict=True):
        change = (after / before).log2().mean(-1)
        assert change[window[..., 0] > 0].mean() < -0.3
        assert change[known[..., 0] > 0].abs().mean() < 0.1
