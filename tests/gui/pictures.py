# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut the guide's pictures out of the window tests' screenshots: ``python tests/gui/pictures.py``; it needs Pillow.

First run the tests with ``LIMELIGHT_ENGINE_PYTHON`` set, so that what the pictures show is a real estimate.
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
    ("first_look", "panels/1_first_look", (836, 82, 1058, 722)),
    ("photo", f"{REAL}/b_photo", (0, 0, 1280, 800)),
    ("placing", f"{REAL}/c_placing", (0, 28, 1058, 722)),
    ("running", f"{REAL}/e_running", (836, 250, 1058, 722)),
    ("lit", f"{REAL}/g_lit", (0, 28, 1058, 722)),
    ("light_panel", f"{REAL}/h_light_panel", (836, 386, 1058, 722)),
    ("frames", "over_frames/1_over_frames", (836, 140, 1058, 722)),
    ("relight", "relight_real_engine/o_wiped", (0, 28, 1058, 722)),
    ("landmarks", "face_real_engine/b_dragging", (0, 28, 1058, 722)),
    ("radius", "place/4_dragging", (280, 200, 800, 620)),
    ("preferences", "preferences_page/i_preferences", (172, 232, 684, 541)),
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
