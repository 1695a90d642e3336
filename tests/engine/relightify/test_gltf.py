# SPDX-License-Identifier: GPL-3.0-or-later
"""The head as glTF: what is in the file is the head, other programs read it, and a validator finds no fault."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from limelight.backend.relightify.gltf import write_gltf
from limelight.backend.relightify.head import MATERIALS, HeadModel
from limelight.backend.relightify.output import encoded
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
_SCALARS = {5126: np.float32, 5123: np.uint16, 5125: np.uint32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
GAZE = torch.nn.functional.normalize(torch.tensor([[0.3, -1.0, 0.1]] * 2), dim=-1)


class File:
    """A glTF file read back."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        self.binary = data[28 + size :]

    def array(self, index: int) -> np.ndarray:
        entry = self.json["accessors"][index]
        view = self.json["bufferViews"][entry["bufferView"]]
        width = _WIDTHS[entry["type"]]
        values = np.frombuffer(
            self.binary, _SCALARS[entry["componentType"]], entry["count"] * width, view["byteOffset"]
        )
        return values.reshape(-1, width)


@pytest.fixture(scope="module")
def written(head: HeadModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor, torch.Tensor]:
    """A head with grey maps, its neutral points and its expression."""
    make = torch.Generator().manual_seed(5)
    points = head.points(torch.randn(len(head.identity), generator=make), torch.zeros(len(head.expressions)))
    expression = torch.rand(len(head.expressions), generator=make)
    pictures = {
        "diffuse_albedo": encoded(torch.rand(3, 32, 32, generator=make)),
        "normal": encoded(torch.tensor([0.5, 0.5, 1.0])[:, None, None].expand(3, 32, 32)),
        "specular_colour": encoded(torch.full((1, 32, 32), 0.5)),
        "roughness": encoded(torch.linspace(0.3, 0.7, 32).expand(1, 32, 32)),
        "eye": encoded(torch.rand(3, 16, 32, generator=make)),
    }
    path = tmp_path_factory.mktemp("glb") / "head.glb"
    write_gltf(path, head, points, expression, pictures, GAZE)
    return path, points, expression


def test_the_file_holds_the_head_upright_with_its_expressions(head, written):
    path, points, expression = written
    file = File(path)
    mesh = file.json["meshes"][0]
    assert mesh["extras"]["targetNames"] == list(head.expressions)
    np.testing.assert_allclose(mesh["weights"], expression, atol=1e-6)
    skin = mesh["primitives"][0]
    corners = head.triangles("skin").unique()
    x, y, z = file.array(skin["attributes"]["POSITION"]).T
    np.testing.assert_allclose(np.stack([x, -z, y], 1), head.corners(points)[corners], atol=1e-6)
    uv = file.array(skin["attributes"]["TEXCOORD_0"])
    np.testing.assert_allclose(uv, np.stack([head.uv[corners, 0], 1 - head.uv[corners, 1]], 1), atol=1e-6)
    jaw = list(head.expressions).index("jawOpen")
    x, y, z = file.array(skin["targets"][jaw]["POSITION"]).T
    np.testing.assert_allclose(np.stack([x, -z, y], 1), head.corners(head.expression[jaw])[corners], atol=1e-6)


def test_all_faces_are_there_and_look_outwards(head, written):
    file = File(written[0])
    primitives = file.json["meshes"][0]["primitives"]
    assert len(primitives) == len(MATERIALS)
    assert sum(len(file.array(part["indices"])) for part in primitives) == 3 * len(head.triangles())
    for part in (primitives[0], file.json["meshes"][1]["primitives"][0]):
        at, normal = (file.array(part["attributes"][name]) for name in ("POSITION", "NORMAL"))
        a, b, c = at[file.array(part["indices"]).reshape(-1, 3)].transpose(1, 0, 2)
        face = np.cross(b - a, c - a)
        along = (face * normal[file.array(part["indices"]).reshape(-1, 3)].mean(1)).sum(1)
        assert (along > 0).sum() > 0.99 * (np.abs(along) > 1e-12).sum()


