# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the scene stand in it."""

import bpy
import pytest


@pytest.fixture
def add_camera():
    """Put a camera with Blender's settings into a scene, as its active one; returns it."""

    def add(scene):
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(camera)
        scene.camera = camera
        return camera

    return add
