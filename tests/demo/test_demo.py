# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``python3 run.py demo`` left behind: whole, finite, the right way round, better than constant grey."""

import json
from pathlib import Path

import pytest
import torch
from limelight.backend.optics import exr, shading
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.sphere import SphereView
from PIL import Image

DEMO = Path(__file__).resolve().parents[2] / "demo"
VIEW = SphereView(torch.tensor([0.0, 0.0, -8.0]), 0.5, 64)
PLACES = ("Photo", "Scene, lit probe", "Scene, shaded probe")
pytestmark = pytest.mark.skipif(
    not (DEMO / "report.json").is_file(), reason="the demo was not run: python3 run.py demo"
)


def load(name: str) -> torch.Tensor:
    return exr.read_image(DEMO / name)[..., :3]


def rotation() -> torch.Tensor:
    return torch.tensor(json.loads((DEMO / "camera.json").read_text())["camera_to_world"])[:3, :3]


@pytest.mark.parametrize(
    "name",
    ["contact_sheet.png", "scene_sheet.png", "brackets.png", "photo_estimate.png", "photo_truth.png", "scene_room.png"],
)
def test_pictures_are_there_and_show_something(name):
    extrema = Image.open(DEMO / name).convert("L").getextrema()
    assert extrema[1] - extrema[0] > 100


@pytest.mark.parametrize("name", ["photo_lit.blend", "scene_lit.blend"])
def test_lit_files_are_there_with_their_maps_packed(name):
    assert (DEMO / name).stat().st_size > 500_000


@pytest.mark.parametrize("name", ["photo/probe_0.exr", "scene_lit.exr", "scene_shaded.exr"])
def test_maps_are_finite_and_lit(name):
    light = load(name)
    assert bool(torch.isfinite(light).all())
    assert light.shape[1] == 2 * light.shape[0]
    assert float(light.mean()) > 0.01


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a[VIEW.mask].log().flatten(), b[VIEW.mask].log().flatten()
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def test_the_photos_light_is_the_right_way_round():
    estimate, truth = (pano.to_camera(load(n), rotation(), 64) for n in ("photo/probe_0.exr", "truth.exr"))
    target = shading.diffuse_sphere(truth, VIEW).clamp(min=1e-4)
    right = correlation(shading.diffuse_sphere(estimate, VIEW).clamp(min=1e-4), target)
    mirrored = correlation(shading.diffuse_sphere(estimate.flip(1), VIEW).clamp(min=1e-4), target)
    upside_down = correlation(shading.diffuse_sphere(estimate.flip(0), VIEW).clamp(min=1e-4), target)
    assert right > mirrored
    assert right > upside_down


@pytest.mark.parametrize(("name", "truth"), [("photo/probe_0.exr", "truth.exr")])
def test_what_the_photo_shows_is_where_it_is_in_the_world(name, truth):
    front = pano.directions(64, "world") @ rotation()
    seen = (front[..., 2] < -0.9)[..., None]
    estimate, target = (pano.resize(load(n), 64).clamp(1e-3, 1).log() for n in (name, truth))
    a, b = (m[seen.expand_as(m)] for m in (estimate, target))
    assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.7


def rmse(place: str, method: str) -> dict[str, float]:
    """The RMSE of each of the protocol's four balls at a place of the demo."""
    scores = json.loads((DEMO / "report.json").read_text())["probes"][place][method]
    return {ball: scores[ball]["rmse"] for ball in ("mirror", "glossy", "matte", "diffuse")}


@pytest.mark.parametrize("place", PLACES)
def test_at_every_place_the_estimate_beats_a_grey_that_knows_the_true_mean(place):
    estimate, grey = rmse(place, "estimate"), rmse(place, "grey")
    assert sum(estimate.values()) < sum(grey.values())
    assert estimate["mirror"] < grey["mirror"]


@pytest.mark.parametrize("place", ["Photo", "Scene, lit probe"])
def test_the_diffuse_ball_is_better_than_that_grey_too(place):
    # In the shade its light is guessed too bright, and that grey does better there.
    assert rmse(place, "estimate")["diffuse"] < rmse(place, "grey")["diffuse"]


@pytest.mark.parametrize("ball", ["mirror", "glossy", "matte", "diffuse"])
def test_every_ball_is_better_than_that_grey_over_the_places(ball):
    # Over the places, not at each: grey is best at a nearly uniform ball, as a diffuse one in the shade is.
    estimate, grey = ([rmse(place, method)[ball] for place in PLACES] for method in ("estimate", "grey"))
    assert sum(estimate) < sum(grey)
