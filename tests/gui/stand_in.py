# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of the window tests: the stand-in, with made-up light, or a real one."""

import json
import os
import shutil
from pathlib import Path

import bpy
from addon import module, preferences

# Paths that the test hands over: photo, preview, engine (the stand-in's file), root (to make for it), python,
# portrait (a folder with what the stand-in answers about one), eyes (a Python that takes screenshots).
ROOM = json.loads(os.environ.get("LIMELIGHT_GUI", "{}"))


def prepare_engine(seconds):
    """Make a root for the stand-in engine, with pictures to answer with, and name it in the preferences."""
    root = Path(ROOM["root"])
    for name in ("bridge", "answer"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOM["engine"], root / "bridge" / "launch.py")
    shutil.copy(ROOM["preview"], root / "answer" / "preview.png")
    for name, width, height in (("environment", 128, 64), ("spheres", 160, 32)):
        write_sky(root / "answer" / f"{name}.exr", width, height)
    if "portrait" in ROOM:
        shutil.copytree(ROOM["portrait"], root / "answer", dirs_exist_ok=True)
    behave(seconds)
    module("preferences").ROOT = root
    use_python(ROOM["python"])


def write_relit(source, name="relit"):
    """What the stand-in answers when a picture is relit: the picture, warm and darker to the right."""
    width, height = source.size
    values = list(source.pixels)
    for index in range(0, len(values), 4):
        x = index // 4 % width / width
        for channel, tint in enumerate((1.15, 0.8, 0.5)):
            values[index + channel] = min(values[index + channel] * tint * (1.2 - 0.8 * x), 1.0)
    image = bpy.data.images.new(name, width, height)
    image.pixels[:] = values
    image.filepath_raw, image.file_format = str(Path(ROOM["root"]) / "answer" / f"{name}.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)


def use_python(path):
    """Let the preferences name an existing environment."""
    stored = preferences()
    stored.engine_source, stored.existing_python = "EXISTING", path


def behave(seconds):
    """How long the stand-in engine takes."""
    (Path(ROOM["root"]) / "behaviour.json").write_text(json.dumps({"seconds": seconds}))


def write_sky(path, width, height):
    """A blue sky over a brown ground with one bright sun, as EXR."""
    image = bpy.data.images.new("sky", width, height, float_buffer=True)
    pixels = []
    for y in range(height):
        for x in range(width):
            up = y / height
            colour = (0.4, 0.6, 1.0) if up > 0.5 else (0.25, 0.18, 0.12)
            if abs(x - width * 0.3) < width / 40 and abs(up - 0.75) < 0.04:
                colour = (90.0, 80.0, 60.0)
            pixels += [*colour, 1.0]
    image.pixels[:] = pixels
    image.filepath_raw, image.file_format = str(path), "OPEN_EXR"
    image.save()
    bpy.data.images.remove(image)
