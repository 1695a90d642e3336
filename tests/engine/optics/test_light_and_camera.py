# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure, the pinhole camera, spheres and their shading, EXR files."""

import math
import os
import sys

import numpy as np
import OpenEXR
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics import exposure, exr, shading, sphere
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.sphere import SphereView

VIEW = SphereView(torch.tensor([0.6, -0.4, -2.0]), 0.3, 64)


def test_tone_curve_is_srgb_and_inverts():
    values = torch.linspace(0, 1, 1001)
    assert torch.allclose(exposure.srgb_oetf(exposure.srgb_eotf(values)), values, atol=1e-6)
    assert float(exposure.srgb_eotf(torch.tensor(0.5))) == pytest.approx(0.2140411, abs=1e-6)


def test_minus_twelve_stops_witness_radiance_four_thousand():
    radiance = torch.tensor([4000.0, 500.0])
    assert torch.allclose(exposure.unexpose(exposure.expose(radiance, -12), -12), radiance, rtol=1e-4)
    assert float(exposure.unexpose(exposure.expose(radiance[:1], -9), -9)) == pytest.approx(512)


def test_projection_inverts_unprojection_with_a_shifted_principal_point():
    camera = Camera(160, 90, 120.0, 130.0, 70.0, 50.0)
    depth = torch.rand(90, 160) * 5 + 0.5
    uv, found = camera.project(camera.unproject(depth))
    assert torch.allclose(found, depth, atol=1e-5)
    assert torch.allclose(uv[0, 0] * torch.tensor([160.0, 90.0]), torch.tensor([0.5, 0.5]), atol=1e-4)
    assert torch.allclose(camera.point(0.25, 0.75, 2.0)[2], torch.tensor(-2.0))


def test_field_of_view_round_trips():
    assert Camera.from_fov(640, 480, 63.0).fov_x_deg == pytest.approx(63.0)
    with pytest.raises(BadInput, match="field of view"):
        Camera.from_fov(640, 480, 200.0)


def test_sphere_pixels_lie_on_the_sphere_and_reflect_by_the_mirror_law():
    hit = VIEW.hit
    points = VIEW.rays * hit.distance[..., None]
    radii = (points - VIEW.center).norm(dim=-1)[hit.mask]
    assert torch.allclose(radii, torch.full_like(radii, VIEW.radius), atol=1e-4)
    incoming = (VIEW.rays * VIEW.normals).sum(-1)[hit.mask]
    outgoing = (VIEW.reflected * VIEW.normals).sum(-1)[hit.mask]
    assert torch.allclose(incoming, -outgoing, atol=1e-5)
    assert float(hit.mask.float().mean()) == pytest.approx(math.pi / 4 * sphere.FILL**2, abs=0.01)


def test_uniform_light_shows_uniform_spheres():
    flat = torch.full((32, 64, 3), 0.7)
    for ball in (
        shading.mirror_sphere(flat, VIEW),
        shading.diffuse_sphere(flat, VIEW),
        shading.glossy_sphere(flat, VIEW, 0.25),
    ):
        assert torch.allclose(ball[VIEW.mask], torch.tensor(0.7), atol=2e-3)


def test_diffuse_sphere_under_a_small_lamp_follows_the_cosine():
    lamp = torch.zeros(128, 256, 3)
    lamp[40, 100] = 1000.0
    towards = pano.directions(128)[40, 100]
    strength = 1000.0 * float(pano.solid_angles(128)[40])
    expected = (VIEW.normals @ towards).clamp(min=0) * strength / math.pi
    found = shading.diffuse_sphere(lamp, VIEW)[..., 0]
    assert float((found - expected)[VIEW.mask].abs().max()) < 0.04 * strength / math.pi


def test_a_lamp_behind_the_camera_shows_in_the_middle_of_the_mirror():
    lamp = torch.zeros(64, 128, 3)
    centred = SphereView(torch.tensor([0.0, 0.0, -3.0]), 0.3, 64)
    lamp[30:34, :2] = lamp[30:34, -2:] = 50.0
    ball = shading.mirror_sphere(lamp, centred)[..., 0]
    row, column = divmod(int(ball.argmax()), 64)
    assert abs(row - 31.5) <= 2 and abs(column - 31.5) <= 2


