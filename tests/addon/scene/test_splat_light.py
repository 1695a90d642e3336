# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on splats: what physics demands of their material, the blend by progress, the sliders, shadows by a proxy."""

import math

import bpy
import numpy as np
import pytest
from limelight.scene import compat, domes, pixels, probes, splat_drawing, splat_proxy, splats, world
from limelight.tests.addon import splat_files

PIXELS = 16


@pytest.fixture
def stage(scene, tmp_path):
    """An orthographic camera at −y that sees two metres; ``stage.see()`` is linear RGBA, rows from the top."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0.0, -5.0, 0.0), (math.pi / 2, 0.0, 0.0)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2.0
    scene.camera, scene.cycles.samples = camera, 24
    scene.render.resolution_x = scene.render.resolution_y = PIXELS
    scene.render.film_transparent = True
    scene.render.filepath = str(tmp_path / "seen.exr")
    compat.set_still_format(scene.render.image_settings, "OPEN_EXR")
    scene.render.image_settings.color_mode = "RGBA"
    return Stage(scene, tmp_path)


class Stage:
    """A scene to put light and splats into."""

    def __init__(self, scene, folder):
        self.scene, self.folder = scene, folder

    def sky(self, colour):
        """The same light from everywhere."""
        self.scene.world = bpy.data.worlds.new("Sky")
        tree = compat.node_tree(self.scene.world)
        shader = next(node for node in tree.nodes if node.type == "BACKGROUND")
        shader.inputs["Color"].default_value = (*colour, 1.0)

    def sun(self, strength, turn=(math.pi / 2, 0.0, 0.0)):
        """Parallel light; as it stands it shines where the camera looks."""
        lamp = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
        lamp.data.energy, lamp.data.angle, lamp.rotation_euler = strength, 0.0, turn
        self.scene.collection.objects.link(lamp)

    def see(self):
        """(H, W, 4)."""
        bpy.ops.render.render(write_still=True)
        return pixels.read(self.folder / "seen.exr")

    def add(self, table, relight=1.0):
        """A cloud in the scene, lit."""
        thing, _ = splats.add(bpy.context, splat_files.write(self.folder / "a.ply", *table), "cloud", "Z_UP")
        splat_drawing.set_input(thing, "Relight", relight)
        return thing


def disc(albedo=(1, 1, 1), metallic=0.0, roughness=0.5, progress=1.0, colour=0.5, material=True):
    """One flat Gaussian that faces the camera and covers the picture's middle nearly wholly."""
    values = [[*albedo, metallic, roughness, progress]] if material else None
    return splat_files.rows([[0, 0, 0]], [[colour] * 3], 0.995, [0.8, 0.001, 0.8], material=values)


def ball(albedo, metallic, roughness, count=150, thickness=0.01):
    """Flat Gaussians on a sphere of radius 0.8, of one material."""
    index = np.arange(count) + 0.5
    z, angle = 1 - 2 * index / count, index * 2.399963
    flat = np.sqrt(1 - z * z)
    normal = np.stack([flat * np.cos(angle), flat * np.sin(angle), z], -1)
    quats = np.stack([1 + z, -normal[:, 1], normal[:, 0], 0 * z], -1)
    wide = 0.8 * math.sqrt(4 * math.pi / count) * 0.8
    material = np.tile([*albedo, metallic, roughness, 1.0], (count, 1))
    return splat_files.rows(0.8 * normal, np.full((count, 3), 0.5), 0.95, [wide, wide, thickness],
                            quats=quats / np.linalg.norm(quats, axis=1, keepdims=True), material=material)  # fmt: skip


def middle(seen):
    """The light of the picture's middle, as far as it is covered."""
    part = seen[6:10, 6:10]
    return (part[..., :3].sum((0, 1)) / part[..., 3].sum()).tolist()


def test_white_things_vanish_in_white_surroundings(stage):
    """The furnace: what reflects all light looks like the light, matte or polished, flat or thick."""
    stage.sky((0.5, 0.5, 0.5))
    for metallic, roughness, thickness in ((0.0, 0.9, 0.002), (1.0, 0.2, 0.002), (1.0, 0.2, 0.03)):
        thing = stage.add(ball((1, 1, 1), metallic, roughness, thickness=thickness))
        np.testing.assert_allclose(middle(stage.see()), 0.5, rtol=0.05)
        bpy.data.objects.remove(thing)


