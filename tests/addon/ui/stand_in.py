# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in engine of these tests was told; the fixture ``engine`` starts it."""

import json

from limelight import preferences


def asked():
    """The parameters of the last request."""
    return json.loads((preferences.ROOT / "asked.json").read_text())