def test_a_mirrors_pixel_spans_more_towards_its_outline():
    far = SphereView(torch.tensor([0.0, 0.0, -2.0]), 0.02, 64)
    across = far.reflected[32, 32:62]
    spans = (across[1:] * across[:-1]).sum(-1).clamp(max=1).acos()
    told = far.pixel_angle(across)
    assert torch.allclose(spans, (told[1:] + told[:-1]) / 2, rtol=0.03)
    assert float(far.pixel_angle(torch.tensor([0.0, 0.0, -1.0]))) == pytest.approx(2 * math.pi)


def test_rougher_metal_shows_a_wider_highlight_of_the_same_energy_order():
    lamp = torch.zeros(64, 128, 3)
    lamp[20, 20] = 1000.0
    sharp, wide = (shading.glossy_sphere(lamp, VIEW, r)[..., 0] for r in (0.15, 0.5))
    assert float(sharp.max()) > 3 * float(wide.max())
    assert int((wide > 0.1 * wide.max()).sum()) > 2 * int((sharp > 0.1 * sharp.max()).sum())


def test_a_map_of_gloss_holds_what_each_direction_shows():
    sky = torch.rand(24, 48, 3, generator=torch.Generator().manual_seed(0))
    sky[5, 40] = 3000.0
    for roughness in (0.28, 0.6):
        each = shading.glossy(sky, pano.directions(24).reshape(-1, 3), roughness).reshape(24, 48, 3)
        torch.testing.assert_close(shading.glossy_map(sky, roughness, 24), each, atol=1e-3, rtol=1e-3)


def test_panorama_files_carry_frame_exposure_and_probe(tmp_path):
    image = torch.rand(16, 32, 3) * 1000
    exr.write_panorama(tmp_path / "env.exr", image, frame="world", probe_position=[1, 2, 3])
    back, header = exr.read_panorama(tmp_path / "env.exr")
    assert torch.equal(back, image)
    assert header["limelightFrame"] == "world"
    assert header["limelightProbe"] == "1 2 3"
    assert "display white" in header["limelightExposure"]
    assert not list(tmp_path.glob("*.partial"))


def test_damaged_and_missing_files_are_named(tmp_path):
    path = tmp_path / "env.exr"
    exr.write_panorama(path, torch.rand(16, 32, 3), frame="camera")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(BadInput, match=r"env\.exr"):
        exr.read_panorama(path)
    with pytest.raises(BadInput, match="no file"):
        exr.read_image(tmp_path / "none.exr")
    np.save(tmp_path / "depth.npy", np.ones((16, 16)))
    for read in (exr.read_depth, exr.read_header):
        with pytest.raises(BadInput, match=r"depth\.npy is no OpenEXR file"):
            read(tmp_path / "depth.npy")
    exr.write_image(tmp_path / "square.exr", torch.rand(16, 16, 3))
    with pytest.raises(BadInput, match="panorama"):
        exr.read_panorama(tmp_path / "square.exr")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are text")
def test_names_of_bytes_that_are_no_text_are_names(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"na\xefve.exr")
    exr.write_image(path, torch.full((8, 12, 3), 0.5))
    assert exr.read_image(path).shape == (8, 12, 3) and "dataWindow" in exr.read_header(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(BadInput, match="truncated") as told:
        exr.read_image(path)
    assert "python" not in told.value.text


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "text.png").write_text("none")
    for name in ("text.png/depth.exr", "text.png/deep/depth.exr"):
        with pytest.raises(BadInput, match=r"Could not write depth\.exr"):
            exr.write_depth(tmp_path / name, torch.ones(8, 12))
    assert (tmp_path / "text.png").read_text() == "none"


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="asks POSIX how long a name may be")
def test_what_cannot_be_written_is_told_in_one_sentence(tmp_path):
    name = "x" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".exr"
    with pytest.raises(BadInput, match=r"[^.]\. Check that the folder"):
        exr.write_depth(tmp_path / name, torch.ones(8, 12))


def test_depth_round_trips_with_sky(tmp_path):
    depth = torch.rand(8, 12) + 1
    depth[0, 0] = torch.inf
    exr.write_depth(tmp_path / "depth.exr", depth)
    assert torch.equal(exr.read_depth(tmp_path / "depth.exr"), depth)


#: Channels of passes, as Blender 4.2 names them.
COMBINED = {f"ViewLayer.Combined.{c}": v for c, v in zip("RGBA", (0.1, 0.2, 0.3, 0.5), strict=True)}
NORMAL = {f"ViewLayer.Normal.{axis}": -0.7 for axis in "XYZ"}
AO = {f"ViewLayer.AO.{c}": 1.0 for c in "RGB"}
DEPTH = {"ViewLayer.Depth.Z": 9.6}


