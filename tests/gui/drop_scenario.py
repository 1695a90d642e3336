# SPDX-License-Identifier: GPL-3.0-or-later
"""The window test of dropping files: from a File Browser in the window onto the 3D viewport."""

from pathlib import Path

import bpy
from drive import until
from moves import close_splash
from stand_in import ROOM


def drop(artist):
    """A picture dropped twice, as the photo and as the portrait, and two files of splats at once."""
    yield from close_splash(artist)
    scene = bpy.context.scene
    picture, splats = Path(ROOM["picture"]), Path(ROOM["splats"])
    yield from open_browser(artist)
    yield from browse(artist, picture)
    artist.shot("q_browser")
    yield from drag(artist)
    artist.shot("r_dropped")
    yield from choose(artist, "U")
    yield from until(lambda: scene.limelight.plate is not None, 20)
    artist.shot("s_photo")
    artist.notes["photo"] = scene.limelight.plate and scene.limelight.plate.name
    yield from drag(artist)
    yield from choose(artist, "P")
    yield from until(lambda: scene.limelight.face.picture is not None, 20)
    artist.shot("t_portrait")
    artist.notes["portrait"] = scene.limelight.face.picture and scene.limelight.face.picture.name
    yield from browse(artist, splats)
    with bpy.context.temp_override(window=artist.window, **_files(artist)):
        bpy.ops.file.select_all(action="SELECT")
    yield 0.5
    before = set(scene.objects)
    yield from drag(artist)
    yield from choose(artist, "S")
    yield from until(lambda: set(scene.objects) - before, 60)
    artist.shot("u_splats")
    artist.notes["objects"] = [thing.name for thing in scene.objects if thing not in before]


def open_browser(artist):
    """Cut the left third of the viewport off for a File Browser."""
    area = artist.area("VIEW_3D")
    before = set(artist.window.screen.areas)
    with bpy.context.temp_override(window=artist.window, area=area, region=artist.region("WINDOW")):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.4)
    new = (set(artist.window.screen.areas) - before).pop()
    files = min(area, new, key=lambda a: a.x)
    files.ui_type = "FILES"
    yield 1.0
    files.spaces.active.show_region_toolbar = False
    files.spaces.active.params.display_type = "LIST_VERTICAL"
    yield 0.5


def browse(artist, path):
    """Show the folder of a file in a File Browser beside the viewport."""
    there = _files(artist)
    there["area"].spaces.active.params.directory = str(path.parent).encode()
    with bpy.context.temp_override(window=artist.window, **there):
        bpy.ops.file.refresh()
    yield 2.0


def _files(artist):
    """The context of the File Browser."""
    return {"area": artist.area("FILE_BROWSER"), "region": artist.region("WINDOW", "FILE_BROWSER")}


def drag(artist):
    """Take the first file of the browser to the middle of the viewport, and let go."""
    files, view = artist.region("WINDOW", "FILE_BROWSER"), artist.region("WINDOW")
    x, y = files.x + 60, files.y + files.height - 32
    to_x, to_y = view.x + view.width // 2, view.y + view.height // 2 + 100
    artist.move(x - 2, y)
    yield 0.2
    artist.move(x, y)
    yield 0.3
    artist.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield 0.3
    for step in range(1, 11):
        artist.move(x + (to_x - x) * step // 10, y + (to_y - y) * step // 10)
        yield 0.15
    artist.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=to_x, y=to_y)
    yield 1.0


def choose(artist, letter):
    """Take the entry with an underlined letter of the menu that Blender opens where several take a file."""
    view = artist.region("WINDOW")
    yield from artist.key(letter, view.x + view.width // 2, view.y + view.height // 2 + 100)
    yield 0.5