def test_eyes_sit_in_the_head_and_look_where_they_shall(head, written):
    path, points, _ = written
    file = File(path)
    for name, centre in zip(("Eye.R", "Eye.L"), head.eyes(points), strict=True):
        (node,) = (node for node in file.json["nodes"] if node["name"] == name)
        x, y, z = node["translation"]
        np.testing.assert_allclose((x, -z, y), centre, atol=1e-6)
        qx, qy, qz, w = node["rotation"]
        vector = np.array([qx, qy, qz])
        ahead = np.array([0.0, 0.0, 1.0])
        x, y, z = ahead + 2 * np.cross(vector, np.cross(vector, ahead) + w * ahead)
        np.testing.assert_allclose((x, -z, y), GAZE[0], atol=1e-6)
    ball = file.json["meshes"][1]["primitives"][0]["attributes"]
    at, uv = file.array(ball["POSITION"]), file.array(ball["TEXCOORD_0"])
    np.testing.assert_allclose(at[uv[:, 1] == 0], [[0, 0, head.eye_radius]] * 33, atol=1e-6)


def test_skin_is_as_rough_as_its_map_and_no_metal(written):
    file = File(written[0])
    look = file.json["materials"][0]["pbrMetallicRoughness"]
    image = file.json["images"][file.json["textures"][look["metallicRoughnessTexture"]["index"]]["source"]]
    view = file.json["bufferViews"][image["bufferView"]]
    png = file.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    green = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))[..., 1] / 255
    np.testing.assert_allclose(green * look["roughnessFactor"], np.tile(np.linspace(0.3, 0.7, 32), (32, 1)), atol=0.003)
    assert look["metallicFactor"] == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_khronos_validator_finds_nothing(written):
    """The validator is the npm package gltf-validator, in .envs/gltf or where LIMELIGHT_GLTF_VALIDATOR says."""
    folder = Path(os.environ.get("LIMELIGHT_GLTF_VALIDATOR", ROOT / ".envs" / "gltf"))
    where = folder / "node_modules" / "gltf-validator"
    if not where.is_dir():
        pytest.skip(f"npm install --prefix {folder} gltf-validator")
    script = (
        "const [where, file] = process.argv.slice(1);"
        "require(where).validateBytes(new Uint8Array(require('fs').readFileSync(file)))"
        ".then(found => console.log(JSON.stringify(found.issues)))"
    )
    done = subprocess.run(["node", "-e", script, where, written[0]], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["messages"] == []


def test_blender_imports_it(head, written, tmp_path):
    """Blender turns glTF's axes back, so that its mesh has the head frame's."""
    pythons = sorted(ROOT.glob(".envs/bpy-*/bin/python"))
    if not pythons:
        pytest.skip("needs .envs/bpy-*, which 'python3 run.py envs' makes")
    script = tmp_path / "load.py"
    script.write_text(
        "import sys, json, bpy\n"
        "bpy.ops.wm.read_factory_settings(use_empty=True)\n"
        "bpy.ops.import_scene.gltf(filepath=sys.argv[-1])\n"
        "head = bpy.data.objects['Head']\n"
        "low, high = ([f(v.co[k] for v in head.data.vertices) for k in range(3)] for f in (min, max))\n"
        "keys = [k.name for k in head.data.shape_keys.key_blocks][1:]\n"
        "skin = head.data.materials[0].node_tree.nodes['Principled BSDF']\n"
        "linked = sorted(i.name for i in skin.inputs if i.is_linked)\n"
        "json.dump([low, high, keys, linked], open(sys.argv[-2], 'w'))\n"
    )
    answer = tmp_path / "answer.json"
    subprocess.run([pythons[-1], script, answer, written[0]], check=True, capture_output=True)
    low, high, keys, linked = json.loads(answer.read_text())
    used = head.corner_point[head.faces].unique()
    np.testing.assert_allclose(low, written[1][used].amin(0), atol=1e-5)
    np.testing.assert_allclose(high, written[1][used].amax(0), atol=1e-5)
    assert keys == list(head.expressions)
    assert {"Base Color", "Normal", "Roughness", "Specular Tint"} <= set(linked)
