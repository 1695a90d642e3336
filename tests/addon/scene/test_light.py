# SPDX-License-Identifier: GPL-3.0-or-later
"""Light applied to a scene: orientation, strength, lamps, domes, compositing, baking, seen by Cycles."""

import json
import math

import bpy
import numpy as np
import pytest
from limelight.scene import (
    asset,
    bake,
    catcher,
    command,
    compat,
    composite,
    domes,
    lamps,
    own,
    probes,
    world,
)
from limelight.tests.addon.lit_scene import (
    AXES,
    COLOURS,
    camera_towards,
    image_of,
    lit_probe,
    panorama,
    render,
    white_plane,
)
from mathutils import Vector


@pytest.mark.parametrize("side", list(AXES))
def test_the_world_shows_every_side_where_it_is(scene, tmp_path, side):
    world.apply_world(scene, lit_probe(scene))
    camera_towards(scene, AXES[side])
    centre = render(scene, tmp_path)[16, 24, :3]
    assert centre == pytest.approx(COLOURS[side], abs=0.02)


def test_sliders_turn_counter_clockwise_brighten_and_tint(scene, tmp_path):
    made = world.apply_world(scene, lit_probe(scene))
    made.limelight.rotation = math.pi / 2
    made.limelight.strength_ev = 1.0
    made.limelight.tint = (0.5, 0.5, 0.5)
    camera_towards(scene, AXES["+Y"])
    # What was in the east now is in the north: a quarter turn to the left seen from above.
    assert render(scene, tmp_path)[16, 24, :3] == pytest.approx(COLOURS["+X"], abs=0.02)
    made.limelight.separate_background = True
    made.limelight.background_strength_ev = -1.0
    assert render(scene, tmp_path)[16, 24, :3] == pytest.approx(0.25 * np.array(COLOURS["+Y"]), abs=0.02)


def test_sliders_take_no_keys_that_nothing_would_follow(scene):
    look = world.apply_world(scene, lit_probe(scene)).limelight
    for name in ("strength_ev", "rotation", "tint", "separate_background"):
        with pytest.raises(TypeError, match="not animatable"):
            look.keyframe_insert(name)


def test_applying_twice_updates_and_never_duplicates(scene):
    probe = lit_probe(scene)
    first = world.apply_world(scene, probe)
    first.limelight.strength_ev = 2.0
    counts = (len(bpy.data.worlds), len(bpy.data.images), len(bpy.data.lights))
    probe.limelight.lamps = json.dumps([{"kind": "sun", "direction": [0, 0, 1], "irradiance": [1] * 3, "angle_deg": 1}])
    probe.limelight.fill = image_of(panorama(), "fill")
    for _ in range(2):
        second = world.apply_world(scene, probe)
        lamps.apply_lamps(scene, probe)
    assert second == first and second.limelight.strength_ev == 2.0
    assert (len(bpy.data.worlds), len(bpy.data.images), len(bpy.data.lights)) == (counts[0], counts[1] + 1, 1)


@pytest.mark.parametrize(("kind", "angle"), [("sun", 2.0), ("area", 20.0)])
def test_a_lamp_gives_the_irradiance_of_the_texels_it_replaces(scene, tmp_path, kind, angle):
    probe = lit_probe(scene)
    probe.limelight.fill = image_of(np.zeros((8, 16, 3), np.float32), "fill")
    entry = {"kind": kind, "direction": [0, 0, 1], "irradiance": [3.0, 1.5, 0.75], "angle_deg": angle}
    probe.limelight.lamps = json.dumps([entry])
    (lamp,) = lamps.apply_lamps(scene, probe)
    white_plane(scene)
    camera_towards(scene, (0, 0.001, -1), (0, 0, 0.15)).data.lens = 80
    scene.cycles.samples = 256
    pixels = render(scene, tmp_path)
    shown = pixels[8:24, 12:36, :3].mean((0, 1))
    assert shown * math.pi == pytest.approx([3.0, 1.5, 0.75], rel=0.03)
    assert lamp.data.type == kind.upper()


LOOK = {"strength_ev": 1.5, "rotation": 2.0, "tint": (0.5, 1.0, 0.25)}


