# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures learnt for a mesh: it is seen where it is, they explain the photos, and they take another light."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import expose
from limelight.backend.splats import mesh_files, render
from limelight.backend.splats.inputs import read_scene
from limelight.backend.splats.raster import SplatCamera
from limelight.backend.splats.shading.environment import Light
from limelight.backend.splats.textured import atlas, files, frames, job
from limelight.backend.splats.textured.seen import look
from limelight.benchmarks.splats import textured
from limelight.benchmarks.splats.score import fit_scale
from limelight.benchmarks.splats.textured import Textured
from limelight.tests.engine.splats.scenes import Stopping, ball, look_at, sky, sphere, write_obj, write_scene
from PIL import Image
from torch import Tensor

SETTINGS = {"texels": 48, "iterations": 40, "size": 40, "tone": "srgb", "device": "cpu"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scene"))


def learnt(scene: Path, folder: Path, report: SilentReport | None = None, **changed: object) -> dict[str, Any]:
    """Textures for a ball, in ``folder``/out."""
    given = {"mesh": str(write_obj(folder / "ball.obj")), "scene": str(scene), "out": str(folder / "out"), **SETTINGS}
    return job.run_texture(job.TextureJob.from_params({**given, **changed}), report or SilentReport())


def test_a_mesh_is_seen_where_its_camera_looks(tmp_path: Path) -> None:
    mesh = files.read_mesh(write_obj(tmp_path / "a.obj", uv=True), 64)
    camera = SplatCamera.from_pose(Camera.from_fov(64, 64, 40), look_at(torch.tensor([0.0, -4.0, 0.0])))
    seen = look(mesh, camera)
    radius = 64 / 2 / math.tan(math.radians(20)) * math.tan(math.asin(1 / 4))
    assert len(seen.pixels) == pytest.approx(math.pi * radius**2, rel=0.04)
    torch.testing.assert_close(seen.points.norm(dim=-1), torch.ones(len(seen.points)), atol=0.012, rtol=0)
    torch.testing.assert_close(seen.normals, seen.points, atol=0.15, rtol=0)
    assert float((seen.points[:, 1]).max()) < 0.05 and bool(((seen.normals * seen.view).sum(-1) < 1e-6).all())
    # Rays meet their points, and the texture's places are those of the corners.
    eye = camera.position
    torch.testing.assert_close(torch.nn.functional.normalize(seen.points - eye, dim=-1), seen.view, atol=2e-3, rtol=0)
    torch.testing.assert_close(seen.uv[:, 1], (seen.points[:, 2] + 1) / 2, atol=1e-4, rtol=0)


def test_a_mesh_without_texture_places_is_unwrapped_without_overlap(tmp_path: Path) -> None:
    mesh = files.read_mesh(write_obj(tmp_path / "a.obj"), 128)
    assert mesh.uv.min() >= 0 and mesh.uv.max() <= 1
    edges = mesh.uv[:, 1:] - mesh.uv[:, :1]
    area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum() / 2
    assert 0.3 < area < 1


def test_unwrapping_can_be_stopped_while_it_works(tmp_path: Path) -> None:
    points, faces = sphere(96)
    with pytest.raises(Cancelled):
        atlas.unwrapped(points, faces, 128, Stopping(3).check)
    assert not list(Path(tempfile.gettempdir()).glob("limelight-*/faces.npy"))


def test_both_kinds_of_file_are_the_same_mesh(tmp_path: Path) -> None:
    points, faces = sphere()
    mesh_files.write(tmp_path / "a.ply", points, points, faces, np.zeros((len(points), 3)))
    first, second = files.read_mesh(write_obj(tmp_path / "a.obj"), 64), files.read_mesh(tmp_path / "a.ply", 64)
    np.testing.assert_allclose(first.corners(), second.corners(), atol=1e-6)
    np.testing.assert_allclose(first.normals, first.corners(), atol=0.05)


@pytest.mark.parametrize("masked", [True, False], ids=["masks", "no masks"])
@pytest.mark.parametrize("turn", [90, 180])
def test_a_mesh_whose_axes_are_turned_is_found_among_its_cameras(tmp_path: Path, turn: int, masked: bool) -> None:
    # The upper half of a ball: its rim says what is down.
    ball_half = {name: part[ball()["means"][:, 2] > 0] for name, part in ball().items()}
    scene = read_scene(write_scene(tmp_path / "scene", views=24, cloud=ball_half), 40)
    views = scene.train if masked else [replace(view, cover=None) for view in scene.train]
    whole = files.read_mesh(write_obj(tmp_path / "a.obj"), 64)
    upper = whole.corners()[..., 2].mean(-1) > 0
    mesh = replace(whole, faces=whole.faces[upper], uv=whole.uv[upper], normals=whole.normals[upper])
    away = mesh.placed(np.linalg.inv(frames.TURNS[turn]))
    found = frames.among(away, views, list(frames.TURNS.values()))
    assert list(frames.TURNS)[found.frame] == turn and not found.doubtful
    np.testing.assert_allclose(found.mesh.points, mesh.points, atol=1e-6)
    # One of many matrices is taken as well, and the first where they are alike.
    beside = np.eye(4) + np.array([[0, 0, 0, 1.2], [0] * 4, [0] * 4, [0] * 4])
    assert frames.among(mesh, views, [beside, np.eye(4), np.eye(4)]).frame == 1
    assert frames.among(mesh, views, [beside]).doubtful or not masked


def test_a_mesh_that_is_mirrored_stays_the_same_from_outside(tmp_path: Path) -> None:
    mesh = files.read_mesh(write_obj(tmp_path / "a.obj", uv=True), 64)
    there = mesh.placed(np.diag([-2.0, 1, 1, 1]))
    outwards = np.cross(*(there.corners()[:, k] - there.corners()[:, 0] for k in (1, 2)))
    assert ((outwards * there.corners().mean(1)).sum(-1) > 0).all()
    assert ((there.normals * there.corners()).sum(-1) > 0).all() and there.extent == pytest.approx(4, rel=0.01)
    np.testing.assert_array_equal(there.uv[:, ::-1], mesh.uv)


def test_a_ply_brings_its_normals_and_uvs(tmp_path: Path) -> None:
    mesh = files.read_mesh(write_obj(tmp_path / "a.obj", uv=True), 64)
    corners = np.concatenate([mesh.corners(), mesh.normals, mesh.uv], -1).reshape(-1, 8).astype("<f4")
    faces = np.zeros(len(mesh.faces), [("n", "u1"), ("c", "<i4", 3)])
    faces["n"], faces["c"] = 3, np.arange(len(corners)).reshape(-1, 3)
    each = ["x", "y", "z", "nx", "ny", "nz", "s", "t"]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(corners)}"]
    lines += [f"property float {name}" for name in each] + [f"element face {len(faces)}"]
    lines += ["property list uchar int vertex_indices", "end_header", ""]
    (tmp_path / "a.ply").write_bytes("\n".join(lines).encode() + corners.tobytes() + faces.tobytes())
    found = files.read_mesh(tmp_path / "a.ply", 64)
    np.testing.assert_allclose(found.uv, mesh.uv, atol=1e-6)
    np.testing.assert_allclose(found.normals, mesh.normals, atol=1e-6)
    # As MeshLab writes them: a place in the texture for every corner of a face.
    at_corners = np.zeros(len(faces), [("n", "u1"), ("c", "<i4", 3), ("m", "u1"), ("uv", "<f4", (3, 2))])
    at_corners["n"], at_corners["c"], at_corners["m"], at_corners["uv"] = 3, mesh.faces, 6, mesh.uv
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(mesh.points)}"]
    lines += [f"property float {name}" for name in "xyz"] + [f"element face {len(faces)}"]
    lines += ["property list uchar int vertex_indices", "property list uchar float texcoord", "end_header", ""]
    data = mesh.points.astype("<f4").tobytes() + at_corners.tobytes()
    (tmp_path / "b.ply").write_bytes("\n".join(lines).encode() + data)
    np.testing.assert_allclose(files.read_mesh(tmp_path / "b.ply", 64).uv, mesh.uv, atol=1e-6)


