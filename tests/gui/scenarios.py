# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist does in the window tests: each scenario is a generator of pauses, played by ``drive.py``."""

import json
import math
from pathlib import Path

import bpy
from addon import module, preferences
from bpy_extras.object_utils import world_to_camera_view
from bpy_extras.view3d_utils import location_3d_to_region_2d
from drive import until
from mathutils import Vector
from moves import close_splash, fill_view, fold_but, open_tab, widen_sidebar
from stand_in import ROOM, behave, prepare_engine, use_python, write_relit
from still_life import material, stand_where


def listed():
    """What the panels show of the scene."""
    return module("operators.state").seen(bpy.context)


def panels(artist):
    """The panels as a new user meets them: no photo, no probe, no engine."""
    yield from close_splash(artist)
    yield from open_tab(artist)
    yield 0.5
    artist.notes["problems"] = [p.text for p in listed().problems]
    artist.shot("1_first_look")


def place(artist):
    """A photo as plate, a probe by a real click on the default cube, its size by the wheel, undo and redo."""
    yield from close_splash(artist)
    yield from open_tab(artist)
    artist.operator("limelight.add_probe")
    region = artist.region("WINDOW")
    x, y = region.x + region.width // 2 - 20, region.y + region.height // 2 + 10
    artist.move(x, y)
    yield 0.3
    artist.move(x + 3, y)
    yield 0.3
    artist.shot("2_placing")
    yield from artist.click(x, y)
    yield from until(lambda: len(listed().probe_rows) == 1, 60)
    artist.move(x + 150, y - 120)
    yield 0.5
    artist.shot("3_placed")
    probe = bpy.context.active_object
    artist.notes["probe"] = {
        "name": probe.name, "location": list(probe.location), "radius": probe.limelight.radius,
        "is_probe": probe.limelight.is_probe,
    }
    yield from drag_ring(artist, probe)
    artist.notes["radius_after_drag"] = bpy.context.active_object.limelight.radius
    yield from artist.key("Z", x, y, ctrl=True)
    yield 0.6
    artist.notes["radius_after_undo"] = bpy.context.active_object.limelight.radius
    yield from artist.key("Z", x, y, ctrl=True)
    yield 0.6
    artist.notes["probes_after_undo"] = len([o for o in bpy.context.scene.objects if o.limelight.is_probe])
    yield from artist.key("Z", x, y, ctrl=True, shift=True)
    yield 0.6
    artist.notes["probes_after_redo"] = len([o for o in bpy.context.scene.objects if o.limelight.is_probe])
    artist.operator("limelight.add_probe")
    yield 0.3
    yield from artist.key("ESC", x, y)
    yield 0.4
    artist.notes["probes_after_escape"] = len([o for o in bpy.context.scene.objects if o.limelight.is_probe])


def drag_ring(artist, probe):
    """Pull the ring around ``probe`` to about one and a half times its size."""
    region, view = artist.region("WINDOW"), artist.area("VIEW_3D").spaces.active.region_3d
    sideways = view.view_matrix.to_3x3().inverted() @ Vector((1.0, 0.0, 0.0))
    centre = probe.matrix_world.translation
    x, y = location_3d_to_region_2d(region, view, centre)
    edge, _ = location_3d_to_region_2d(region, view, centre + sideways * probe.limelight.radius * 1.12)
    reach, x, y = edge - x, x + region.x, y + region.y
    for step in (3, 2, 1, 0):
        artist.move(x + reach + step, y)
        yield 0.2
    artist.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=int(x + reach), y=int(y))
    yield 0.3
    for step in (1.1, 1.2, 1.3, 1.4, 1.5):
        artist.move(x + reach * step, y)
        yield 0.15
    artist.shot("4_dragging")
    artist.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=int(x + reach * 1.5), y=int(y))
    yield 0.5


def over_photo(artist, u, v):
    """Where the mouse has to be to point at (u, v) of the photo, both from 0 to 1, origin bottom left."""
    region, view, camera = artist.region("WINDOW"), artist.area("VIEW_3D").spaces.active, bpy.context.scene.camera
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=bpy.context.scene)]
    right, left = corners[0].lerp(corners[1], 1 - v), corners[3].lerp(corners[2], 1 - v)
    x, y = location_3d_to_region_2d(region, view.region_3d, left.lerp(right, u))
    return region.x + x, region.y + y


def estimated():
    """Whether a probe holds light and nothing runs."""
    manager = bpy.context.window_manager.limelight
    return not manager.running and any(o.limelight.environment for o in bpy.context.scene.objects)