@pytest.mark.parametrize("kind", ["sun", "area"])
def test_lamps_follow_the_worlds_sliders_whenever_they_are_moved(scene, kind):
    probe = lit_probe(scene, location=(1, 2, 3))
    probe.limelight.fill = image_of(panorama(), "fill")
    entry = {"kind": kind, "direction": [0.6, 0.0, 0.8], "irradiance": [3.0, 1.5, 0.75], "angle_deg": 5.0}
    probe.limelight.lamps = json.dumps([entry])
    (lamp,) = lamps.apply_lamps(scene, probe)
    energy, colour, away = lamp.data.energy, tuple(lamp.data.color), lamp.location - probe.location
    look = scene.world.limelight
    # On the way to black and back, over many small steps, as a drag makes them.
    for step in range(101):
        look.tint, look.rotation, look.strength_ev = (1 - step / 100,) * 3, step / 10, -step / 20
    for name, value in LOOK.items():
        setattr(look, name, value)
    for again in range(2):
        bpy.context.view_layer.update()
        turned = Vector((math.cos(2.0) * 0.6, math.sin(2.0) * 0.6, 0.8))
        assert lamp.data.energy == pytest.approx(energy * 2**1.5, rel=1e-4)
        assert tuple(lamp.data.color) == pytest.approx(np.multiply(colour, LOOK["tint"]), rel=1e-3)
        assert (lamp.matrix_world.to_3x3() @ Vector((0, 0, 1)) - turned).length < 1e-4
        assert (lamp.location - probe.location - turned * away.length).length < 1e-3
        if not again:
            (lamp,) = lamps.apply_lamps(scene, probe)
    lamp.data.energy *= 0.5
    look.rotation = 0.0
    assert lamp.data.energy == pytest.approx(energy * 2**0.5, rel=1e-4), "the artist's own change was lost"


def test_lamps_come_back_from_any_strength_that_is_typed(scene):
    probe = lit_probe(scene)
    probe.limelight.fill = image_of(panorama(), "fill")
    entry = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [3.0] * 3, "angle_deg": 5}
    probe.limelight.lamps = json.dumps([entry])
    (lamp,) = lamps.apply_lamps(scene, probe)
    energy, look = lamp.data.energy, scene.world.limelight
    for typed in (1e4, -1e4, 200.0, -200.0):
        look.strength_ev = typed
        look.strength_ev = 0.0
        assert lamp.data.energy == pytest.approx(energy, rel=1e-4), typed


def test_lamps_that_were_duplicated_are_replaced(scene):
    probe = lit_probe(scene)
    probe.limelight.fill = image_of(panorama(), "fill")
    entry = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [1.0] * 3, "angle_deg": 1.0}
    probe.limelight.lamps = json.dumps([entry])
    for _ in range(2):
        (lamp,) = lamps.apply_lamps(scene, probe)
        scene.collection.objects.link(lamp.copy())
    world.apply_world(scene, probe)
    assert not [o for o in scene.objects if o.type == "LIGHT"] and not bpy.data.lights


def test_lamp_and_fill_together_give_what_the_whole_map_gives_also_turned_and_tinted(scene, tmp_path):
    whole, fill = np.full((32, 64, 3), 0.2, np.float32), np.full((32, 64, 3), 0.2, np.float32)
    whole[8, 31:33] = 80.0
    probe = lit_probe(scene, whole)
    probe.limelight.fill = image_of(fill, "fill")
    # The two texels in the east, 42 degrees up: their solid angle times what they shine more than the fill.
    up = math.pi / 2 - 8.5 / 32 * math.pi
    excess = 79.8 * 2 * (math.pi / 32) * (math.sin(up + math.pi / 64) - math.sin(up - math.pi / 64))
    direction = [math.cos(up), 0.0, math.sin(up)]
    entry = {"kind": "sun", "direction": direction, "irradiance": [excess] * 3, "angle_deg": 8.0}
    probe.limelight.lamps = json.dumps([entry])
    plane = white_plane(scene)
    # The plane faces the light as it is after the turn by two radians, and the camera faces the plane.
    towards = Vector((math.cos(2.0) * math.cos(up), math.sin(2.0) * math.cos(up), math.sin(up)))
    plane.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
    camera_towards(scene, -towards, towards * 0.15).data.lens = 80
    scene.cycles.samples = 256
    shown = []
    for apply in (world.apply_world, lamps.apply_lamps):
        apply(scene, probe)
        for name, value in LOOK.items():
            setattr(scene.world.limelight, name, value)
        bpy.context.view_layer.update()
        shown.append(render(scene, tmp_path)[8:24, 12:36, :3].mean((0, 1)))
    assert shown[1] == pytest.approx(shown[0], rel=0.03)


