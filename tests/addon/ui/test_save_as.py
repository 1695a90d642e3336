# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of settings in a file that is saved to another folder."""

import bpy
import pytest
from limelight.scene import paths


@pytest.fixture
def file(scene, tmp_path):
    """A saved file with a depth map, numbered ones and a folder of light beside it, and folders that are not there."""
    (tmp_path / "limelight").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "new" / "deep").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    settings = bpy.context.scene.limelight
    settings.depth_file, settings.capture.source = "//maps/####.exr", "//gone"
    settings.relight.model, settings.capture.folder = "large", str(tmp_path)
    return settings


def test_settings_go_on_to_mean_the_same_places(file, tmp_path):
    before = [str(paths.of_setting(path)) for path in (file.frames.folder, file.depth_file)]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "new" / "deep" / "b.blend"))
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    settings = bpy.context.scene.limelight
    assert (settings.frames.folder, settings.depth_file) == ("//../../limelight", "//../../maps/####.exr")
    assert [str(paths.of_setting(p).resolve()) for p in (settings.frames.folder, settings.depth_file)] == before
    rest = settings.capture.source, settings.relight.model, settings.capture.folder
    assert rest == ("//gone", "large", str(tmp_path))


def test_a_path_without_slashes_starts_at_the_file_and_moves_with_it(file, tmp_path):
    file.depth_file, file.frames.folder, file.capture.start, file.face.head_folder = "maps/#.exr", "limelight", "", "~"
    before = [str(paths.of_setting(path)) for path in (file.frames.folder, file.depth_file)]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "new" / "b.blend"))
    assert [str(paths.of_setting(p).resolve()) for p in (file.frames.folder, file.depth_file)] == before
    assert (file.capture.start, file.face.head_folder) == ("", "~")


def test_a_relit_picture_knows_its_model_after_a_save_elsewhere(file, tmp_path):
    image = bpy.data.images.new("relit", 4, 4)
    image.use_fake_user = True
    image.limelight.number, image.limelight.model = 1, "//maps"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "new" / "b.blend"))
    assert image.limelight.model == "//../maps"


def test_the_open_file_stays_as_it_is_where_a_copy_is_saved(file, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "new" / "b.blend"), copy=True)
    assert (file.frames.folder, file.depth_file) == ("//limelight", "//maps/####.exr")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "new" / "b.blend"))
    assert bpy.context.scene.limelight.frames.folder == "//../limelight"


def test_beside_the_old_file_nothing_changes(file, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "b.blend"))
    assert file.frames.folder == "//limelight"
