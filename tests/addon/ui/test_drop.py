# SPDX-License-Identifier: GPL-3.0-or-later
"""Files dropped on a 3D viewport, by Blender's own operator for drops; without a window it takes the first offer."""

import contextlib
import math

import bpy
import pytest
from limelight.scene import plate
from limelight.tests.addon import splat_files

pytestmark = pytest.mark.skipif(not hasattr(bpy.types, "FileHandler"), reason="this Blender takes no dropped files")


def over(kind="VIEW_3D"):
    """The context of a drop over an editor."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = kind
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region)


def offers(extension):
    """The file handlers, Blender's own among them, that take such a file where the context is."""
    handlers = [cls for cls in bpy.types.FileHandler.__subclasses__() if cls.is_registered]
    return [h for h in handlers if extension in h.bl_file_extensions.split(";") and h.poll_drop(bpy.context)]


def ours(extension):
    """The names of Limelight's operators among these offers."""
    found = [handler.bl_import_operator.partition(".") for handler in offers(extension)]
    return [name for module, _, name in found if module == "limelight"]


@contextlib.contextmanager
def chosen(operator, extension):
    """As if the artist had chosen this operator from the menu: no other one is offered."""
    others = [handler for handler in offers(extension) if handler.bl_import_operator != operator]
    for handler in others:
        bpy.utils.unregister_class(handler)
    try:
        yield
    finally:
        for handler in others:
            bpy.utils.register_class(handler)


def drop(operator, folder, *names):
    """Drop files of a folder on a viewport and choose an operator for them."""
    with over(), chosen(operator, names[0][names[0].rindex(".") :]):
        return bpy.ops.wm.drop_import_file(directory=f"{folder}/", files=[{"name": name} for name in names])


@pytest.fixture
def photos(scene, tmp_path):
    """A folder with the photos Ada ä.png and Bob.png."""
    for name, size in (("Ada ä.png", (8, 10)), ("Bob.png", (12, 8))):
        image = bpy.data.images.new(name, *size)
        image.filepath_raw, image.file_format = str(tmp_path / name), "PNG"
        image.save()
        bpy.data.images.remove(image)
    return tmp_path


def test_a_dropped_portrait_is_what_the_dialogue_would_have_chosen(photos, scene):
    assert drop("limelight.face_picture", photos, "Ada ä.png") == {"FINISHED"}
    dropped, settings = scene.limelight.face.picture, scene.limelight.face
    assert dropped.name == "Ada ä.png" and tuple(dropped.size) == (8, 10) and scene.limelight.plate is None
    settings.picture = None
    assert bpy.ops.limelight.face_picture(filepath=str(photos / "Ada ä.png")) == {"FINISHED"}
    assert settings.picture == dropped and len(bpy.data.images) == 1


def test_a_dropped_photo_is_the_plate(photos, scene):
    assert drop("limelight.set_plate", photos, "Ada ä.png") == {"FINISHED"}
    assert tuple(scene.limelight.plate.size) == (8, 10) and scene.limelight.face.picture is None


def test_a_view_angle_is_for_one_photo_alone(photos, scene):
    for name, fov in (("Ada ä.png", {"fov": 0.3}), ("Bob.png", {})):
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            bpy.ops.limelight.set_plate("INVOKE_DEFAULT", True, filepath=str(photos / name), **fov)
    assert scene.camera.data.angle_x == pytest.approx(math.radians(plate.DEFAULT_FOV_DEG))


def test_of_several_portraits_the_first_is_taken(photos, scene):
    assert drop("limelight.face_picture", photos, "Bob.png", "Ada ä.png") == {"FINISHED"}
    assert scene.limelight.face.picture.name == "Bob.png"


def test_all_splats_that_are_dropped_at_once_come_in(scene, tmp_path):
    names, values = splat_files.rows([[0, 0, 0]], [[0.5, 0.5, 0.5]], 0.5, 0.1)
    for name in ("a.ply", "b ä.ply", "c.ply"):
        splat_files.write(tmp_path / name, names, values)
    assert drop("limelight.import_splats", tmp_path, "a.ply", "b ä.ply", "c.ply") == {"FINISHED"}
    assert sorted(thing.name for thing in scene.objects) == ["a", "b ä", "c"]


@pytest.mark.parametrize("extension", [".jpg", ".png", ".exr"])
def test_a_picture_is_offered_for_both_uses_by_names_that_tell_them_apart(scene, extension):
    with over():
        names = [getattr(bpy.ops.limelight, name).get_rna_type().name for name in ours(extension)]
    assert sorted(names) == ["Use as Photo for Light", "Use as Portrait for a Head"]


def test_splats_and_movies_are_no_portraits(scene):
    with over():
        assert ours(".mp4") == ["set_plate"] and ours(".ply") == ["import_splats"]
        assert not ours(".txt")


@pytest.mark.parametrize("kind", ["IMAGE_EDITOR", "NODE_EDITOR", "OUTLINER"])
def test_other_editors_keep_their_own_use_of_pictures(scene, kind):
    with over(kind):
        assert not ours(".png")