def ready():
    """Whether the panels offer to estimate."""
    interface = listed()
    return interface.checked and not interface.problems


def spheres_shown():
    """Whether the running estimate is on its way and has sent a picture of its spheres."""
    run = module("operators.engine_session").running_run()
    return run is not None and run.fraction > 0.05 and bool(run.preview)


def photo_to_light(artist):
    """The way of the guide: photo, probe by a click, an estimate cancelled by Esc, one finished, the World applied."""
    yield from close_splash(artist)
    if "engine" in ROOM:
        prepare_engine(seconds=150)
    else:
        use_python(ROOM["python"])
    yield from open_tab(artist)
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    yield 0.3
    artist.shot("a_empty")
    artist.operator("limelight.set_plate", filepath=ROOM["photo"], fov=math.radians(60))
    fill_view(artist)
    yield 0.6
    artist.shot("b_photo")
    artist.operator("limelight.add_probe")
    x, y = over_photo(artist, 0.52, 0.13)
    artist.move(x, y)
    yield 0.3
    artist.move(x + 2, y)
    yield 0.4
    artist.shot("c_placing")
    yield from artist.click(x, y)
    yield from until(ready, 60)
    artist.notes["problems"] = [p.text for p in listed().problems]
    artist.shot("d_probe")
    artist.operator("limelight.estimate")
    yield from until(spheres_shown, 120)
    # A panel that has grown settles in the drawing after the next.
    yield 0.6
    artist.region("UI").tag_redraw()
    yield 0.4
    manager = bpy.context.window_manager.limelight
    artist.notes["while_running"] = {"fraction": manager.fraction, "stage": manager.stage, "eta": manager.eta}
    artist.shot("e_running")
    for _ in range(5):
        # A window that draws by software alone may miss a key while it is busy: an artist would press it again.
        yield from artist.key("ESC", x, y)
        stopped = yield from until(lambda: not bpy.context.window_manager.limelight.running, 15)
        if stopped:
            break
    artist.notes["after_escape"] = [manager.message, estimated()]
    if "engine" in ROOM:
        behave(0.5)
    artist.operator("limelight.estimate")
    yield 1.0
    yield from until(lambda: not bpy.context.window_manager.limelight.running, 240)
    artist.notes["estimated"], artist.notes["message"] = estimated(), manager.message
    yield 0.5
    artist.shot("f_estimated")
    artist.operator("limelight.apply_world")
    yield 0.5
    artist.notes["world"] = bpy.context.scene.world.limelight.probe
    yield from finish_pictures(artist)


def finish_pictures(artist):
    """A still life in the light in place of the probe, and the sidebar scrolled to its end."""
    artist.operator("limelight.setup_composite")
    probe, scene = bpy.context.active_object, bpy.context.scene
    stand_where(probe)
    bpy.context.view_layer.objects.active = probe
    probe.hide_set(True)
    scene.render.engine, scene.cycles.preview_samples = "CYCLES", 100
    space = artist.area("VIEW_3D").spaces.active
    for part in ("floor", "axis_x", "axis_y"):
        setattr(space.overlay, f"show_{part}", False)
    space.shading.type = "RENDERED"
    # Blender tells no script how far a viewport is; the picture for the guide should be calm.
    yield 12.0 if "engine" in ROOM else 150.0
    artist.shot("g_lit")
    sidebar = artist.region("UI")
    x, y = sidebar.x + 60, sidebar.y + 200
    artist.move(x, y)
    yield 0.2
    for _ in range(40):
        artist.window.event_simulate(type="WHEELDOWNMOUSE", value="PRESS", x=int(x), y=int(y))
        yield 0.05
    yield 0.5
    artist.shot("h_light_panel")


def preferences_page(artist):
    """The engine's set-up in the preferences, before and after looking for Pythons."""
    yield from close_splash(artist)
    bpy.ops.limelight.find_pythons()
    artist.operator("limelight.show_preferences")
    yield 2.0
    artist.window = bpy.context.window_manager.windows[-1]
    artist.shot("i_preferences")
    stored = preferences()
    artist.notes["pythons"] = json.loads(stored.found_pythons)