def test_the_composite_keeps_the_photos_pixels(scene, tmp_path):
    photo = bpy.data.images.new("photo", 48, 32)
    values = np.random.default_rng(0).integers(0, 256, (32, 48, 3)) / 255
    rgba = np.ones((32, 48, 4), np.float32)
    rgba[..., :3] = values
    photo.pixels.foreach_set(rgba.ravel())
    photo.pack()
    scene.limelight.plate = photo
    camera_towards(scene, (0, 1, 0))
    catcher.add_shadow_catcher(scene, lit_probe(scene, location=(0, 50, -40)))
    view = scene.view_settings
    view.use_curve_mapping, view.curve_mapping.white_level = True, (2, 2, 2)
    view.curve_mapping.update()
    if hasattr(view, "use_white_balance"):
        view.use_white_balance, view.white_balance_temperature = True, 3000
    composite.setup_composite(scene)
    composite.setup_composite(scene)
    scene.render.filepath = str(tmp_path / "out.png")
    compat.set_still_format(scene.render.image_settings, "PNG")
    scene.render.image_settings.color_mode = "RGB"
    bpy.ops.render.render(write_still=True)
    found = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(found.pixels[:]).reshape(32, 48, 4)[..., :3]
    assert np.abs(pixels - values).max() < 2.5 / 255


def test_a_render_region_does_not_squeeze_the_photo_of_the_composite(scene, tmp_path):
    photo = bpy.data.images.new("photo", 48, 32)
    photo.pixels[:] = [value for x in range(48 * 32) for value in (x % 48 / 48, 0.5, 0.5, 1.0)]
    photo.pack()
    scene.limelight.plate = photo
    camera_towards(scene, (0, 1, 0))
    composite.setup_composite(scene)
    whole = render(scene, tmp_path)
    border = scene.render
    border.use_border = border.use_crop_to_border = True
    border.border_min_x, border.border_max_x, border.border_min_y, border.border_max_y = 0.25, 0.5, 0.25, 0.5
    composite.setup_composite(scene)
    assert composite.spoilt(scene) is None
    region = render(scene, tmp_path)
    assert region.shape == whole.shape and region[20, 14:22] == pytest.approx(whole[20, 14:22], abs=1e-3)
    assert region[20, 22, 0] > region[20, 14, 0] > 0
    border.use_crop_to_border = True
    problem = composite.spoilt(scene)
    assert bpy.ops.limelight.repair(**problem.properties) == {"FINISHED"} and not border.use_crop_to_border


def test_strips_that_are_rendered_instead_of_the_composite_are_told(scene):
    scene.limelight.plate = bpy.data.images.new("photo", 48, 32)
    strips = compat.strips(scene.sequence_editor_create())
    composite.setup_composite(scene)
    assert composite.spoilt(scene) is None
    strips.new_scene("title", bpy.data.scenes.new("title"), channel=1, frame_start=1)
    problem = composite.spoilt(scene)
    assert "strips" in problem.text and bpy.ops.limelight.repair(**problem.properties) == {"FINISHED"}
    assert composite.spoilt(scene) is None and not scene.render.use_sequencer


def test_a_shadow_catcher_with_a_parent_lies_under_the_probe(scene):
    probe = lit_probe(scene, location=(1, 2, 3))
    plane = catcher.add_shadow_catcher(scene, probe)
    plane.parent = bpy.data.objects.new("Set", None)
    scene.collection.objects.link(plane.parent)
    plane.parent.location, plane.parent.scale = (5, 0, -1), (2, 2, 2)
    bpy.context.view_layer.update()
    assert catcher.add_shadow_catcher(scene, probe) == plane
    bpy.context.view_layer.update()
    assert tuple(plane.matrix_world.translation) == pytest.approx((1, 2, 2.9), abs=1e-5)


