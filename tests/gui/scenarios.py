# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist does in the window tests: each scenario is a generator of pauses, played by ``drive.py``."""

import json
import math
import sys

import bpy
from bpy_extras.object_utils import world_to_camera_view
from bpy_extras.view3d_utils import location_3d_to_region_2d
from drive import until
from mathutils import Vector
from stand_in import ROOM, behave, prepare_engine, use_python, write_relit
from still_life import stand_where


def open_tab(artist, panel="LIMELIGHT_PT_probes", area="VIEW_3D"):
    """Click down the sidebar's tabs until Limelight's panels are drawn."""
    view = artist.area(area).spaces.active
    view.show_region_ui = True
    yield 0.6
    artist.watch_draw(getattr(bpy.types, panel))
    sidebar = artist.region("UI", area)
    # The narrow strip of tabs is at the right edge; Limelight's is below Blender's own three.
    for step in range(8, 40):
        artist.forget_draws()
        sidebar.tag_redraw()
        yield 0.2
        if artist.drawn(panel):
            return
        yield from artist.click(sidebar.x + sidebar.width - 9, sidebar.y + sidebar.height - 12 * step)
        yield 0.3
    raise AssertionError("the Limelight tab was not found in the sidebar")


def close_splash(artist):
    """Put the mouse into the viewport and close the splash screen."""
    region = artist.region("WINDOW")
    yield from artist.key("ESC", region.x + 300, region.y + 20)
    yield 0.3


def widen_sidebar(artist, pixels=70, area="VIEW_3D"):
    """Drag the sidebar's edge to the left."""
    sidebar = artist.region("UI", area)
    x, y = sidebar.x, sidebar.y + sidebar.height // 3
    artist.move(x, y)
    yield 0.3
    artist.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield 0.2
    for step in (1, 2, 3, 4):
        artist.move(x - pixels * step // 4, y)
        yield 0.1
    artist.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x - pixels, y=y)
    yield 0.4


def panels(artist):
    """The panels as a new user meets them: no photo, no probe, no engine."""
    yield from close_splash(artist)
    yield from open_tab(artist)
    yield 0.5
    artist.notes["problems"] = [p.text for p in bpy.context.window_manager.limelight_interface.problems]
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
    yield from until(lambda: len(bpy.context.window_manager.limelight_interface.probe_rows) == 1, 60)
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


def fill_view(artist):
    """Zoom and shift the camera's view until the photo fills what the sidebar leaves free."""
    view = artist.area("VIEW_3D").spaces.active.region_3d
    view.view_camera_zoom, view.view_camera_offset = 10.0, (0.1, 0.0)


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
    interface = bpy.context.window_manager.limelight_interface
    return interface.checked and not interface.problems


def spheres_shown():
    """Whether the running estimate is on its way and has sent a picture of its spheres."""
    run = sys.modules["limelight.operators.engine_session"].running_run()
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
    artist.notes["problems"] = [p.text for p in bpy.context.window_manager.limelight_interface.problems]
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
    stored = bpy.context.preferences.addons["limelight"].preferences
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
    artist.notes["probes_after_miss"] = len(bpy.context.window_manager.limelight_interface.probe_rows)
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


