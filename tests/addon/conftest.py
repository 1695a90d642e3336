# SPDX-License-Identifier: GPL-3.0-or-later
"""Every add-on test starts from an empty file, with Limelight registered and user settings of its own."""

import os
import sys
import tempfile

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="limelight-user-"))

import bpy
import numpy as np
import pytest


@pytest.fixture(scope="session")
def registered():
    """Limelight registered and enabled as Blender would, for the whole session."""
    import limelight

    entry = bpy.context.preferences.addons.new()
    entry.module = "limelight"
    limelight.register()
    yield limelight
    limelight.unregister()
    bpy.context.preferences.addons.remove(entry)


@pytest.fixture
def scene(registered):
    """An empty scene that renders quickly."""
    bpy.ops.wm.read_homefile(use_empty=True)
    empty = bpy.context.scene
    empty.render.engine = "CYCLES"
    empty.cycles.samples = 16
    empty.cycles.use_denoising = False
    empty.render.threads_mode, empty.render.threads = "FIXED", 1
    empty.render.resolution_x, empty.render.resolution_y = 48, 32
    return empty


_status = 0


def pytest_sessionfinish(session, exitstatus):
    """Remember how the tests ended."""
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Leave without Python's shutdown where that crashes.

    The bpy 4.2 module dies in the destructor of its space types after any property with an update callback was
    registered (three lines reproduce it; 5.0 and 5.2 are fine), which would turn passed tests into a failed run.
    """
    if bpy.app.version < (4, 3):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)


#: What a small head has: sliders for expressions, and how many for the identity.
EXPRESSIONS = ("jawOpen", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeLookDownLeft")
_ROWS, _COLUMNS, _SLIDERS = 6, 8, 2


def write_picture(path, colour, size=(8, 8)):
    """A PNG of one colour as it stands in the file."""
    image = bpy.data.images.new("out", *size, alpha=False)
    image.generated_color = (*colour, 1.0)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def small_head(seed=0):
    """The arrays of a ``head.npz``: an egg of quads, 10 cm across, with a chin, two eyes and some sliders."""
    rng = np.random.default_rng(seed)
    polar = np.linspace(0.25, np.pi - 0.25, _ROWS + 1)[:, None]
    around = np.arange(_COLUMNS) * 2 * np.pi / _COLUMNS
    egg = np.stack([np.sin(polar) * np.sin(around), -np.sin(polar) * np.cos(around), np.cos(polar) + 0 * around], -1)
    eyes = np.array([[-0.03, -0.02, 0.0], [0.03, -0.02, 0.0]])
    points = np.concatenate([egg.reshape(-1, 3) * (0.05, 0.06, 0.08) + (0, 0.04, -0.02), eyes]).astype(np.float32)
    row, column = (a.ravel() for a in np.meshgrid(np.arange(_ROWS), np.arange(_COLUMNS), indexing="ij"))
    after = (column + 1) % _COLUMNS
    above, below = row * _COLUMNS, (row + 1) * _COLUMNS
    corners = [below + column, below + after, above + after, above + column]
    places = [(column, row + 1), (column + 1, row + 1), (column + 1, row), (column, row)]
    uv = np.stack([np.stack([u / _COLUMNS, 1 - v / _ROWS], -1) for u, v in places], 1)
    expression = np.zeros((len(EXPRESSIONS), len(points), 3), np.float16)
    expression[0, row.max() * _COLUMNS : -2, 2] = -0.02
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    return {
        "points": points,
        "expression_names": np.array(EXPRESSIONS),
        "expression": expression,
        "expression_value": np.array([0.5, 0.2, 0.0, 0.0, 0.0], np.float32),
        "identity": (rng.normal(size=(_SLIDERS, len(points), 3)) * 0.002).astype(np.float16),
        "identity_value": np.array([1.5, -0.5], np.float32),
        "faces": np.stack(corners, 1),
        "uv": uv.astype(np.float32),
        "material": np.where(row == _ROWS - 1, 1, np.where(row == 0, 2, 0)).astype(np.int32),
        "material_names": np.array(["skin", "neck", "mouth"]),
        "eyes": points[-2:],
        "eye_radius": np.float32(0.012),
        "gaze": np.array([[0.0, -1.0, 0.0], [0.6, -0.8, 0.0]], np.float32),
        "rotation": turn,
        "translation": np.array([0.03, -0.02, -0.9]),
        "fov_x_deg": np.float64(30.0),
        "light": np.concatenate([np.full((1, 3), 4.0), np.zeros((8, 3))]),
        "size": np.array([60, 80]),
        "landmarks": np.zeros((468, 2), np.float32),
    }


@pytest.fixture
def write_head():
    """``write_head(folder, **arrays)``: what the engine leaves of a portrait; arrays replace those of a small head."""

    def write(folder, diffuse=(0.8, 0.6, 0.5), **arrays):
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "head.npz", **small_head() | arrays)
        pictures = {"diffuse_albedo": diffuse, "normal": (0.5, 0.5, 1.0)}
        pictures |= {"specular_albedo": (0.4,) * 3, "roughness": (0.6,) * 3}
        for name, colour in (pictures | {"eye": (0.9, 0.85, 0.8), "overlay": (0.3,) * 3}).items():
            write_picture(folder / f"{name}.png", colour)
        return folder

    return write
