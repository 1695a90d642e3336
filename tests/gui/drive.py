# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside a real Blender window: plays a scenario step by step with simulated input, keeps screenshots and a report.

``start.py`` imports it (Blender frees a start script's own names early); ``scenarios.py`` and its like next to it
hold the scenarios as generators that yield the seconds to wait. The report is ``report.json`` in the folder; its
``error`` is a traceback if a step failed.
"""

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy
from stand_in import ROOM

SCENARIO, FOLDER = sys.argv[sys.argv.index("--") + 1 :][:2]
FOLDER = Path(FOLDER)


class Window:
    """Mouse, keyboard and eyes of the artist in the first window."""

    def __init__(self):
        self.window = bpy.context.window_manager.windows[0]
        self.notes = {}
        self._seen = set()

    def area(self, kind):
        """The first area of ``kind``."""
        return next(a for a in self.window.screen.areas if a.type == kind)

    def region(self, kind, area="VIEW_3D"):
        """The region ``kind`` of the first area of type ``area``."""
        return next(r for r in self.area(area).regions if r.type == kind)

    def move(self, x, y):
        """Move the mouse to window pixel (x, y), origin bottom left."""
        self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=int(x), y=int(y))

    def click(self, x, y):
        """Move there and click; a generator, because Blender needs time between events."""
        self.move(x - 1, y)
        yield 0.1
        self.move(x, y)
        yield 0.2
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate(type="LEFTMOUSE", value=value, x=int(x), y=int(y))
            yield 0.15

    def key(self, kind, x, y, **modifiers):
        """Press and release a key with the mouse at (x, y)."""
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate(type=kind, value=value, x=int(x), y=int(y), **modifiers)
            yield 0.15

    def shot(self, name):
        """Keep a picture of the whole window."""
        if bpy.app.version >= (4, 2):
            # Newer ones read a window that is drawn by software as black, so the display is asked for what it shows.
            grab = "import sys; from PIL import ImageGrab; ImageGrab.grab(xdisplay='').save(sys.argv[1])"
            subprocess.run([ROOM["eyes"], "-c", grab, str(FOLDER / f"{name}.png")], check=True)
            return
        with bpy.context.temp_override(window=self.window, screen=self.window.screen):
            bpy.ops.screen.screenshot(filepath=str(FOLDER / f"{name}.png"))

    def watch_draw(self, panel):
        """Count that ``panel`` was drawn from now on."""
        original = panel.draw

        def draw(this, context):
            self._seen.add(panel.__name__)
            original(this, context)

        panel.draw = draw

    def drawn(self, name):
        """Whether the panel called ``name`` was drawn since ``forget_draws``."""
        return name in self._seen

    def forget_draws(self):
        """Start counting anew."""
        self._seen.clear()

    def operator(self, name, area="VIEW_3D", **arguments):
        """Call an operator as its button would, from the main region of the first area of a type."""
        group, function = name.split(".")
        override = {"window": self.window, "screen": self.window.screen, "area": self.area(area),
                    "region": self.region("WINDOW", area)}
        with bpy.context.temp_override(**override):
            return getattr(getattr(bpy.ops, group), function)("INVOKE_DEFAULT", **arguments)


def until(condition, seconds):
    """Wait until ``condition()`` holds; yields, then returns whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        yield 0.2
    return bool(condition())


def finish(notes, error=""):
    """Write the report and quit Blender."""
    (FOLDER / "report.json").write_text(json.dumps({**notes, "error": error}, indent=1))
    bpy.ops.wm.quit_blender()


def main():
    """Play the scenario from a timer, so that Blender draws and handles events in between."""
    import drop_scenario
    import face_scenario
    import scenarios

    artist = Window()
    told = (drop_scenario, face_scenario, scenarios)
    steps = next(getattr(file, SCENARIO) for file in told if hasattr(file, SCENARIO))(artist)

    def tick():
        try:
            return next(steps)
        except StopIteration:
            finish(artist.notes)
        except Exception:
            artist.shot("failed")
            finish(artist.notes, traceback.format_exc())
        return None

    bpy.app.timers.register(tick, first_interval=2.0)