def face(artist):
    """A portrait: its face found, a landmark dragged and put back, a run cancelled, a head, its light, another take."""
    if "engine" in ROOM:
        prepare_engine(seconds=4.0)
    else:
        use_python(ROOM["python"])
    yield from close_splash(artist)
    manager, scene = bpy.context.window_manager.limelight, bpy.context.scene
    for name in ("Cube", "Light", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    area = artist.area("VIEW_3D")
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.show_region_ui = True
    yield 0.5
    artist.operator("limelight.face_picture", "IMAGE_EDITOR", filepath=ROOM["photo"])
    fold_but("LIMELIGHT_PT_face_image")
    yield from open_tab(artist, "LIMELIGHT_PT_face_image", "IMAGE_EDITOR")
    yield from widen_sidebar(artist, area="IMAGE_EDITOR")
    region = artist.region("WINDOW", "IMAGE_EDITOR")
    with bpy.context.temp_override(window=artist.window, area=area, region=region):
        bpy.ops.image.view_all(fit_view=True)
    bpy.ops.ed.undo_push(message="Choose the portrait")
    artist.operator("limelight.face_find", "IMAGE_EDITOR")
    yield from until(lambda: not manager.running, 120)
    image = scene.limelight.face.picture
    artist.notes["found"] = [manager.message, len(image.limelight.faces)]
    u, v = landmark(image, 4)
    with bpy.context.temp_override(window=artist.window, area=area, region=region):
        bpy.ops.image.view_zoom_border(
            xmin=int(region.view2d.view_to_region(u - 0.25, v, clip=False)[0]),
            xmax=int(region.view2d.view_to_region(u + 0.25, v, clip=False)[0]),
            ymin=int(region.view2d.view_to_region(u, v - 0.2, clip=False)[1]),
            ymax=int(region.view2d.view_to_region(u, v + 0.25, clip=False)[1]),
        )
    yield 0.8
    artist.shot("a_landmarks")
    yield from drag_landmarks(artist, region)
    artist.operator("limelight.face_make", "IMAGE_EDITOR")
    yield from until(lambda: manager.fraction > 0.2, 120)
    yield 0.4
    artist.shot("d_running")
    x, y = region.x + 300, region.y + 200
    for _ in range(5):
        yield from artist.key("ESC", x, y)
        stopped = yield from until(lambda: not manager.running, 30)
        if stopped:
            break
    artist.notes["after_escape"] = [manager.message, len(made_heads())]
    if "engine" in ROOM:
        behave(0.5)
    yield from head_and_light(artist, area)


def fold_but(panel):
    """Let Limelight's panels start folded, as an artist folds them, but for one."""
    classes = sys.modules["limelight.panels"].classes()
    panels = [cls for cls in classes if issubclass(cls, bpy.types.Panel) and not hasattr(cls, "bl_parent_id")]
    children = [cls for cls in classes if issubclass(cls, bpy.types.Panel) and hasattr(cls, "bl_parent_id")]
    for cls in (*children, *panels):
        bpy.utils.unregister_class(cls)
    for cls in panels:
        cls.bl_options = set() if cls.__name__ == panel else {"DEFAULT_CLOSED"}
    for cls in (*panels, *children):
        bpy.utils.register_class(cls)


def made_heads():
    """The heads of the scene."""
    return sys.modules["limelight.scene.heads"].heads(bpy.context.scene)


def landmark(image, index):
    """Where a landmark is on the image, from its bottom left."""
    u, v = json.loads(image.limelight.faces[0].points)[2 * index : 2 * index + 2]
    return u, 1 - v


def drag_landmarks(artist, region):
    """Drag the chin down, undo that, drag it again and leave by Esc; what the file says each time."""
    image = bpy.context.scene.limelight.face.picture
    name, chin, down = image.name, 152, 30

    def place():
        return landmark(bpy.data.images[name], chin)

    def pixel():
        x, y = region.view2d.view_to_region(*place(), clip=False)
        return region.x + x, region.y + y

    def drag(end):
        x, y = pixel()
        for step in (9, 4, 1, 0):
            artist.move(x + step, y)
            yield 0.3
        artist.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=int(x), y=int(y))
        yield 0.3
        for step in range(1, 7):
            artist.move(x, y - down * step / 6)
            yield 0.15
        yield from end(x, y - down)
        yield 0.5

    def release(x, y):
        artist.shot("b_dragging")
        artist.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=int(x), y=int(y))
        yield 0.2

    def escape(x, y):
        yield from artist.key("ESC", x, y)
        artist.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=int(x), y=int(y))

    before = pixel()
    artist.notes["before"] = place()
    yield from drag(release)
    artist.notes["dragged"], artist.notes["pixels"] = place(), before[1] - pixel()[1]
    artist.shot("c_dragged")
    yield from artist.key("Z", before[0] + 60, before[1], ctrl=True)
    yield 0.6
    artist.notes["undone"] = place()
    yield from drag(escape)
    artist.notes["escaped"] = place()
    yield from drag(release)
    artist.notes["again"] = place()


def head_and_light(artist, area):
    """Make the head, look at it through the camera, light it like the photo, take another guess, undo that."""
    manager, scene = bpy.context.window_manager.limelight, bpy.context.scene
    artist.operator("limelight.face_make", "IMAGE_EDITOR")
    yield from until(lambda: not manager.running and made_heads(), 400)
    artist.notes["made"] = [manager.message, [head.name for head in made_heads()]]
    area.type = "VIEW_3D"
    yield 0.5
    area.spaces.active.show_region_ui = True
    fold_but("LIMELIGHT_PT_face")
    yield from open_tab(artist, "LIMELIGHT_PT_face")
    yield from widen_sidebar(artist)
    artist.operator("limelight.face_place")
    fill_view(artist)
    space = artist.area("VIEW_3D").spaces.active
    for part in ("show_floor", "show_axis_x", "show_axis_y", "show_relationship_lines", "show_extras"):
        setattr(space.overlay, part, False)
    yield 1.0
    artist.shot("e_head")
    artist.operator("limelight.face_light")
    yield from until(lambda: not manager.running and scene.world and scene.world.limelight.probe, 400)
    artist.notes["lit"] = [manager.message, scene.world.limelight.probe]
    scene.render.engine, scene.cycles.preview_samples, scene.cycles.use_preview_denoising = "CYCLES", 48, False
    space.shading.type = "RENDERED"
    yield 8.0 if "engine" in ROOM else 150.0
    artist.shot("f_lit")
    space.shading.type = "SOLID"
    yield 0.5
    artist.operator("limelight.face_take", take=1)
    yield from until(lambda: not manager.running and made_heads()[0].limelight.head.seed == 1, 400)
    artist.notes["taken"] = [head.name for head in made_heads()]
    region = artist.region("WINDOW")
    yield from artist.key("Z", region.x + 300, region.y + 200, ctrl=True)
    yield 1.0
    artist.notes["after_undo"] = [head.limelight.head.seed for head in made_heads()]
