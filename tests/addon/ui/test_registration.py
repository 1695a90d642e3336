# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling adds what it says, describes all of it, costs nothing, and disabling leaves nothing."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import bpy
from limelight import operators, panels, preferences
from limelight.operators import watch

ROOT = Path(__file__).resolve().parents[3]

_BIND = """
    import importlib.util, os, sys, time
    import bpy
    spec = importlib.util.spec_from_file_location("launch", r"{root}/bridge/launch.py")
    launch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch)
    launch.bind_package()
    import limelight
"""
_ROUND_TRIP = """
    assert not [name for name in sys.modules if name.startswith("limelight.")], "importing it loads more than it"

    def everything():
        handlers = {{n: len(h) for n in dir(bpy.app.handlers) if isinstance(h := getattr(bpy.app.handlers, n), list)}}
        operators = {{g + "." + o for g in dir(bpy.ops) for o in dir(getattr(bpy.ops, g))}}
        owners = {{t: set(dir(getattr(bpy.types, t))) for t in ("Scene", "Object", "World", "WindowManager")}}
        return set(dir(bpy.types)), operators, owners, handlers

    before, heavy = everything(), "numpy" in sys.modules  # Blender 5.2 loads it by itself
    started = time.process_time()
    limelight.register()
    seconds = time.process_time() - started
    during = everything()
    assert "torch" not in sys.modules
    assert "limelight.bridge" not in sys.modules, "the wire is loaded when it is first used"
    assert heavy or "numpy" not in sys.modules, "numpy takes longer to load than all of the add-on"
    limelight.unregister()
    assert everything() == before, "something was left behind"
    assert during[0] > before[0] and "limelight.estimate" in during[1] and "limelight" in during[2]["Scene"]
    limelight.register()
    limelight.unregister()
    assert everything() == before, "something was left behind the second time"
    print("SECONDS", seconds)
    sys.stdout.flush()
    os._exit(0)  # bpy 4.2 crashes in its own shutdown, see conftest.py
"""
_BROKEN = """
    from limelight.operators import watch

    before = set(dir(bpy.types))

    def broken():
        raise RuntimeError("no handlers today")

    watch.register = broken
    try:
        limelight.register()
    except RuntimeError as error:
        assert "no handlers today" in str(error)
    else:
        raise AssertionError("the error was swallowed")
    assert set(dir(bpy.types)) == before
    os._exit(0)
"""


def run(program, **environment):
    """Run ``program`` in a fresh Python with bpy and the package bound; returns what it printed."""
    source = textwrap.dedent(_BIND).format(root=ROOT) + textwrap.dedent(program).format()
    variables = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_disabling_leaves_nothing_and_enabling_is_quick(tmp_path):
    # Blender keeps compiled modules, so only the first start after an installation compiles them.
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    seconds = min(float(run(_ROUND_TRIP, **kept).split("SECONDS")[1]) for _ in range(5))
    assert seconds <= 0.1, f"enabling took {seconds:.3f} s"


def test_a_failing_part_takes_everything_back():
    run(_BROKEN)


def test_every_operator_and_property_says_what_it_does(registered):
    for cls in (*operators.classes(), *panels.classes(), *preferences.CLASSES):
        rna = cls.bl_rna
        if issubclass(cls, bpy.types.Operator):
            rna = getattr(bpy.ops.limelight, cls.bl_idname.split(".")[1]).get_rna_type()
            assert len(rna.description) > 20 and "\n" not in rna.description, cls
            assert not rna.description.endswith("."), f"Blender adds the full stop itself: {cls}"
        for name in getattr(cls, "__annotations__", {}):
            prop = rna.properties[name]
            assert prop.description and prop.name, f"{cls.__name__}.{name}"
            assert not prop.description.endswith("."), f"{cls.__name__}.{name}"
    for owner in (bpy.types.Scene, bpy.types.Object, bpy.types.World, bpy.types.WindowManager):
        group = owner.bl_rna.properties["limelight"].fixed_type
        for prop in group.properties:
            assert prop.identifier in {"rna_type", "name"} or prop.description, f"{group.identifier}.{prop.identifier}"


def test_operator_names_are_as_documented(registered):
    found = {f"limelight.{name}" for name in dir(bpy.ops.limelight)}
    expected = """add_probe add_probe_image estimate cancel apply_world apply_lamps apply_domes setup_composite
        bake_truth mark_asset set_plate clear_plate add_camera setup_engine remove_engine doctor delete_probe
        select_probe reveal_probe"""
    assert {f"limelight.{name}" for name in expected.split()} <= found


def test_a_refresh_is_cheap(scene, camera):
    for number in range(20):
        bpy.ops.limelight.add_probe(location=(number, 0, 1), radius=0.1)
    seconds = []
    for _ in range(20):
        started = time.process_time()
        watch.refresh(bpy.context)
        seconds.append(time.process_time() - started)
    assert sorted(seconds)[10] <= 0.005, f"a refresh took {sorted(seconds)[10] * 1000:.1f} ms"