@pytest.mark.parametrize("uv", ["double", "outside"])
def test_texels_that_places_share_are_refused_or_made_anew(tmp_path: Path, uv: str) -> None:
    text = write_obj(tmp_path / "a.obj", uv=True).read_text()
    changed = [line.split() for line in text.splitlines()]
    for words in changed:
        if words[:1] == ["vt"]:
            # A half lies over the other, or beside the square.
            words[1] = str(abs(2 * float(words[1]) - 1)) if uv == "double" else str(2 * float(words[1]))
    (tmp_path / "b.obj").write_text("\n".join(map(" ".join, changed)))
    with pytest.raises(BadInput, match="share texels") as told:
        files.read_mesh(tmp_path / "b.obj", 64)
    assert "--unwrap" in told.value.remedy
    assert atlas.overlap(files.read_mesh(tmp_path / "b.obj", 256, unwrap=True).uv) < 0.01


def relit(found: Textured, cloud: dict[str, Tensor], scene: Path, light: Tensor) -> float:
    """PSNR of the test views under a light, scaled by a factor a channel, against what the photos show, where it is."""
    pairs = []
    for view in read_scene(scene, 40).test:
        maps = render.draw(cloud, view.camera, material=True)
        truth = render.physical(maps, view.camera, Light(light), torch.zeros(3), tone="srgb").image
        linear, cover = found.relit(view.camera, Light(light))
        inside = (maps.alpha > 0.99)[..., 0] & (cover > 0.99)[..., 0]
        pairs.append((linear[inside], truth[inside]))
    scale = fit_scale(pairs)
    errors = torch.cat([expose(linear * scale, 0) - truth for linear, truth in pairs])
    return float(-10 * (errors**2).mean().log10())


