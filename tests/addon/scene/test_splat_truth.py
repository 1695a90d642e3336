# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats under another light against Cycles' picture of the very mesh: learnt material, and normals alone.

The splats are what a perfect training would find: flat Gaussians on the mesh, its material, and for the photographs the
light that Cycles bakes onto it under the first sky. With LIMELIGHT_PICTURES set, the comparison is left in that folder.
"""

import math
import os
from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import compat, pixels, splat_drawing, splats
from limelight.tests.addon import splat_files

PIXELS = int(os.environ.get("LIMELIGHT_PICTURE_SIZE", "32"))


@pytest.fixture
def torus(scene, tmp_path):
    """A torus, gold above and blue and white below, a camera, and two skies: even, and a low orange lamp at night."""
    bpy.ops.mesh.primitive_torus_add(major_radius=0.7, minor_radius=0.3, major_segments=48, minor_segments=20)
    bpy.ops.object.shade_smooth()
    thing = bpy.context.object
    thing.rotation_euler.x = math.radians(50)
    bpy.ops.object.transform_apply(rotation=True)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0.0, -5.0, 0.0), (math.pi / 2, 0.0, 0.0)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2.3
    scene.camera, scene.cycles.samples, scene.cycles.max_bounces = camera, 12, 1
    scene.cycles.use_denoising = True
    scene.render.resolution_x = scene.render.resolution_y = PIXELS
    scene.render.film_transparent = True
    scene.render.filepath = str(tmp_path / "seen.exr")
    compat.set_still_format(scene.render.image_settings, "OPEN_EXR")
    scene.render.image_settings.color_mode = "RGBA"
    return thing


def material_of(points):
    """(N, 6): albedo, metallic, roughness, progress."""
    metal = (points[:, 2] > 0.1).astype(float)
    stripes = np.sin(points[:, :1] * 9) > 0
    albedo = np.where(metal[:, None] > 0, [0.95, 0.65, 0.25], np.where(stripes, [0.1, 0.3, 0.6], [0.7, 0.7, 0.65]))
    return np.concatenate([albedo, metal[:, None], np.where(metal > 0, 0.3, 0.7)[:, None], 1 + 0 * metal[:, None]], 1)


def dress(thing, material):
    """Give the mesh its material, by attributes of its vertices."""
    shader_material = bpy.data.materials.new("Truth")
    tree = compat.node_tree(shader_material)
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["IOR"].default_value = 1.5
    columns = {"Base Color": slice(0, 3), "Metallic": slice(3, 4), "Roughness": slice(4, 5)}
    for name, column in columns.items():
        kind, member = ("FLOAT_COLOR", "color") if name == "Base Color" else ("FLOAT", "value")
        values = material[:, column]
        values = np.pad(values, [(0, 0), (0, 1)], constant_values=1) if kind == "FLOAT_COLOR" else values
        made = thing.data.attributes.new(name, kind, "POINT")
        made.data.foreach_set(member, values.astype(np.float32).ravel())
        node = tree.nodes.new("ShaderNodeAttribute")
        node.attribute_name = name
        tree.links.new(node.outputs["Color" if kind == "FLOAT_COLOR" else "Fac"], shader.inputs[name])
    thing.data.materials.append(shader_material)


def sky(scene, night):
    """Light from all around as a panorama."""
    v, u = (np.mgrid[0:32, 0:64] + 0.5) / 32
    lon, lat = (u / 2 - 0.5) * 2 * math.pi, (0.5 - v) * math.pi
    d = np.stack([np.cos(lon) * np.cos(lat), -np.sin(lon) * np.cos(lat), np.sin(lat)], -1)

    def lamp(towards, colour, narrow):
        return np.exp(narrow * (d @ (towards / np.linalg.norm(towards)) - 1))[..., None] * colour

    even = 0.4 + 0.3 * d[..., 2:] + lamp((-0.6, -1, 0.8), (5, 4.8, 4.5), 30)
    dark = lamp((1, -0.5, 0.3), (24, 16, 8), 60) + lamp((-1, -0.3, 0.1), (0.9, 1.5, 3), 20) + 0.03
    image = bpy.data.images.new("Sky", 64, 32, float_buffer=True)
    picture = np.ones((32, 64, 4), np.float32)
    picture[..., :3] = (dark if night else even)[::-1]
    image.pixels.foreach_set(picture.ravel())
    image.pack()
    scene.world = bpy.data.worlds.new("Sky")
    tree = compat.node_tree(scene.world)
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs[0], next(n for n in tree.nodes if n.type == "BACKGROUND").inputs["Color"])


def photographed(scene, thing):
    """(N, 3): display colours of the vertices under the scene's light, by a bake."""
    colours = thing.data.color_attributes.new("Photograph", "FLOAT_COLOR", "POINT")
    thing.data.color_attributes.active_color = colours
    scene.render.bake.target = "VERTEX_COLORS"
    bpy.ops.object.bake(type="COMBINED")
    found = np.empty(4 * len(thing.data.vertices), np.float32)
    thing.data.color_attributes["Photograph"].data.foreach_get("color", found)
    return display(found.reshape(-1, 4)[:, :3])


def display(light):
    """sRGB-encoded, clipped."""
    light = np.clip(light, 0, 1)
    return np.where(light > 0.0031308, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055, 12.92 * light)


def as_splats(thing, colours, material):
    """The table of flat Gaussians on the vertices."""
    count = len(thing.data.vertices)
    points, normal = np.empty(3 * count), np.empty(3 * count)
    thing.data.vertices.foreach_get("co", points)
    thing.data.vertices.foreach_get("normal", normal)
    points, normal = points.reshape(-1, 3), normal.reshape(-1, 3)
    quats = np.stack([1 + normal[:, 2] + 1e-6, -normal[:, 1], normal[:, 0], 0 * normal[:, 0]], -1)
    wide = 0.6 * math.sqrt(sum(face.area for face in thing.data.polygons) / count)
    return splat_files.rows(points, np.clip(colours, 0.01, 0.99), 0.97, [wide, wide, 0.004],
                            quats=quats / np.linalg.norm(quats, axis=1, keepdims=True), material=material)  # fmt: skip


@pytest.mark.slow
def test_learnt_material_comes_nearer_to_the_truth_than_normals_alone(scene, torus, tmp_path):
    points = np.array([vertex.co for vertex in torus.data.vertices])
    material = material_of(points)
    dress(torus, material)
    sky(scene, night=False)
    path = splat_files.write(tmp_path / "a.ply", *as_splats(torus, photographed(scene, torus), material))
    sky(scene, night=True)
    pictures = {"truth": seen(tmp_path)}
    torus.hide_render = True
    thing, _ = splats.add(bpy.context, path, "torus", "Z_UP")
    splat_drawing.relight(thing, 1.0)
    pictures["material"] = seen(tmp_path)
    splat_drawing.set_input(thing, "Learnt Material", False)
    pictures["normals alone"] = seen(tmp_path)
    told = {name: psnr(picture, pictures["truth"]) for name, picture in pictures.items() if name != "truth"}
    print(told)
    if "LIMELIGHT_PICTURES" in os.environ:
        np.savez(Path(os.environ["LIMELIGHT_PICTURES"]) / "splats.npz", **pictures)
    assert told["material"] > 22
    assert told["material"] > told["normals alone"] + 3


def seen(folder):
    """(H, W, 3): display values over black."""
    bpy.ops.render.render(write_still=True)
    return display(pixels.read(folder / "seen.exr")[..., :3])


def psnr(picture, truth):
    """Decibels."""
    return -10 * math.log10(np.mean((picture - truth) ** 2))