def on_the_photo(artist):
    """A probe placed by a click on the photo in the Image Editor, after a click beside it was refused."""
    yield from close_splash(artist)
    artist.operator("limelight.set_plate", filepath=ROOM["photo"])
    yield 0.4
    area = artist.area("VIEW_3D")
    area.type = "IMAGE_EDITOR"
    yield 0.5
    area.spaces.active.image = bpy.context.scene.limelight.plate
    area.spaces.active.show_region_ui = True
    yield 0.5
    region = artist.region("WINDOW", "IMAGE_EDITOR")
    with bpy.context.temp_override(window=artist.window, area=area, region=region):
        bpy.ops.image.view_all(fit_view=True)
        bpy.ops.limelight.add_probe_image("INVOKE_DEFAULT")
    yield 0.4
    left, bottom = region.view2d.view_to_region(0.3, 0.25, clip=False)
    below = region.view2d.view_to_region(0.3, -0.02, clip=False)[1]
    yield from artist.click(region.x + left, region.y + below)
    yield 0.4
    artist.notes["probes_after_miss"] = len(listed().probe_rows)
    yield from artist.click(region.x + left, region.y + bottom)
    yield 0.8
    artist.shot("j_on_the_photo")
    probe, scene = bpy.context.view_layer.objects.active, bpy.context.scene
    seen = world_to_camera_view(scene, scene.camera, probe.matrix_world.translation)
    artist.notes["seen_at"] = [seen.x, seen.y]
    artist.notes["is_probe"] = probe.limelight.is_probe


def relight(artist):
    """A photo open in the Image Editor gets other light: what is missing, a cancelled run, a run, the line dragged."""
    if "engine" in ROOM:
        prepare_engine(seconds=4.0)
    yield from close_splash(artist)
    manager, scene = bpy.context.window_manager.limelight, bpy.context.scene
    area = artist.area("VIEW_3D")
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.show_region_ui = True
    yield 0.5
    source = space.image = bpy.data.images.load(ROOM["photo"])
    if "engine" in ROOM:
        write_relit(source)
    yield from open_tab(artist, "LIMELIGHT_PT_relight", "IMAGE_EDITOR")
    yield from widen_sidebar(artist, area="IMAGE_EDITOR")
    with bpy.context.temp_override(window=artist.window, area=area, region=artist.region("WINDOW", "IMAGE_EDITOR")):
        bpy.ops.image.view_all(fit_view=True)
    yield 1.0
    artist.shot("k_missing")
    use_python(ROOM["python"])
    scene.limelight.relight.reference = bpy.data.images.load(ROOM["reference"])
    yield 1.0
    bpy.ops.ed.undo_push(message="Open both pictures")
    artist.operator("limelight.relight", "IMAGE_EDITOR")
    yield from until(lambda: manager.fraction > 0.3, 60)
    yield 0.4
    artist.shot("l_relighting")
    region = artist.region("WINDOW", "IMAGE_EDITOR")
    yield from artist.key("ESC", region.x + 300, region.y + 200)
    yield from until(lambda: not manager.running, 60)
    artist.notes["after_escape"] = [manager.message, manager.running, space.image.name]
    if "engine" in ROOM:
        behave(0.5)
    artist.operator("limelight.relight", "IMAGE_EDITOR")
    yield from until(lambda: not manager.running, 200)
    yield 1.0
    artist.shot("m_relit")
    artist.notes["shown"] = space.image.name
    bpy.context.window_manager.limelight_interface.wipe = True
    yield 1.0
    artist.shot("n_wipe")
    yield from drag_wipe(artist, 0.25)
    artist.notes["wipe_at"] = bpy.context.window_manager.limelight_interface.wipe_at
    artist.shot("o_wiped")
    left, bottom = region.view2d.view_to_region(0.0, 0.0, clip=False)
    right, top = region.view2d.view_to_region(1.0, 1.0, clip=False)
    artist.notes["box"] = [region.x + left, region.y + bottom, region.x + right, region.y + top]
    artist.notes["message"] = manager.message
    space.image = source
    yield 1.0
    artist.shot("p_original")
    space.image = bpy.data.images[artist.notes["shown"]]
    yield from artist.key("Z", region.x + 300, region.y + 200, ctrl=True)
    yield 0.8
    artist.notes["after_undo"] = [space.image.name if space.image else "", sorted(bpy.data.images.keys())]
    artist.shot("q_undone")


def drag_wipe(artist, to):
    """Take the line in the middle of the image and drag it to a share of its width."""
    region = artist.region("WINDOW", "IMAGE_EDITOR")
    start, end = (region.x + region.view2d.view_to_region(x, 0.5, clip=False)[0] for x in (0.5, to))
    y = region.y + region.view2d.view_to_region(0.5, 0.4, clip=False)[1]
    for x in (start + 40, start + 3, start):
        artist.move(x, y)
        yield 0.3
    artist.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=int(start), y=int(y))
    yield 0.3
    for step in range(1, 6):
        artist.move(start + (end - start) * step / 5, y)
        yield 0.2
    artist.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=int(end), y=int(y))
    yield 0.5


