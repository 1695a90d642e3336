# SPDX-License-Identifier: GPL-3.0-or-later
"""Network, shadows and LIMO's light are joined: each moves the answer, none is needed, the probe's place counts."""

from __future__ import annotations

import pytest
import torch
from limelight.backend.direction import bins
from limelight.backend.direction import estimate as estimation
from limelight.backend.direction.embedded import WEIGHTS
from limelight.backend.direction.estimate import EMBEDDED, LIMO, Look, estimate
from limelight.backend.direction.job import DirectionJob, run_direction
from limelight.backend.direction.joined import POWERS, joined
from limelight.backend.direction.painted import MIDDLE, painted, probe_at
from limelight.backend.errors import BadInput
from limelight.backend.limo.report import SilentReport
from limelight.backend.limo.view import View
from limelight.backend.optics import exr
from limelight.backend.optics.camera import Camera
from torch import Tensor
from torch.nn import functional as F

shipped = pytest.mark.skipif(not (WEIGHTS.is_file() and LIMO.is_file()), reason="the networks' weights are not here")


def room(lamp: float = -1.0, width: int = 96) -> View:
    """A grey room, 4 m wide and 3 m high, with a far wall at 5 m and a bright window in its left (−1) or right wall.

    The wall opposite and the floor near the window are the lighter for it.
    """
    camera = Camera.from_fov(width, width * 3 // 4, 75)
    ray = camera.rays()
    x, y, z = ray.unbind(-1)
    reach = torch.stack([2 / x.abs().clamp(min=1e-6), 1.5 / y.abs().clamp(min=1e-6), 5 / (-z)]).amin(0)
    at = ray * reach[..., None]
    window = (at[..., 0] * lamp > 1.99) & (at[..., 1].abs() < 0.8) & ((at[..., 2] + 3.3).abs() < 0.7)
    towards = torch.tensor([2 * lamp, 0.0, -3.3]) - at
    grey = 0.03 + 0.5 / (towards.square().sum(-1) + 0.5)
    radiance = torch.where(window, torch.tensor(9.0), grey)[..., None].expand(-1, -1, 3).contiguous()
    return View(radiance, reach * -z, camera)


def whispers(towards: tuple[float, float, float], kappa: float = 4) -> Tensor:
    """A distribution around a direction."""
    return bins.soft_label(F.normalize(torch.tensor([towards]).float(), dim=1), kappa)[0]


@pytest.mark.parametrize("guessed", [False, True])
def test_each_witness_moves_the_answer_and_one_that_says_nothing_does_not(guessed):
    network = whispers((0, 1, 0))
    nothing = {"shadows": torch.full((bins.BINS,), 0.02), "painted": torch.ones(bins.BINS)}
    nothing = {name: said for name, said in nothing.items() if name in POWERS[guessed]}
    alone = joined({"network": network}, guessed)
    assert float(alone.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(alone.argsort(), network.argsort())
    assert torch.allclose(joined({"network": network, **nothing}, guessed), alone, atol=1e-6)
    side = bins.angle_deg(bins.directions(), torch.tensor([[1.0, 0, 0]]).expand(bins.BINS, 3)) < 20
    for name, quiet in nothing.items():
        told = joined({"network": network, name: torch.where(side, 8 * quiet, quiet)}, guessed)
        assert float(told[side].sum()) > 1.5 * float(alone[side].sum())


def test_without_shadows_the_others_answer_and_the_sky_needs_no_floor():
    sky = Look(torch.full((40, 60, 3), 0.4), Camera.from_fov(60, 40, 50), torch.full((40, 60), torch.inf))
    assert sky.shadows is None
    assert "shadows" not in sky.tell() and "shadows" not in sky.tell((0.2, 0.3), 4.0)


@shipped
@pytest.mark.parametrize("lamp", [-1.0, 1.0])
def test_a_window_that_is_seen_is_where_the_light_comes_from(lamp):
    view = room(lamp)
    found = estimate(view.radiance, view.camera, (0.5, 0.5), depth=view.depth, distance=3.0)
    assert found.model == "network, shadows, painted"
    assert float(found.distribution.sum()) == pytest.approx(1, abs=1e-4)
    to_window = F.normalize(torch.tensor([2 * lamp, 0.0, -0.3]), dim=0)
    alone = estimate(view.radiance, view.camera, (0.5, 0.5), model=EMBEDDED)
    error, before = (float(bins.angle_deg(each.vector, to_window)) for each in (found, alone))
    assert error < 20 and error < before and found.spread_deg < alone.spread_deg


@shipped
def test_what_is_painted_depends_on_where_the_probe_hangs():
    view = room()
    near, far = (painted(view, probe_at(view, (0.5, 0.5), distance)) for distance in (1.0, 4.5))
    peaks = [bins.directions()[int(light.argmax())] for light in (near, far)]
    # Before the window it lies ahead, behind it to the rear.
    assert float(peaks[0][2]) < -0.3 and float(peaks[1][2]) > 0.1
    assert all(float(light.mean()) == pytest.approx(1, rel=1e-3) for light in (near, far))


def test_a_probe_is_never_put_behind_what_is_seen():
    view = room()
    assert float(-probe_at(view, (0.5, 0.5), 30.0).position[2]) == pytest.approx(view.depth_at(0.5, 0.5))
    assert 0 < float(-probe_at(view).position[2]) < view.depth_at(*MIDDLE)


def test_shadows_through_a_guess_of_the_depth_are_not_asked():
    view = room()
    assert "shadows" in Look(view.radiance, view.camera, view.depth).tell()
    assert "shadows" not in Look(view.radiance, view.camera).tell()


def test_without_limos_weights_the_others_answer(monkeypatch, tmp_path):
    monkeypatch.setattr(estimation, "LIMO", tmp_path / "none.safetensors")
    view = room()
    assert set(Look(view.radiance, view.camera, view.depth).tell()) <= {"shadows"}


def test_a_job_takes_points_with_a_depth_and_refuses_absurd_ones(tmp_path):
    view = room()
    exr.write_image(tmp_path / "room.exr", view.radiance)
    exr.write_depth(tmp_path / "depth.exr", view.depth)
    params = {"image": str(tmp_path / "room.exr"), "depth": str(tmp_path / "depth.exr"), "fov_deg": 75.0}
    asked = [{"u": 0.5, "v": 0.5, "depth": 3.0}, {"u": 0.2, "v": 0.7}]
    job = DirectionJob.from_params({**params, "model": EMBEDDED, "probes": asked})
    assert [spec.depth for spec in job.light.probes] == [3.0, None] and not job.whole
    if WEIGHTS.is_file():
        entries = run_direction(job, SilentReport())["directions"]
        assert [entry["probe"] for entry in entries] == [[0.5, 0.5], [0.2, 0.7]]
    middle = {"u": 0.5, "v": 0.5}
    for probe in ({"u": 0.5}, {"position": [0, 0, -1]}, {**middle, "depth": -1.0}, {**middle, "v": float("nan")}, "ab"):
        with pytest.raises(BadInput, match="Probe"):
            DirectionJob.from_params({**params, "probes": [probe]})


@shipped
def test_a_job_without_a_depth_asks_by_a_guess(tmp_path):
    exr.write_image(tmp_path / "room.exr", room().radiance)
    params = {"image": str(tmp_path / "room.exr"), "fov_deg": 75.0, "probes": [{"u": 0.5, "v": 0.5}]}
    told = run_direction(DirectionJob.from_params(params), SilentReport())
    assert told["depth_source"] == "estimate" and told["directions"][0]["model"] == "network, painted"