def write_layers(path, *parts, bare=False):
    """An EXR of constant channels, a part for each dictionary; many carry their layer's name, ``bare``: alone."""
    made = []
    for part in parts:
        header = {"type": OpenEXR.scanlineimage}
        if len(parts) > 1:
            header["name"] = next(iter(part)).rpartition(".")[0]
        data = {k[-1] if bare else k: np.full((4, 6), v, np.float32) for k, v in part.items()}
        made.append(OpenEXR.Part(header, data))
    OpenEXR.File(made).write(str(path))
    return path


@pytest.mark.parametrize(
    "parts",
    [
        (COMBINED, NORMAL, DEPTH),
        (COMBINED | NORMAL | DEPTH,),
        (COMBINED | {"Fog.Depth.Z": 3.0, "ViewLayer.Denoising Depth.Z": 9.0, "ViewLayer.Mist.Z": 0.5} | DEPTH,),
        ({f"Image.{c}": 0.1 * i for i, c in enumerate("RGB")} | NORMAL | {"Depth.V": 9.6},),
        ({"R": 0.1, "G": 0.2, "B": 0.3, "Z": 9.6},),
        ({"View.Z": 9.6},),
        (dict.fromkeys("RGBA", 9.6),),
        ({"R": 9.6},),
    ],
    ids=["parts", "layers", "two view layers", "file output", "Z beside a picture", "one layer", "grey", "R alone"],
)
def test_depth_is_found_among_other_passes(tmp_path, parts):
    assert torch.equal(exr.read_depth(write_layers(tmp_path / "a.exr", *parts)), torch.full((4, 6), 9.6))


def test_parts_may_hold_bare_channel_names(tmp_path):
    path = write_layers(tmp_path / "a.exr", AO, COMBINED, NORMAL, DEPTH, bare=True)
    assert torch.equal(exr.read_depth(path), torch.full((4, 6), 9.6))
    assert torch.equal(exr.read_image(path)[0, 0], torch.tensor([0.1, 0.2, 0.3, 0.5]))


@pytest.mark.parametrize(
    "parts",
    [
        (COMBINED | NORMAL,),
        (COMBINED, NORMAL),
        (NORMAL,),
        ({"ViewLayer.UV.U": 0.5, "ViewLayer.UV.V": 0.5},),
        ({"R": 0.1, "G": 0.2, "B": 0.3},),
        (COMBINED | {"ViewLayer.Mist.Z": 0.5},),
    ],
    ids=["layers", "parts", "normals", "uv", "picture", "mist"],
)
def test_what_is_no_depth_is_not_taken_for_it(tmp_path, parts):
    with pytest.raises(BadInput, match=r"a\.exr has no depth channel") as caught:
        exr.read_depth(write_layers(tmp_path / "a.exr", *parts))
    assert "pass Depth" in caught.value.remedy


def test_depth_that_is_nowhere_positive_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"a\.exr is nowhere positive"):
        exr.read_depth(write_layers(tmp_path / "a.exr", {"Z": -1.0}))


@pytest.mark.parametrize(
    "parts",
    [
        (AO | COMBINED,),
        (AO, COMBINED, DEPTH),
        ({f"Fog.Combined.{c}": 7.0 for c in "RGBA"} | COMBINED,),
        ({f"ViewLayer.Combined.{c}": 7.0 for c in "RGBA"} | {k.replace("View", "A.View"): v for k, v in AO.items()}
         | {k.replace("ViewLayer", "Composite"): v for k, v in COMBINED.items()},),
        (AO | {k.replace("ViewLayer.Combined", "Image"): v for k, v in COMBINED.items()},),
        (AO | COMBINED | {k[-1]: v for k, v in COMBINED.items()},),
    ],
    ids=["layers", "parts", "two view layers", "compositor", "file output", "bare names"],
)  # fmt: skip
def test_of_many_layers_the_finished_picture_is_read(tmp_path, parts):
    found = exr.read_image(write_layers(tmp_path / "a.exr", *parts))
    assert torch.equal(found, torch.tensor([0.1, 0.2, 0.3, 0.5]).expand(4, 6, 4))


def test_a_picture_takes_no_alpha_from_another_layer(tmp_path):
    path = write_layers(tmp_path / "a.exr", {"R": 0.1, "G": 0.2, "B": 0.3, "ViewLayer.Shadow.A": 0.0})
    assert torch.equal(exr.read_image(path), torch.tensor([0.1, 0.2, 0.3]).expand(4, 6, 3))