@pytest.mark.slow
@torch.no_grad()
def test_it_explains_the_photos_and_takes_another_light(tmp_path: Path) -> None:
    # Two colours in patches, wherever the surface faces.
    paint = ball() | {"metallic": torch.full((400,), 0.02), "roughness": torch.full((400,), 0.9)}
    patches = (4 * paint["means"]).sin().prod(-1, keepdim=True) > 0
    paint["albedo"] = torch.where(patches, torch.tensor([0.6, 0.3, 0.2]), torch.tensor([0.15, 0.25, 0.5]))
    scene = write_scene(tmp_path / "scene", views=30, cloud=paint)
    # Photos without masks: the mesh says what is the object.
    for photo in (scene / "train").glob("*.png"):
        cut_out = Image.open(photo)
        Image.alpha_composite(Image.new("RGBA", cut_out.size, "orange"), cut_out).convert("RGB").save(photo)
    with torch.enable_grad():
        answer = learnt(scene, tmp_path, iterations=240)
    found = textured.load(tmp_path / "ball.obj", tmp_path / "out", SETTINGS["texels"])  # type: ignore[arg-type]
    other = sky().flip(1).flip(0) * torch.tensor([1.2, 0.9, 0.5])
    ours, as_photographed = (relit(one, paint, scene, other) for one in (found, textured.photographed(found)))
    # Measured: 27.3 dB of views that it did not learn from, 24.7 relit against 22.5; 22.5 without handing over.
    assert answer["psnr"]["joint"] > 23 and ours > as_photographed + 1.5


