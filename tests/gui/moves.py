# SPDX-License-Identifier: GPL-3.0-or-later
"""What every scenario's artist does with the window: fold panels, find the Limelight tab, make room."""

import bpy
from addon import module


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


def fold_but(panel):
    """Let Limelight's panels start folded, as an artist folds them, but for one."""
    classes = module("panels").classes()
    panels = [cls for cls in classes if issubclass(cls, bpy.types.Panel) and not hasattr(cls, "bl_parent_id")]
    children = [cls for cls in classes if issubclass(cls, bpy.types.Panel) and hasattr(cls, "bl_parent_id")]
    for cls in (*children, *panels):
        bpy.utils.unregister_class(cls)
    for cls in panels:
        cls.bl_options = set() if cls.__name__ == panel else {"DEFAULT_CLOSED"}
    for cls in (*panels, *children):
        bpy.utils.register_class(cls)


def fill_view(artist):
    """Zoom and shift the camera's view until the photo fills what the sidebar leaves free."""
    view = artist.area("VIEW_3D").spaces.active.region_3d
    view.view_camera_zoom, view.view_camera_offset = 10.0, (0.1, 0.0)