def test_a_matte_gaussian_reflects_what_lambert_says(stage):
    """Irradiance π on albedo a gives radiance a, and turned by sixty degrees from the light half of it."""
    stage.sun(math.pi)
    stage.add(disc((0.8, 0.4, 0.2), roughness=1.0))
    straight = np.array(middle(stage.see()))
    np.testing.assert_allclose(straight, [0.8, 0.4, 0.2], rtol=0.06)
    bpy.data.objects["Sun"].rotation_euler.z = math.radians(60)
    np.testing.assert_allclose(middle(stage.see()), straight / 2, rtol=0.08)


def test_a_metal_shows_its_surroundings_in_its_colour(stage):
    stage.sky((0.2, 0.4, 0.8))
    stage.add(disc((1.0, 0.7, 0.3), metallic=1.0, roughness=0.1))
    np.testing.assert_allclose(middle(stage.see()), [0.2, 0.28, 0.24], rtol=0.05)


def test_progress_blends_light_with_the_photograph(stage):
    """p · physical + (1 − p) · photographed; 0.5 of a display is 0.214 of light."""
    stage.sky((1.0, 1.0, 1.0))
    thing = stage.add(disc((1, 1, 1), 1.0, 0.3, progress=0.25))
    np.testing.assert_allclose(middle(stage.see()), 0.25 + 0.75 * 0.214, rtol=0.05)
    for blend, relight, expected in ((0.0, 1.0, 1.0), (1.0, 0.5, 0.125 + 0.875 * 0.214), (1.0, 0.0, 0.214)):
        splat_drawing.set_input(thing, "Blend by Progress", blend)
        splat_drawing.set_input(thing, "Relight", relight)
        np.testing.assert_allclose(middle(stage.see()), expected, rtol=0.05)


def test_sliders_change_albedo_and_roughness(stage):
    stage.sun(math.pi, (math.radians(60), 0.0, 0.0))
    thing = stage.add(disc((0.2, 0.2, 0.2), 0.0, 1.0))
    dull = middle(stage.see())[0]
    splat_drawing.set_input(thing, "Albedo Gain", 1.0)
    assert middle(stage.see())[0] == pytest.approx(2 * dull, rel=0.1)
    splat_drawing.set_input(thing, "Albedo Gain", 0.0)
    # Thirty degrees from the mirror's direction a clearer surface sends less of the sun to the camera.
    splat_drawing.set_input(thing, "Roughness Bias", -0.9)
    assert middle(stage.see())[0] < 0.99 * dull


def test_without_material_the_photographed_colour_is_lit(stage):
    """Albedo is the light of the display colour: 0.214; so it is where the learnt material is switched off."""
    stage.sun(math.pi)
    stage.add(disc(material=False))
    lit = middle(stage.see())[0]
    # The dull surface's mirror adds F0 / 4α², α being the roughness squared; what it reflects the colour lacks.
    assert lit == pytest.approx(0.96 * 0.214 + 0.04 / (4 * 0.6**4), rel=0.05)
    bpy.data.objects.remove(bpy.context.object)
    thing = stage.add(disc((0.9, 0.1, 0.1), 1.0, 0.1))
    splat_drawing.set_input(thing, "Learnt Material", False)
    assert middle(stage.see())[0] == pytest.approx(lit, rel=0.02)


def test_a_turned_and_stretched_object_turns_the_normals(stage):
    """A disc of Gaussians' own frame lies flat; the object stands it up, towards light that came along its plane."""
    stage.sun(math.pi)
    names, values = splat_files.rows(
        [[0, 0, 0]], [[0.5] * 3], 0.995, [0.8, 0.8, 0.001], material=[[0.8] * 3 + [0, 1, 1]]
    )
    thing = stage.add((names, values))
    thing.rotation_euler.x, thing.scale = math.pi / 2, (1.0, 1.5, 2.0)
    np.testing.assert_allclose(middle(stage.see()), 0.8, rtol=0.06)


