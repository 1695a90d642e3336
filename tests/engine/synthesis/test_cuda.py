# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA build of the kernels, on a device where there is one and in Numba's simulator everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
sys.path.insert(0, "bridge")
import launch
launch.bind_package()
import numpy as np
from limelight.synthesis import tracer
from limelight.synthesis.scene import SceneBuilder
b = SceneBuilder()
wall = b.material((0.7, 0.6, 0.5), (0.2, 0.3, 0.4), texture="bricks", specular=0.04, roughness=0.3)
b.set_room((-2, -2, 0), (2, 2, 2.5), [wall] * 6)
b.group([((-0.3, -0.3, 0), (0.3, 0.3, 0.6), wall)], (0, 0.5, 0), 0.4)
b.sphere((0.6, 0.2, 1), 0.2, b.material((0.7, 0.7, 0.7), roughness=0, metal=True))
b.sphere((-0.6, 0.2, 1.9), 0.2, b.material((1, 1, 1), radiance=(5, 4, 3)))
b.sky = np.ones((4, 8, 3), np.float32)
b.rect((-1.996, 0, 1.2), (0, 0.5, 0), (0, 0, 0.5), (1, 1, 1), window=True)
b.set_sun((-1, 0, 0.5), (9, 9, 9), 0.01)
y, x = np.mgrid[0:7, 0:7]
corners = np.stack([(x - 3) / 4, np.ones_like(x), -(y - 3) / 4], -1)
origin = np.array([0, -1.8, 1.2])
device = tracer.trace(b.build(), origin, corners, samples=2, seed=3, device="cuda")
host = tracer.trace(b.build(), origin, corners, samples=2, seed=3, threads=1)
assert host.radiance.max() > 0.1
for name, a, c in zip(host._fields, host, device):
    np.testing.assert_allclose(a, c, rtol=2e-3, atol=2e-4, err_msg=name)
print("agrees")
"""


def test_the_cuda_kernels_agree_with_the_cpu() -> None:
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert ran.stdout.strip() == "agrees", ran.stderr
