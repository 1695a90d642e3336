# SPDX-License-Identifier: GPL-3.0-or-later
"""What a portrait leaves on disk is whole, plain, and says the same in every form."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from limelight.backend.optics.exposure import srgb_eotf
from limelight.backend.relightify import maps
from limelight.backend.relightify.output import FILES, SLIDERS, object_normals, write_portrait
from limelight.backend.relightify.portrait import Portrait
from limelight.backend.relightify.raster import corner_normals, uv_raster
from PIL import Image

GAZE = torch.tensor([[0.0, -1.0, 0.0]] * 2)


@pytest.fixture
def portrait(head, posed) -> Portrait:
    expression = torch.zeros(len(head.expressions))
    expression[list(head.expressions).index("jawOpen")] = 0.4
    fit = dataclasses.replace(posed, expression=expression, offsets=torch.full_like(head.mean, 1e-3))
    stack = torch.rand(maps.CHANNELS, 64, 64, generator=torch.Generator().manual_seed(1))
    rough, mask, eye = torch.rand(1, 32, 32), torch.ones(1, 64, 64), torch.rand(3, 16, 32)
    return Portrait(fit, head.expressions, stack, rough, mask, 0.5, eye, GAZE, torch.full((3,), 0.1), 0.05)


def test_every_file_is_written_and_pictures_hold_the_maps(head, portrait, tmp_path):
    write_portrait(tmp_path, portrait, head)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES.values()) - {FILES["overlay"]}
    for name, channels in maps.MAPS.items():
        pixels = np.asarray(Image.open(tmp_path / FILES[name]), np.float32).reshape(64, 64, -1) / 255
        np.testing.assert_allclose(pixels, portrait.maps[channels].permute(1, 2, 0), atol=0.51 / 255)
    rough = np.asarray(Image.open(tmp_path / FILES["roughness"]), np.float32) / 255
    np.testing.assert_allclose(rough, portrait.roughness[0], atol=0.51 / 255)


def test_the_gltf_file_reflects_as_much_as_the_specular_albedo_says(head, portrait, tmp_path):
    write_portrait(tmp_path, portrait, head)
    data = (tmp_path / FILES["glb"]).read_bytes()
    size = int.from_bytes(data[12:16], "little")
    told, binary = json.loads(data[20 : 20 + size]), data[28 + size :]
    specular = told["materials"][0]["extensions"]["KHR_materials_specular"]
    image = told["images"][told["textures"][specular["specularColorTexture"]["index"]]["source"]]
    view = told["bufferViews"][image["bufferView"]]
    png = Image.open(io.BytesIO(binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]))
    # A colour's texture is sRGB in glTF, and F0 is 0.04 times the colour.
    colour = srgb_eotf(torch.from_numpy(np.asarray(png, np.float32) / 255))
    f0 = 0.04 * specular["specularColorFactor"][0] * colour
    torch.testing.assert_close(f0, portrait.maps[maps.SPECULAR][0] * maps.F0_SCALE, atol=4e-4, rtol=0)


def test_blenders_head_with_its_sliders_where_they_stand_is_the_fitted_one(head, portrait, tmp_path):
    write_portrait(tmp_path, portrait, head)
    with np.load(tmp_path / FILES["head"], allow_pickle=False) as file:
        arrays = dict(file)
    worn = arrays["points"] + np.tensordot(arrays["expression_value"], arrays["expression"].astype(np.float32), 1)
    np.testing.assert_allclose(worn, portrait.fit.points(head), atol=1e-4)
    flat = arrays["points"] - np.tensordot(arrays["identity_value"], arrays["identity"].astype(np.float32), 1)
    rest = torch.cat([torch.zeros(SLIDERS), portrait.fit.identity[SLIDERS:]])
    np.testing.assert_allclose(flat, head.points(rest, torch.zeros(len(head.expressions))) + 1e-3, atol=1e-4)
    assert arrays["faces"].max() < len(arrays["points"]) - 2, "eyeballs' centres belong to no face"
    assert arrays["uv"].shape == (*arrays["faces"].shape, 2) and arrays["material"].shape == arrays["faces"].shape[:1]
    np.testing.assert_allclose(arrays["eyes"], arrays["points"][-2:])


def test_flat_tangent_normals_are_the_meshs_own_and_tilted_ones_tilt_along_u_and_v(head):
    points, size = head.mean, 128
    raster, triangles = uv_raster(head, size, "skin")
    smooth = torch.nn.functional.normalize(raster.interpolate(triangles, corner_normals(head, points)), dim=-1)
    flat = maps.encode_normal(torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand(3, size, size))
    found = object_normals(flat, head, points).permute(1, 2, 0) * 2 - 1
    torch.testing.assert_close(found[raster.mask], smooth[raster.mask], atol=1e-4, rtol=0)
    # In the middle of the face u runs to the head's left (+x) and v upwards (+z).
    for channel, axis in ((0, 0), (1, 2)):
        tilt = torch.tensor([0.0, 0.0, 0.8])
        tilt[channel] = 0.6
        tilted = maps.encode_normal(tilt[:, None, None].expand(3, size, size))
        turned = object_normals(tilted, head, points).permute(1, 2, 0) * 2 - 1
        middle = (slice(size // 2 - 8, size // 2 - 4), slice(size // 2 - 2, size // 2 + 2))
        assert ((turned - smooth)[middle][..., axis] > 0.4).all()