def test_the_composite_has_its_shadows_though_limelights_collection_was_excluded(scene):
    probe = lit_probe(scene)
    plane = catcher.add_shadow_catcher(scene, probe)
    layer = bpy.context.view_layer
    layer.layer_collection.children[probes.COLLECTION].exclude = True
    assert catcher.add_shadow_catcher(scene, probe) == plane and plane in set(layer.objects)


@pytest.mark.parametrize(("unit", "hidden"), [(1.0, 0.0), (1.0, 20.0), (0.001, 0.0), (0.001, 1e5)])
def test_the_bake_holds_the_light_of_a_sun_that_no_camera_sees(scene, unit, hidden):
    scene.unit_settings.scale_length = unit
    data = bpy.data.lights.new("Sun", "SUN")
    data.energy, data.angle, data.color = 5.0, math.radians(0.5), (1.0, 0.5, 0.25)
    sun = bpy.data.objects.new("Sun", data)
    sun.rotation_euler = (math.radians(40), 0.0, math.radians(70))
    scene.collection.objects.link(sun)
    if hidden:
        bpy.ops.mesh.primitive_plane_add(size=2.5 * hidden, location=(0, 0, hidden))
    probe = probes.add_probe(scene, (0, 0, 0), 0.2)
    bpy.context.view_layer.update()
    before = {kind: len(getattr(bpy.data, kind)) for kind in ("objects", "meshes", "materials", "scenes", "cameras")}
    image = bake.bake_truth(bpy.context, probe, 128, 32)
    assert before == {kind: len(getattr(bpy.data, kind)) for kind in before}
    pixels = np.array(image.pixels[:], np.float32).reshape(64, 128, 4)[::-1, :, :3]
    latitude = (0.5 - (np.arange(64) + 0.5) / 64) * np.pi
    longitude = (0.5 - (np.arange(128) + 0.5) / 128) * 2 * np.pi
    direction = np.stack(
        [np.outer(np.cos(latitude), np.cos(longitude)), np.outer(np.cos(latitude), np.sin(longitude)),
         np.outer(np.sin(latitude), np.ones(128))], -1
    )  # fmt: skip
    towards = np.array(sun.matrix_world.to_3x3().col[2])
    weight = np.cos(latitude)[:, None] * (np.pi / 64) ** 2 * np.clip(direction @ towards, 0, None)
    irradiance = (pixels * weight[..., None]).sum((0, 1))
    assert irradiance == pytest.approx([0.0] * 3 if hidden else [5.0, 2.5, 1.25], rel=0.05, abs=0.02)


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="a file's colours are Rec.709 before")
def test_the_truth_of_a_file_that_works_in_other_colours_is_its_light(scene):
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    scene.world = bpy.data.worlds.new("red")
    tree = scene.world.node_tree
    shine = next(node for node in tree.nodes if node.type == "BACKGROUND")
    shine.inputs["Color"].default_value = (1.0, 0.3, 0.3, 1.0)
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    picture = tree.nodes.new("ShaderNodeTexEnvironment")
    seen = []
    for _ in range(2):
        picture.image = bake.bake_truth(bpy.context, probe, 32, 4)
        tree.links.new(picture.outputs["Color"], shine.inputs["Color"])
        seen.append(np.array(picture.image.pixels[:]).reshape(-1, 4)[:, :3].mean(0))
    assert seen[1] == pytest.approx(seen[0], rel=0.01) and seen[0] == pytest.approx([1.0, 0.3, 0.3], rel=0.01)


