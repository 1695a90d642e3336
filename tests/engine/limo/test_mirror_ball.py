# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographed balls: the light comes back from files, and files that do not belong together are refused."""

import sys

import numpy as np
import pytest
import torch
from limelight.backend import cli
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.mirror_ball import Circle, Shot, fit_files, parse_shot
from limelight.backend.optics import exr, shading
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import expose
from limelight.backend.optics.sphere import SphereView, intersect, reflect
from PIL import Image

EVS = (0, -4, -8)
#: The ball fills 0.95 of 160 pixels; without 4 pixels on each side it touches all of them.
BALL = SphereView(torch.tensor([0.0, 0.0, -30.0]), 1.0, 160)
EDGE = 4


def surroundings() -> torch.Tensor:
    """Different light from every side, and a lamp up on the left behind the camera."""
    d = pano.directions(64)
    light = 0.4 * torch.stack([1.2 + d[..., 0], 1.1 + d[..., 1], 1.2 - d[..., 2]], -1)
    light[14:18, 18:22] = 60.0
    return light


def diffuse_sphere(env: torch.Tensor) -> torch.Tensor:
    """Radiance (S, S, 3) with the cosine of every single texel."""
    return shading.irradiance(env, BALL.normals, height=64) / torch.pi * BALL.mask[..., None]


def balls(env: torch.Tensor) -> dict[str, torch.Tensor]:
    shown = {"mirror": shading.mirror_sphere(env, BALL), "diffuse": diffuse_sphere(env)}
    return {kind: ball[EDGE:-EDGE, EDGE:-EDGE] for kind, ball in shown.items()}


def save(path, display: torch.Tensor):
    Image.fromarray((display.numpy() * 255 + 0.5).astype(np.uint8)).save(path)
    return path


def shots(folder, radiance: torch.Tensor, kind: str, evs=EVS) -> list[Shot]:
    return [Shot(save(folder / f"{kind}{ev}.png", expose(radiance, ev)), ev) for ev in evs]


def relit(env: torch.Tensor) -> torch.Tensor:
    return expose(diffuse_sphere(env), -2)[BALL.mask]


def test_the_light_comes_back_from_pictures(tmp_path):
    env = surroundings()
    seen = balls(env)
    out = tmp_path / "env.exr"
    answer = fit_files(shots(tmp_path, seen["mirror"], "m"), shots(tmp_path, seen["diffuse"], "d"), out, height=64)
    found, header = exr.read_panorama(out)
    assert header["limelightFrame"] == "camera"
    assert answer["warnings"] == []
    assert float((relit(found) - relit(env)).square().mean().sqrt()) < 0.005
    row, column = divmod(int(found[..., 1].argmax()), 128)
    assert abs(row - 15.5) <= 2.5
    assert abs(column - 19.5) <= 2.5
    assert answer["peak_radiance"] == pytest.approx(60, rel=0.3)


def test_a_grey_ball_of_known_albedo_and_a_dim_mirror_give_the_same_light(tmp_path):
    seen = balls(surroundings())
    whole, dim = (tmp_path / name for name in ("whole.exr", "dim.exr"))
    fit_files(shots(tmp_path, seen["mirror"], "a"), shots(tmp_path, seen["diffuse"], "b"), whole, height=32)
    fit_files(
        shots(tmp_path, seen["mirror"] * 0.5, "c"), shots(tmp_path, seen["diffuse"] * 0.18, "d"), dim, height=32,
        albedo=0.18, reflectance=0.5,
    )  # fmt: skip
    a, b = (relit(exr.read_panorama(path)[0]) for path in (whole, dim))
    assert float((a - b).abs().mean()) < 0.01


def test_a_floating_point_picture_needs_no_bracket(tmp_path):
    env = surroundings()
    exr.write_image(tmp_path / "ball.exr", balls(env)["mirror"])
    fit_files([Shot(tmp_path / "ball.exr", 0.0)], [], tmp_path / "env.exr", height=64)
    found, _ = exr.read_panorama(tmp_path / "env.exr")
    assert float((relit(found) - relit(env)).square().mean().sqrt()) < 0.03
    assert float(found.max()) == pytest.approx(60, rel=0.3)


def test_the_ball_is_found_by_alpha_or_by_a_circle(tmp_path):
    env = surroundings()
    seen = balls(env)["mirror"]
    n = seen.shape[0]
    wide = torch.zeros(n + 20, n + 60, 4)
    wide[5 : 5 + n, 12 : 12 + n, :3] = expose(seen, 0)
    wide[5 : 5 + n, 12 : 12 + n, 3] = BALL.mask[EDGE:-EDGE, EDGE:-EDGE].float()
    by_alpha = [Shot(save(tmp_path / "alpha.png", wide), 0)]
    by_circle = [Shot(save(tmp_path / "opaque.png", wide[..., :3]), 0)]
    square = [Shot(save(tmp_path / "square.png", expose(seen, 0)), 0)]
    circle = Circle(12 + n / 2, 5 + n / 2, n / 2)
    maps = []
    for i, (shot, place) in enumerate(((square, None), (by_alpha, None), (by_circle, circle))):
        fit_files(shot, [], tmp_path / f"{i}.exr", height=32, circle=place)
        maps.append(exr.read_panorama(tmp_path / f"{i}.exr")[0].clamp(max=1))
    assert float((maps[1] - maps[0]).abs().mean()) < 0.02
    assert float((maps[2] - maps[0]).abs().mean()) < 0.02


