# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on registered in the bpy module, an empty scene for each test, and a layout that records and checks."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.operators import engine_session
from limelight.scene import compat, editors
from limelight.tests.addon.ui.portrait import landmarks


@pytest.fixture
def scene(registered):
    """An empty scene with the add-on enabled."""
    bpy.ops.wm.read_homefile(use_empty=True)
    return bpy.context.scene


@pytest.fixture
def camera(scene):
    """A camera four metres in front of the origin, looking at it along +Y."""
    made = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(made)
    made.location, made.rotation_euler = (0.0, -4.0, 1.0), (1.5707963, 0.0, 0.0)
    scene.camera = made
    bpy.context.view_layer.update()
    return made


class Recorder:
    """Stands in for a ``UILayout``: checks every call against this Blender's RNA, remembers what was drawn."""

    _own = ("calls",)

    def __init__(self, calls=None):
        object.__setattr__(self, "calls", [] if calls is None else calls)

    def __setattr__(self, name, value):
        assert name in bpy.types.UILayout.bl_rna.properties, f"UILayout has no property {name}"

    def __getattr__(self, name):
        functions = bpy.types.UILayout.bl_rna.functions
        if name not in functions:
            raise AttributeError(name)
        known = functions[name].parameters

        def call(*args, **keywords):
            unknown = [k for k in keywords if k not in known and k not in {"text"}]
            assert not unknown, f"{name} knows no {unknown}"
            if "icon" in keywords:
                icons = functions["prop"].parameters["icon"].enum_items
                assert keywords["icon"] in icons, f"no icon {keywords['icon']}"
            return self._check(name, args, keywords)

        return call

    def _check(self, name, args, keywords):
        self.calls.append((name, args, keywords))
        if name == "prop":
            data, path = args[:2]
            # Custom properties are named as in a path: ["name"].
            there = path[2:-2] in data if path.startswith('["') else path in data.bl_rna.properties
            assert there, f"{data.bl_rna.identifier} has no property {path}"
        if name in {"row", "column", "box", "split", "column_flow"}:
            return Recorder(self.calls)
        if name == "operator":
            return Arguments(args[0])
        return None

    def texts(self):
        """Everything that was written, in order."""
        return [k.get("text", "") for _name, _args, k in self.calls]

    def operators(self):
        """The operators that got a button, in order."""
        return [args[0] for name, args, _k in self.calls if name == "operator"]


class Arguments:
    """The properties of a button's operator; only those that it has can be set."""

    def __init__(self, idname):
        group, function = idname.split(".")
        object.__setattr__(self, "_rna", getattr(getattr(bpy.ops, group), function).get_rna_type())

    def __setattr__(self, name, value):
        assert name in self._rna.properties, f"{self._rna.identifier} has no property {name}"


@pytest.fixture
def draw(scene):
    """``draw(panel_class, **context) -> Recorder``: run a panel's ``draw`` in a window-less Blender."""

    def run(panel, **extra):
        functions = {k: v for k, v in vars(panel).items() if callable(v) or isinstance(v, staticmethod)}
        recorder = Recorder()
        instance = type(panel.__name__, (), {**functions, "layout": recorder})()
        context = SimpleNamespace(
            scene=bpy.context.scene,
            view_layer=bpy.context.view_layer,
            window_manager=bpy.context.window_manager,
            preferences=bpy.context.preferences,
            region=None,
            space_data=None,
        )
        vars(context).update(extra)
        instance.draw(context)
        return recorder

    return run


def write_exr(path, pixels):
    """Write ``pixels`` (H, W, 3) linear float as an EXR file."""
    height, width, _ = pixels.shape
    image = bpy.data.images.new("out", width, height, float_buffer=True)
    compat.keep_values(image)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1]
    image.pixels.foreach_set(rgba.ravel())
    image.filepath_raw, image.file_format = str(path), "OPEN_EXR"
    image.save()
    bpy.data.images.remove(image)


@pytest.fixture
def stand_in(scene, tmp_path, monkeypatch):
    """A floor, and the stand-in engine configured in the preferences; returns ``behave(**behaviour)``."""
    root = tmp_path / "engine root ä"
    (root / "bridge").mkdir(parents=True)
    (root / "answer").mkdir()
    shutil.copy(Path(__file__).with_name("fake_engine.py"), root / "bridge" / "launch.py")
    monkeypatch.setattr(preferences, "ROOT", root)
    stored = preferences.addon_preferences(bpy.context)
    stored.engine_source, stored.existing_python = "EXISTING", sys.executable
    mesh = bpy.data.meshes.new("Floor")
    mesh.from_pydata([(-5, -5, 0), (5, -5, 0), (5, 5, 0), (-5, 5, 0)], [], [(0, 1, 2, 3)])
    scene.collection.objects.link(bpy.data.objects.new("Floor", mesh))

    def behave(**behaviour):
        (root / "behaviour.json").write_text(json.dumps(behaviour))

    yield behave
    engine_session.stop()
    stored.engine_source, stored.existing_python = "OWN", ""


@pytest.fixture
def engine(scene, camera, stand_in):
    """A scene with a floor and a probe, and the stand-in engine with answers; returns ``behave(**behaviour)``."""
    answer = preferences.ROOT / "answer"
    rng = np.random.default_rng(1)
    write_exr(answer / "environment.exr", rng.random((32, 64, 3), dtype=np.float32) * 4)
    write_exr(answer / "spheres.exr", rng.random((16, 80, 3), dtype=np.float32))
    write_exr(answer / "preview.png", rng.random((16, 80, 3), dtype=np.float32))
    depth = np.full((36, 64, 3), 4.0, np.float32)
    depth[:10] = 1e10
    write_exr(answer / "depth.exr", depth)
    stand_in(seconds=0.2)
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 36, 100
    bpy.ops.limelight.add_probe(location=(0.0, 0.0, 1.0), radius=0.1)
    return stand_in


@pytest.fixture
def portrait(engine, scene, write_head):
    """The chosen portrait, 80 × 100 pixels, open in an Image Editor; the engine finds two faces in it."""
    image = bpy.data.images.new("Ada.png", 80, 100)
    scene.limelight.face.picture = image
    editors.of_images()[0].image = image
    answer = preferences.ROOT / "answer"
    found = [{"box": [0, 0, 1, 1], "score": 0.9, "landmarks": landmarks(size=size)} for size in (0.4, 0.2)]
    (answer / "faces.json").write_text(json.dumps({"size": [80, 100], "faces": found, "warnings": []}))
    write_head(answer / "head")
    return image