def shining_plane(scene, place, colour, name):
    """A plane of 3.9 that shines in a colour, facing the origin."""
    wall = white_plane(scene, place, 3.9, name)
    wall.rotation_euler = place.to_track_quat("-Z", "Y").to_euler()
    tree = wall.data.materials[0].node_tree
    emission = tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value = (*colour, 1)
    tree.links.new(emission.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return wall


def test_the_bake_is_the_scene_seen_from_the_probe_in_the_world_frame(scene):
    for side, axis in AXES.items():
        shining_plane(scene, Vector(axis) * 2, COLOURS[side], f"wall {side}")
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    bpy.context.view_layer.update()
    engine = scene.render.engine
    image = bake.bake_truth(bpy.context, probe, 64, 4)
    pixels = np.array(image.pixels[:], np.float32).reshape(32, 64, 4)[::-1, :, :3]
    assert np.abs(pixels[16] - panorama(32)[16]).mean() < 0.05
    assert image.packed_file is not None
    assert len(bpy.data.scenes) == 1 and scene.render.engine == engine


@pytest.mark.parametrize("how", ["excluded", "off"])
def test_the_bake_leaves_out_collections_that_renders_do_not_show(scene, how):
    """Neither their surfaces nor their Suns; what an excluded collection holds may be shown by itself."""
    parts = [bpy.data.collections.new(name) for name in ("Old", "Inner", "Other")]
    scene.collection.children.link(parts[0])
    for part in parts[1:]:
        parts[0].children.link(part)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle = 3.0, 0.2
    parts[1].objects.link(sun)
    for name, colour, part in (("left", (1, 0, 0), parts[1]), ("right", (0, 1, 0), parts[2])):
        wall = shining_plane(scene, Vector((-2 if name == "left" else 2, 0, 0)), colour, name)
        scene.collection.objects.unlink(wall)
        part.objects.link(wall)
    branch = bpy.context.view_layer.layer_collection.children["Old"]
    if how == "excluded":
        branch.exclude = True
        branch.children["Other"].exclude = False
    else:
        parts[1].hide_render = True
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    bpy.context.view_layer.update()
    image = bake.bake_truth(bpy.context, probe, 64, 4)
    pixels = np.array(image.pixels[:], np.float32).reshape(32, 64, 4)[..., :3]
    assert pixels.max((0, 1)) == pytest.approx([0.0, 1.0, 0.0], abs=0.2)


def test_an_asset_has_tags_and_a_thumbnail_that_can_be_seen(scene):
    dark = panorama() * 0.001
    made = asset.mark_asset(scene, lit_probe(scene, dark))
    assert made.asset_data is not None and {t.name for t in made.asset_data.tags} == {"HDRI", "Limelight"}
    preview = np.array(made.preview.image_pixels_float[:])
    assert 0.2 < preview.reshape(-1, 4)[:, :3].mean() < 0.8


def test_one_way_of_lighting_replaces_the_other_and_keeps_the_worlds_look(scene):
    probe = lit_probe(scene)
    probe.limelight.fill = image_of(panorama(), "fill")
    probe.limelight.lamps = json.dumps([{"kind": "sun", "direction": [0, 0, 1], "irradiance": [1] * 3, "angle_deg": 1}])
    white_plane(scene)
    world.apply_world(scene, probe).limelight.strength_ev = 1.0
    lamps.apply_lamps(scene, probe)
    domes.apply_domes(scene, [probe])
    assert [o for o in scene.objects if o.type == "LIGHT"] == []
    made = world.apply_world(scene, probe)
    assert made.limelight.strength_ev == 1.0
    assert not [o for o in scene.objects if o.name.endswith("dome") or o.type == "LIGHT"]


def test_a_render_path_chooses_format_and_frame(scene, tmp_path):
    camera_towards(scene, (0, 1, 0))
    scene.frame_set(7)
    command.render_to(scene, tmp_path / "out_####.exr")
    assert [path.name for path in tmp_path.iterdir()] == ["out_0007.exr"]


def test_every_scene_has_a_world_and_a_composite_of_its_own(scene):
    other = bpy.data.scenes.new("Other")
    for number, stage in enumerate((scene, other, scene, other)):
        probe = lit_probe(stage, name=f"Probe {stage.name}")
        stage.limelight.plate = bpy.data.images.new(f"photo {number}", 8, 8)
        world.apply_world(stage, probe)
        composite.setup_composite(stage)
    for stage in (scene, other):
        assert stage.world.limelight.probe.startswith(f"Probe {stage.name}")
        shown = [n.image for n in compat.compositor_nodes(stage) if n.type == "IMAGE"]
        assert shown == [stage.limelight.plate]
    assert len(bpy.data.worlds) == 2 and len(bpy.data.node_groups) in {0, 2}


def test_the_worlds_look_outlives_local_domes_and_a_saved_file(scene, tmp_path):
    probe = lit_probe(scene)
    white_plane(scene)
    world.apply_world(scene, probe).limelight.strength_ev = 2.0
    domes.apply_domes(scene, [probe])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene = bpy.context.scene
    assert world.apply_world(scene, bpy.data.objects["Probe"]).limelight.strength_ev == 2.0


def test_an_asset_that_lights_the_scene_is_left_as_it_is(scene):
    first, second = lit_probe(scene, name="First"), lit_probe(scene, name="Second")
    kept = scene.world = asset.mark_asset(scene, first)
    made = world.apply_world(scene, second)
    assert made != kept and kept.limelight.probe == "First" and scene.limelight.own_world == kept
    maps = {n.image for n in kept.node_tree.nodes if n.type == "TEX_ENVIRONMENT"}
    assert not maps & {first.limelight.environment, second.limelight.environment}
    # What comes from the Asset Browser into a file is no asset there, but the artist's all the same.
    kept.asset_clear()
    assert not own.is_own_world(kept) and world.apply_world(scene, second) == made


def test_names_that_the_artist_took_are_no_mark(scene):
    mine = [bpy.data.worlds.new(name) for name in ("Probe environment", "Limelight dark", "Limelight")]
    probe = lit_probe(scene)
    white_plane(scene)
    domes.apply_domes(scene, [probe])
    probe.name = "Renamed"
    domes.apply_domes(scene, [probe])
    assert [m.name for m in bpy.data.materials if m.name.endswith("dome")] == ["Renamed dome"]
    probe.name = "Probe"
    assert not {asset.mark_asset(scene, probe), scene.world, world.apply_world(scene, probe)} & set(mine)


def test_lamps_follow_a_world_from_which_the_artist_took_a_node(scene):
    probe = lit_probe(scene)
    probe.limelight.fill = probe.limelight.environment
    sun = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [1.0] * 3, "angle_deg": 1}
    probe.limelight.lamps = json.dumps([sun])
    (lamp,) = lamps.apply_lamps(scene, probe)
    nodes = scene.world.node_tree.nodes
    nodes.remove(nodes["Limelight light tint"])
    scene.world.limelight.strength_ev = 1
    assert lamp.data.energy == pytest.approx(2.0)
    assert nodes["Limelight background"].inputs["Strength"].default_value == 2


