# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist does in the window tests: each scenario is a generator of pauses, played by ``drive.py``."""

import json
import os
from pathlib import Path

import bpy
from drive import until

ROOM = json.loads(os.environ.get("LIMELIGHT_GUI", "{}"))


def open_tab(artist, panel="LIMELIGHT_PT_probes"):
    """Click down the sidebar's tabs until Limelight's panels are drawn."""
    view = artist.area("VIEW_3D").spaces.active
    view.show_region_ui = True
    yield 0.6
    artist.watch_draw(getattr(bpy.types, panel))
    sidebar = artist.region("UI")
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


def widen_sidebar(artist, pixels=70):
    """Drag the sidebar's edge to the left."""
    sidebar = artist.region("UI")
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
    yield from until(lambda: len(bpy.context.window_manager.limelight_interface.probe_rows) == 1, 5)
    artist.move(x + 150, y - 120)
    yield 0.5
    artist.shot("3_placed")
    probe = bpy.context.active_object
    artist.notes["probe"] = {
        "name": probe.name, "location": list(probe.location), "radius": probe.limelight.radius,
        "is_probe": probe.limelight.is_probe,
    }
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


def folder_of(name):
    """A path that the test handed over."""
    return Path(ROOM[name])
