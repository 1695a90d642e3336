# SPDX-License-Identifier: GPL-3.0-or-later
"""The window test of faces: from a portrait to a lit head."""

import json

import bpy
from addon import module
from drive import until
from moves import close_splash, fill_view, fold_but, open_tab, widen_sidebar
from stand_in import ROOM, behave, prepare_engine, use_python


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


def made_heads():
    """The heads of the scene."""
    return module("scene.heads").heads(bpy.context.scene)


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
