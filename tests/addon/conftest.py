# SPDX-License-Identifier: GPL-3.0-or-later
"""Every add-on test starts from an empty file, with Limelight registered and user settings of its own."""

import os
import tempfile

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="limelight-user-"))

import bpy
import pytest


@pytest.fixture(scope="session")
def registered():
    """Limelight registered for the whole session."""
    import limelight

    limelight.register()
    yield limelight
    limelight.unregister()


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
