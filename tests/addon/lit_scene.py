# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes that hold light or get it by an estimate, what stands in it, and what Cycles renders of it."""

import bpy
import numpy as np
from limelight.scene import compat, domes, pixels, probes, results
from mathutils import Vector

AXES = {"+X": (1, 0, 0), "-X": (-1, 0, 0), "+Y": (0, 1, 0), "-Y": (0, -1, 0)}
COLOURS = {"+X": (1, 0, 0), "-X": (0, 1, 0), "+Y": (0, 0, 1), "-Y": (1, 1, 0)}


def panorama(height=16):
    """A world-frame map (rows from the top) whose four sides have four colours."""
    u = (np.arange(2 * height) + 0.5) / (2 * height)
    angle = (0.5 - u) * 2 * np.pi
    sides = np.stack([np.cos(angle), -np.cos(angle), np.sin(angle), -np.sin(angle)])
    names = list(COLOURS)
    row = np.array([COLOURS[names[i]] for i in sides.argmax(0)], np.float32)
    return np.repeat(row[None], height, 0)


def image_of(pixels, name="light"):
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, float_buffer=True)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1]
    image.pixels.foreach_set(rgba.ravel())
    image.pack()
    return image


def lit_probe(scene, pixels=None, location=(0, 0, 0), name="Probe"):
    probe = probes.add_probe(scene, location, 0.1, name)
    probe.limelight.environment = image_of(panorama() if pixels is None else pixels, f"{name} light")
    bpy.context.view_layer.update()
    return probe


def dome_material(scene, probe):
    """The material of a new dome that shows a probe's light."""
    return domes.apply_domes(scene, [probe])[0].data.materials[0]


def render(scene, tmp_path, view="Raw"):
    scene.render.filepath = str(tmp_path / "out.exr")
    compat.set_still_format(scene.render.image_settings, "OPEN_EXR")
    scene.render.image_settings.color_depth = "32"
    scene.render.image_settings.color_mode = "RGBA"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], 4)[::-1]
    bpy.data.images.remove(image)
    return pixels


def camera_towards(scene, direction, location=(0, 0, 0)):
    if scene.camera is None:
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(camera)
        scene.camera = camera
    scene.camera.location = location
    scene.camera.rotation_euler = Vector(direction).to_track_quat("-Z", "Y").to_euler()
    return scene.camera


def white_plane(scene, location=(0, 0, 0), size=0.2, name="plane"):
    mesh = bpy.data.meshes.new(name)
    h = size / 2
    mesh.from_pydata([(-h, -h, 0), (h, -h, 0), (h, h, 0), (-h, h, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new(name)
    tree = compat.node_tree(material)
    tree.nodes.clear()
    shader, output = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new("ShaderNodeOutputMaterial")
    shader.inputs["Color"].default_value = (1, 1, 1, 1)
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    mesh.materials.append(material)
    plane = bpy.data.objects.new(name, mesh)
    plane.location = location
    scene.collection.objects.link(plane)
    return plane


def estimate(folder, lights, lamp_entries=()):
    """Load an answer of the engine that gives each probe of ``lights`` maps of one value; its fill is half of it."""
    entries = []
    for number, (probe, value) in enumerate(lights.items()):
        maps = {kind: f"{kind}_{number}.exr" for kind in ("environment", "fill", "spheres")}
        for kind, file in maps.items():
            pixels.write(folder / file, np.full((4, 8, 3), value * (0.5 if kind == "fill" else 1), np.float32))
        entries.append({"name": probe.name, **maps, "lamps": list(lamp_entries)})
    results.load_results(bpy.context.scene, folder, {"probes": entries, "seconds": {}})


def shown_by(owner):
    """The one value of the maps that a World or material shows."""
    (image,) = {n.image for n in owner.node_tree.nodes if n.type == "TEX_ENVIRONMENT"}
    return pixels.of(image)[0, 0, 0]


def add_cube(scene, size=2.0, location=(0, 0, 0)):
    mesh = bpy.data.meshes.new("Cube")
    h = size / 2
    corners = [(x, y, z) for x in (-h, h) for y in (-h, h) for z in (-h, h)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    cube = bpy.data.objects.new("Cube", mesh)
    cube.location = location
    scene.collection.objects.link(cube)
    return cube


def read_picture(path):
    image = bpy.data.images.load(str(path), check_existing=False)
    values = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return values
