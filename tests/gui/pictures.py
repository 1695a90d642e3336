# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut the guide's pictures out of the window tests' screenshots: ``python tests/gui/pictures.py``; it needs Pillow.

First run the tests with ``LIMELIGHT_ENGINE_PYTHON`` set, so that what the pictures show is a real estimate, and with
``LIMELIGHT_BLENDER`` naming a Blender 5.2: where things are is measured in its window.
"""

import os
import tempfile
from pathlib import Path

from PIL import Image

SHOTS = Path(os.environ.get("LIMELIGHT_SCREENSHOTS", Path(tempfile.gettempdir()) / "limelight-screenshots"))
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
REAL = "photo_to_light_real_engine"
WIDEST = 760
#: The guide's picture, the screenshot, and what of it (left, top, right, bottom).
CUTS = (
    ("drop", "drop/r_dropped", (0, 128, 1050, 560)),
    ("first_look", "panels/1_first_look", (766, 82, 1050, 722)),
    ("photo", f"{REAL}/b_photo", (0, 0, 1280, 800)),
    ("placing", f"{REAL}/c_placing", (0, 28, 1050, 722)),
    ("running", f"{REAL}/e_running", (766, 416, 1050, 722)),
    ("lit", f"{REAL}/g_lit", (0, 28, 1050, 722)),
    ("light_panel", f"{REAL}/h_light_panel", (766, 334, 1050, 632)),
    ("frames", "over_frames/1_over_frames", (766, 140, 1050, 722)),
    ("truth", "truth/1_truth", (330, 82, 1050, 602)),
    ("textures", "scan/1_textures", (410, 252, 1050, 618)),
    ("relight", "relight_real_engine/o_wiped", (0, 28, 1050, 722)),
    ("landmarks", "face_real_engine/b_dragging", (0, 28, 1050, 722)),
    ("radius", "place/4_dragging", (250, 200, 770, 620)),
    ("preferences", "preferences_page/i_preferences", (275, 128, 965, 410)),
)


def main() -> None:
    """Write all pictures."""
    for name, shot, box in CUTS:
        picture = Image.open(SHOTS / f"{shot}.png").convert("RGB").crop(box)
        if picture.width > WIDEST:
            picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS)
        picture.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