@pytest.fixture
def sphere_file(scene, tmp_path):
    """A PLY of a sphere of radius 0.8 in one colour, as the engine writes a mesh."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4, radius=0.8)
    mesh = bpy.context.object.data
    points, faces = [vertex.co for vertex in mesh.vertices], [tuple(face.vertices) for face in mesh.polygons]
    bpy.data.objects.remove(bpy.context.object)
    return splat_files.write_mesh(tmp_path / "proxy.ply", points, faces)


def test_a_proxy_casts_the_shadow_and_leaves_the_splats_as_they_are(stage, sphere_file):
    """Sun from above: the ground below is dark with the proxy alone, the lit side of the ball keeps its light."""
    stage.sun(math.pi, (0.0, 0.0, 0.0))
    stage.scene.camera.rotation_euler.x, stage.scene.camera.location = math.radians(60), (0.0, -4.0, 2.3)
    stage.scene.cycles.max_bounces = 0
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, 0, -1))
    ground = bpy.context.object
    thing = stage.add(ball((0.5, 0.5, 0.5), 0.0, 1.0))
    without = stage.see()
    proxy = splat_proxy.add(thing, sphere_file)
    assert proxy.parent == thing and splat_proxy.of(thing) == proxy and bpy.context.object == thing
    colour = proxy.data.color_attributes["albedo"].data[0].color
    np.testing.assert_allclose(colour[:3], [0.79, 0.2, 0.2], atol=0.01)
    shadowed = stage.see()
    # The lowest row shows ground below the ball, the first columns of the middle show ground beside it.
    assert without[15, 6:10, 0].mean() > 0.5 and shadowed[15, 6:10, 0].mean() < 0.05
    assert shadowed[15, 0, 0] == pytest.approx(without[15, 0, 0], rel=0.02)
    ground.hide_render = True
    lit = stage.see()[3:6, 6:10, 0].mean()
    proxy.hide_render = True
    assert lit == pytest.approx(stage.see()[3:6, 6:10, 0].mean(), rel=0.05) and lit > 0.1
    again = splat_proxy.add(thing, sphere_file)
    assert [child for child in thing.children if splat_drawing.PROXY in child] == [again]


def test_smooth_normals_are_those_of_the_mesh(stage, sphere_file):
    """Gaussians that all face one way, turned and stretched, are lit as the sphere that they are on."""
    stage.sun(math.pi)
    names, values = ball((0.8, 0.8, 0.8), 0.0, 1.0)
    wide, thick = names.index("scale_0"), names.index("scale_2")
    values[:, thick] = values[:, wide] - 0.2
    values[:, names.index("rot_0") : names.index("rot_0") + 4] = [0.5, 0.5, 0.5, 0.5]
    thing = stage.add((names, values))
    thing.rotation_euler.z = 0.3
    splat_proxy.add(thing, sphere_file)
    own = middle(stage.see())[0]
    splat_drawing.set_input(thing, "Smooth Normals", 1.0)
    # Four pixels about the middle: normals are within a fifth of a right angle of the light.
    smooth = middle(stage.see())[0]
    assert smooth == pytest.approx(0.76, abs=0.06) and smooth > own + 0.1


def test_other_meshes_shade_splats(stage):
    stage.sun(math.pi)
    stage.add(disc((0.8, 0.8, 0.8), roughness=1.0))
    assert middle(stage.see())[0] > 0.6
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, -8, 0), rotation=(math.pi / 2, 0, 0))
    assert middle(stage.see())[0] < 0.02


@pytest.mark.parametrize("apply", [world.apply_world, lambda scene, probe: domes.apply_domes(scene, [probe])])
def test_the_light_of_a_probe_falls_on_splats(stage, apply):
    """As World and as a local dome: a metal disc shows the probe's environment."""
    probe = probes.add_probe(stage.scene, (0.0, 0.0, 0.0), 0.1)
    light = bpy.data.images.new("light", 8, 4, float_buffer=True)
    light.pixels.foreach_set(np.tile(np.array([0.2, 0.4, 0.8, 1.0], np.float32), 32))
    light.pack()
    probe.limelight.environment = light
    stage.add(disc((1, 1, 1), metallic=1.0, roughness=0.3))
    bpy.context.view_layer.update()
    apply(stage.scene, probe)
    np.testing.assert_allclose(middle(stage.see()), [0.2, 0.4, 0.8], rtol=0.06)


def test_mirrors_see_lit_splats(stage):
    """A mirror behind shows the side that the camera does not see: lit by a sun from there."""
    stage.sun(math.pi, (-math.pi / 2, 0.0, 0.0))
    stage.scene.camera.data.ortho_scale = 4.0
    stage.add(ball((0.2, 0.6, 0.2), 0.0, 1.0, count=600))
    bpy.ops.mesh.primitive_plane_add(size=3, location=(1.6, 0.0, 0), rotation=(math.pi / 2, 0, math.radians(-50)))
    mirror = bpy.data.materials.new("Mirror")
    tree = compat.node_tree(mirror)
    tree.nodes.clear()
    glossy, out = tree.nodes.new("ShaderNodeBsdfGlossy"), tree.nodes.new("ShaderNodeOutputMaterial")
    glossy.inputs["Roughness"].default_value = 0.0
    tree.links.new(glossy.outputs[0], out.inputs[0])
    bpy.context.object.data.materials.append(mirror)
    seen = stage.see()
    assert (seen[..., 1] > 2 * seen[..., 0]).sum() >= 2 and seen[..., 1].max() > 0.1