@pytest.fixture(scope="module")
def unbroken(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder with the textures, and what is told of them."""
    folder = tmp_path_factory.mktemp("unbroken")
    return folder / "out", learnt(scene, folder, mesh=str(write_obj(folder / "uv.obj", uv=True)))


def test_what_it_leaves_is_whole_and_nearer_to_the_photos(unbroken: tuple[Path, dict[str, Any]]) -> None:
    out, answer = unbroken
    assert answer["psnr"]["specular"] > answer["psnr"]["radiance"] + 1 and answer["views"] == {"train": 12, "test": 2}
    assert all((out / name).is_file() for name in answer["files"].values())
    assert (out / "mesh.glb").read_bytes()[:4] == b"glTF"
    light, header = exr.read_panorama(out / "environment.exr")
    assert header["limelightFrame"] == "world" and bool((light > 0).all())
    assert np.asarray(Image.open(out / "albedo.png")).shape == (48, 48, 3)


class Crashing(Stopping):
    """Ends without a chance to save anything, as a killed process does."""

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("killed")


def test_a_run_that_goes_on_ends_as_an_unbroken_one(
    scene: Path, unbroken: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    whole, answer = unbroken
    # Unwrapping would look for a cancel as often as it takes long; each frame that the mesh may lie in looks once.
    mesh, frames_first = str(write_obj(tmp_path / "uv.obj", uv=True)), len(frames.TURNS)
    # Cancelled it saves where it is; killed it goes on from the last look, here with the visibility that it baked.
    with pytest.raises(Cancelled):
        learnt(scene, tmp_path, Stopping(frames_first + 7, scene), mesh=mesh)
    with pytest.raises(RuntimeError):
        learnt(scene, tmp_path, Crashing(frames_first + 31 - 7, scene), mesh=mesh)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadInput, match="was made with texels 48, not 32"):
        learnt(scene, tmp_path, texels=32, mesh=mesh)
    again = learnt(scene, tmp_path, mesh=mesh)
    assert again["resumed_at"] == 30 and again["psnr"] == pytest.approx(answer["psnr"], abs=0.01)
    for name in ("albedo", "metallic", "roughness", "progress"):
        first, second = (np.asarray(Image.open(out / f"{name}.png"), int) for out in (whole, tmp_path / "out"))
        assert np.abs(first - second).max() <= 1, name
    first, second = (np.load(out / "radiance.npz")["sh"] for out in (whole, tmp_path / "out"))
    np.testing.assert_allclose(first, second, atol=2e-3)
    left = {path.name for path in (tmp_path / "out.training").iterdir()}
    assert left == {"log.jsonl", "preview.png"}


def cases(folder: Path, scene: Path) -> dict[str, dict[str, object]]:
    (folder / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n")
    (folder / "far.obj").write_text("v 90 0 0\nv 91 0 0\nv 90 1 0\nf 1 2 3\n")
    (folder / "wrong.obj").write_text("v 0 0 0\nf 1 2 9\n")
    (folder / "words.obj").write_text("v a b c\n")
    (folder / "text.ply").write_text("ply\nformat ascii 1.0\nend_header\n")
    (folder / "done").mkdir()
    (folder / "done" / "mesh.glb").write_text("earlier")
    return {
        "no mesh": {"mesh": str(folder / "none.obj")},
        "unknown kind": {"mesh": str(folder / "a.fbx")},
        "no area": {"mesh": str(folder / "flat.obj")},
        "not seen": {"mesh": str(folder / "far.obj")},
        "no such corner": {"mesh": str(folder / "wrong.obj")},
        "no numbers": {"mesh": str(folder / "words.obj")},
        "text": {"mesh": str(folder / "text.ply")},
        "too fine": {"texels": 100_000},
        "too short": {"iterations": 3},
        "unknown tone": {"tone": "log"},
        "there already": {"out": str(folder / "done")},
        "unknown name": {"bake": 1},
    }


def test_bad_input_is_a_sentence_and_a_cancelled_run_leaves_nothing(scene: Path, tmp_path: Path) -> None:
    given = {"mesh": str(write_obj(tmp_path / "a.obj")), "scene": str(scene), "out": str(tmp_path / "out"), **SETTINGS}
    for name, changed in cases(tmp_path, scene).items():
        with pytest.raises(BadInput) as caught:
            job.run_texture(job.TextureJob.from_params({**given, **changed}), SilentReport())
        assert caught.value.text.endswith(".") and caught.value.remedy, name
    with pytest.raises(Cancelled):
        job.run_texture(job.TextureJob.from_params(given), Stopping(0))
    assert not (tmp_path / "out").exists() and (tmp_path / "done" / "mesh.glb").read_text() == "earlier"


def test_points_without_triangles_are_told_for_what_they_are(tmp_path: Path) -> None:
    columns = "".join(f"property float {axis}\n" for axis in "xyz")
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex 1\n{columns}"
    (tmp_path / "cloud.ply").write_bytes(f"{header}end_header\n".encode() + bytes(12))
    with pytest.raises(BadInput, match="has 0 triangles"):
        files.read_mesh(tmp_path / "cloud.ply", 64)