def test_a_ball_off_the_axis_of_a_wide_view_is_turned_back(tmp_path):
    env = surroundings()
    camera_fov, size, place = 70.0, 240, (170.0, 90.0)
    camera = Camera.from_fov(size, size, camera_fov)
    center = camera.point(place[0] / size, place[1] / size, 5.0)
    hit = intersect(camera.rays(), center, 0.9)
    picture = pano.sample(env, reflect(camera.rays(), hit.normals)) * hit.mask[..., None]
    exr.write_image(tmp_path / "room.exr", picture)
    rows, columns = torch.nonzero(hit.mask).unbind(-1)
    circle = Circle(float(columns.float().mean()) + 0.5, float(rows.float().mean()) + 0.5,
                    float(hit.mask.sum() / torch.pi) ** 0.5)  # fmt: skip
    fit_files([Shot(tmp_path / "room.exr", 0)], [], tmp_path / "e.exr", height=32, circle=circle, fov_deg=camera_fov)
    found, _ = exr.read_panorama(tmp_path / "e.exr")
    row, column = divmod(int(found[..., 1].argmax()), 64)
    assert abs(row - 7.5) <= 1.5
    assert abs(column - 9.5) <= 1.5


def test_balls_at_different_places_of_a_wide_view_tell_of_the_same_light(tmp_path):
    env = surroundings()
    camera = Camera.from_fov(320, 160, 90.0)
    shots = {}
    for kind, u in (("mirror", 0.22), ("diffuse", 0.78)):
        hit = intersect(camera.rays(), camera.point(u, 0.5, 6.0), 1.0)
        light = (
            pano.sample(env, reflect(camera.rays(), hit.normals))
            if kind == "mirror"
            else shading.irradiance(env, hit.normals, height=64) / torch.pi
        )
        shots[kind] = []
        for ev in EVS:
            rgba = torch.cat([expose(light * hit.mask[..., None], ev), hit.mask[..., None].float()], -1)
            shots[kind].append(Shot(save(tmp_path / f"{kind}{ev}.png", rgba), ev))
    fit_files(shots["mirror"], shots["diffuse"], tmp_path / "env.exr", height=64, fov_deg=90.0)
    found, _ = exr.read_panorama(tmp_path / "env.exr")
    assert float((relit(found) - relit(env)).square().mean().sqrt()) < 0.005


def test_what_is_overexposed_is_said(tmp_path, monkeypatch, capsys):
    (mirror,) = shots(tmp_path, balls(surroundings())["mirror"], "m", (0,))
    out = tmp_path / "env.exr"
    answer = fit_files([mirror], [], out, height=32)
    assert any("overexposed" in text for text in answer["warnings"])
    words = ["fit", "--mirror", str(mirror.path), "--out", str(out), "--size", "128", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["limelight", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert ended.value.code == 0 and told.out.strip() == str(out)
    assert all(f"Note: {text}" in told.err for text in answer["warnings"])


@pytest.mark.parametrize(
    ("text", "path", "ev"),
    [("a.png@-3", "a.png", -3.0), ("b.exr", "b.exr", 0.0), ("dir/c@home.jpg@+1.5", "dir/c@home.jpg", 1.5)],
)
def test_exposures_are_read_from_the_argument(text, path, ev):
    shot = parse_shot(text)
    assert (str(shot.path).replace("\\", "/"), shot.ev) == (path, ev)


@pytest.mark.parametrize("text", ["a.png@dark", "a.png@", "@-3", "a.png@nan", "a.png@400"])
def test_exposures_that_are_no_numbers_are_refused(text):
    with pytest.raises(BadInput) as caught:
        parse_shot(text)
    assert caught.value.remedy


def _bad_cases(folder):
    ball = expose(balls(surroundings())["mirror"], 0)
    good = Shot(save(folder / "good.png", ball), 0)
    small = Shot(save(folder / "small.png", ball[:100, :100]), -3)
    wide = Shot(save(folder / "wide.png", ball[:100]), 0)
    black = Shot(save(folder / "black.png", ball * 0), 0)
    white = Shot(save(folder / "white.png", ball * 0 + 1), 0)
    (folder / "broken.png").write_bytes(b"\x89PNG nothing")
    return {
        "No picture": ([], []),
        "no file": ([Shot(folder / "missing.png", 0)], []),
        "different sizes": ([good, small], []),
        "same exposure": ([good, Shot(good.path, 0)], []),
        "transparent": ([wide], []),
        "black": ([black], []),
        "overexposed": ([], [white]),
        "broken.png": ([Shot(folder / "broken.png", 0)], []),
    }


@pytest.mark.parametrize(
    "says",
    ["No picture", "no file", "different sizes", "same exposure", "transparent", "black", "overexposed", "broken.png"],
)
def test_pictures_that_cannot_be_used_are_refused_with_a_remedy(tmp_path, says):
    mirror, diffuse = _bad_cases(tmp_path)[says]
    with pytest.raises(BadInput, match=says) as caught:
        fit_files(mirror, diffuse, tmp_path / "env.exr", height=32)
    assert caught.value.remedy
    assert not (tmp_path / "env.exr").exists()


def test_a_cancelled_fit_leaves_no_file(tmp_path):
    class Stopped:
        def progress(self, fraction, stage):
            pass

        def check(self):
            raise Cancelled()

    mirror = shots(tmp_path, balls(surroundings())["mirror"], "m")
    with pytest.raises(Cancelled):
        fit_files(mirror, [], tmp_path / "env.exr", height=32, report=Stopped())
    assert not (tmp_path / "env.exr").exists()