def test_what_the_artist_composited_stays(scene):
    scene.limelight.plate = bpy.data.images.new("photo", 8, 8)
    if hasattr(scene, "compositing_node_group"):
        scene.compositing_node_group = tree = bpy.data.node_groups.new("Mine", "CompositorNodeTree")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    tree.nodes.new("CompositorNodeBlur").name = "my blur"
    for _ in range(2):
        composite.setup_composite(scene)
    assert "my blur" in tree.nodes and (tree == getattr(scene, "node_tree", None) or tree.use_fake_user)
    assert sum(n.type == "R_LAYERS" and own.NODE in n for n in compat.compositor_nodes(scene)) == 1


def test_the_composite_shows_the_layer_that_is_looked_at_and_is_switched_on_again(scene):
    first, second = scene.view_layers[0], scene.view_layers.new("Second")
    scene.limelight.plate = bpy.data.images.new("photo", 8, 8)
    first.use = False
    tree = composite.setup_composite(scene)
    (render,) = (node for node in tree.nodes if node.type == "R_LAYERS")
    assert render.layer == second.name
    nodes = [] if hasattr(scene, "compositing_node_group") else [(scene, "use_nodes")]
    for owner, switch in (switches := [(scene.render, "use_compositing"), *nodes]):
        setattr(owner, switch, False)
    composite.setup_composite(scene)
    assert all(getattr(owner, switch) for owner, switch in switches)


def test_what_the_artist_did_with_the_composite_stays(scene):
    scene.limelight.plate = bpy.data.images.new("photo", 8, 8)
    tree = composite.setup_composite(scene)
    over = next(node for node in tree.nodes if node.type == "ALPHAOVER")
    mine, link = tree.nodes.new("CompositorNodeBlur"), over.outputs[0].links[0]
    output = link.to_socket
    tree.links.new(over.outputs[0], mine.inputs[0])
    tree.links.new(mine.outputs[0], output)
    scene.limelight.plate = bpy.data.images.new("another", 8, 8)
    assert composite.setup_composite(scene) == tree and output.links[0].from_node == mine
    assert [node.image for node in tree.nodes if node.type == "IMAGE"] == [scene.limelight.plate]