def over_frames(artist):
    """The range of frames and the list of shots, as they are with a shot that was broken off and one that failed."""
    yield from close_splash(artist)
    classes = module("panels").classes()
    for panel in (cls for cls in classes if cls.__name__ in {"LIMELIGHT_PT_frames", "LIMELIGHT_PT_batch"}):
        panel.bl_options = set()
    fold_but("LIMELIGHT_PT_estimate")
    bpy.ops.wm.save_as_mainfile(filepath=ROOM["file"])
    bpy.ops.limelight.add_probe(location=(0.0, 0.0, 1.2), radius=0.1)
    bpy.context.scene.frame_end = 48
    bpy.context.scene.limelight.frames.use = True
    folder = Path(ROOM["file"]).parent / "limelight"
    (folder / "Scene_001" / "frames").mkdir(parents=True)
    (folder / "Scene_001" / "frames" / "0001.json").write_text("{}")
    (folder / "Scene_001" / "shot.json").write_text('{"told": {}, "entries": {"1": {}, "2": {}, "3": {}}}')
    jobs = [{"limelight_jobs": 1}, *({"id": f"Scene_00{n} 1-3", "kind": "light", "params": {}} for n in (1, 2, 3))]
    (folder / "shots.jobs").write_text("".join(json.dumps(line) + "\n" for line in jobs))
    shots = module("bridge").JobList(folder / "shots.jobs")
    with shots.writer() as writer:
        writer.tell("Scene_001 1-3", state="done")
        writer.tell("Scene_002 1-3", state="failed", text="The photo is one colour.", remedy="Use another.")
    module("operators.watch").refresh(bpy.context)
    yield from open_tab(artist, "LIMELIGHT_PT_estimate")
    interface = listed()
    interface.job_index = 1
    yield 0.8
    artist.notes["rows"] = [[row.name, row.state] for row in interface.job_rows]
    artist.notes["frames"] = [interface.frames_done, interface.frames_asked]
    artist.shot("1_over_frames")


def truth(artist):
    """The panorama at a probe baked from the default cube's scene and used as its light."""
    yield from close_splash(artist)
    fold_but("LIMELIGHT_PT_compare")
    cube, scene = bpy.data.objects["Cube"], bpy.context.scene
    cube.data.materials.clear()
    cube.data.materials.append(material("Red", (0.8, 0.05, 0.03)))
    bpy.ops.mesh.primitive_plane_add(size=12, location=(0, 0, -1))
    bpy.context.active_object.data.materials.append(material("Floor", (0.3, 0.4, 0.2)))
    bpy.ops.limelight.add_probe(location=(2.2, -1.6, -0.3), radius=0.7)
    probe = bpy.context.active_object
    yield from open_tab(artist, "LIMELIGHT_PT_compare")
    artist.operator("limelight.bake_truth")
    artist.operator("limelight.use_truth")
    artist.operator("limelight.apply_world")
    light = probe.limelight
    artist.notes["truth"] = [light.environment is not None, light.environment == light.truth, light.status]
    artist.notes["world"] = scene.world.limelight.probe
    space = artist.area("VIEW_3D").spaces.active
    space.region_3d.view_distance, space.shading.color_type = 11.0, "OBJECT"
    cube.color, bpy.data.objects["Plane"].color = (0.8, 0.1, 0.08, 1.0), (0.3, 0.4, 0.2, 1.0)
    yield 1.0
    artist.shot("1_truth")


def scan(artist):
    """What is asked of a scanned mesh whose textures are to be learnt."""
    yield from close_splash(artist)
    for panel in (cls for cls in module("panels").classes() if cls.__name__ == "LIMELIGHT_PT_mesh_textures"):
        panel.bl_options = set()
    fold_but("LIMELIGHT_PT_splats")
    for name in ("Cube", "Light"):
        bpy.data.objects.remove(bpy.data.objects[name])
    bpy.ops.mesh.primitive_monkey_add(size=3, location=(0, 0, 0.5))
    bpy.context.active_object.name = "Scan"
    settings = bpy.context.scene.limelight.capture
    settings.source, settings.tone, settings.iterations, settings.texels = "/scans/monkey", "ACES", 400, 512
    yield from open_tab(artist, "LIMELIGHT_PT_mesh_textures")
    yield from widen_sidebar(artist)
    artist.notes["drawn"] = artist.drawn("LIMELIGHT_PT_mesh_textures")
    yield 0.6
    artist.shot("1_textures")
