# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality and speed of the HDR fit from perfect 8-bit brackets, against its baselines in the same run.

``python bridge/launch.py benchmarks.fit [HDRI.exr …] [--only-fit] [--json FILE]``. Without files: the maps of the
studio lights of any ``bpy`` wheel found below ``.envs``, or else two synthetic ones. Tells which maps keep the limits,
and ends with 1 if one does not.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backend.limo.fit import fit
from ..backend.limo.merge import merge_bracket, unwrap
from ..backend.limo.painter import Spheres
from ..backend.limo.renderer import Renderer
from ..backend.optics import exr, shading
from ..backend.optics import panorama as pano
from ..backend.optics.exposure import EVS, auto_exposure_gain, expose, srgb_oetf
from ..backend.optics.sphere import SphereView

HEIGHTS = (64, 128, 256)
#: The diffuse sphere's error, the colour's angle, and processor seconds by the map's height. Of the brightest texel,
#: where a ball of 64 pixels can tell it.
LIMITS = {"diffuse_rmse": 0.005, "colour_angle_deg": 0.1}
SECONDS = {64: 3.0, 256: 10.0}
PEAK, PEAK_HEIGHT = 0.3, 64
ROOT = Path(__file__).resolve().parent.parent
VIEW = SphereView(torch.tensor([0.2, -0.3, -2.0]), 0.15, 64)


def synthetic() -> dict[str, Tensor]:
    """Two asymmetric maps (256, 512, 3): a soft one, and one with a small strong sun."""
    d = pano.directions(256)
    tint = torch.stack([1.2 + d[..., 0], 1 + 0.2 * d[..., 1], 1.2 - d[..., 0]], -1)
    soft = 0.25 * tint * (1 + 0.5 * torch.sin(7 * d[..., 0] + 3 * d[..., 1]) * torch.cos(5 * d[..., 2]))[..., None]
    sunny = soft.clone()
    sunny[60:63, 140:143] += 3000.0
    return {"synthetic soft": soft, "synthetic sun": sunny}


def load(files: list[Path]) -> dict[str, Tensor]:
    """The maps to test, 512 × 256, exposed as a photo of them would be."""
    if not files:
        found = sorted(ROOT.glob(".envs/*/lib/python*/site-packages/bpy/*/datafiles/studiolights/world/*.exr"))
        files = list({path.name: path for path in found}.values())
    if not files:
        return synthetic()
    maps = {path.stem: pano.resize(exr.read_panorama(path)[0].clamp(min=0), 256) for path in files}
    return {name: env * auto_exposure_gain(env) for name, env in maps.items()}


def diffuse_sphere(env: Tensor) -> Tensor:
    """The reference: cosines of 64 rows, each block with its light's mean direction, (S, S, 3)."""
    return shading.irradiance(env, VIEW.normals, height=min(64, env.shape[0])) / math.pi * VIEW.mask[..., None]


def perfect(env: Tensor) -> Spheres:
    """8-bit brackets of both spheres; with fewer rays a pixel at the outline misses a sun of half a degree."""
    balls = (shading.mirror_sphere(env, VIEW, 24), diffuse_sphere(env))
    mirror, diffuse = ((torch.stack([expose(ball, ev) for ev in EVS]) * 255).round() / 255 for ball in balls)
    return Spheres(VIEW, mirror, diffuse)


def merge_only(spheres: Spheres, height: int) -> Tensor:
    """Baseline: the mirror's merged bracket, unwrapped."""
    radiance, _ = merge_bracket(spheres.mirror, spheres.evs)
    return torch.exp2(unwrap(radiance.clamp(min=2**-12).log2(), spheres.view, height))


def plain_adam(spheres: Spheres, height: int, steps: int = 300) -> Tensor:
    """Baseline: log2 radiance of each texel from grey, Adam, exact cosines, all exposures; enlarged from 64 rows."""
    renderer = Renderer(spheres.view, 64)
    mask = spheres.view.mask
    stride = spheres.mirror[:, mask].shape[1] // renderer.diffuse(torch.ones(64, 128, 3)).shape[0]
    logs = torch.full((64, 128, 3), -1.0, requires_grad=True)
    optimiser = torch.optim.Adam([logs], lr=0.1)
    gains = torch.tensor([2.0**ev for ev in spheres.evs])[:, None, None]
    shots = (
        (renderer.mirror, spheres.mirror[:, mask]),
        (renderer.diffuse, spheres.diffuse[:, mask][:, ::stride]),
    )
    for _ in range(steps):
        env = torch.exp2(logs)
        loss = torch.zeros(())
        for render, seen in shots:
            shown = srgb_oetf((render(env) * gains).clamp(min=1e-7))
            open_ = ~((seen > 0.9) & (shown > 0.9))
            shown = shown[:, : seen.shape[1]]
            loss = loss + ((shown - seen) ** 2 * open_).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return pano.resize(torch.exp2(logs).detach(), height)


def measure(env: Tensor, found: Tensor) -> dict[str, float]:
    """Relit errors at EV 0 (RMSE over pixels, channels summed), colour angle in degrees, brightest texel's ratio."""
    mask = VIEW.mask
    balls = [
        [make(e)[mask] for e in (found, env)] for make in (diffuse_sphere, lambda e: shading.mirror_sphere(e, VIEW))
    ]
    rmse = [float((expose(a, 0) - expose(b, 0)).square().sum(-1).mean().sqrt()) for a, b in balls]
    cosine = torch.nn.functional.cosine_similarity(balls[0][0].double(), balls[0][1].double(), dim=-1)
    coarse = [float(pano.resize(e, 64).max()) for e in (found, env)]
    return {
        "diffuse_rmse": rmse[0],
        "mirror_rmse": rmse[1],
        "colour_angle_deg": float(torch.rad2deg(cosine.clamp(-1, 1).acos()).mean()),
        "peak_ratio": float(found.max() / pano.resize(env, found.shape[0]).max()),
        "peak_ratio_128x64": coarse[0] / coarse[1],
    }


def missed(row: dict[str, Any]) -> list[str]:
    """Which limits a row of the table does not keep."""
    names = [name for name, limit in LIMITS.items() if row[name] > limit]
    if row["height"] == PEAK_HEIGHT and abs(row["peak_ratio"] - 1) > PEAK:
        names.append("peak_ratio")
    return names + ["cpu_s"] * (row["cpu_s"] > SECONDS.get(row["height"], math.inf))


def judge(rows: list[dict[str, Any]]) -> bool:
    """Print how the fit does against the limits; whether it keeps all of them."""
    fits = [row for row in rows if row["method"] == "fit"]
    for height in sorted({row["height"] for row in fits}):
        here = [row for row in fits if row["height"] == height]
        kept = sum(not missed(row) for row in here)
        off = sum(abs(math.log(row["peak_ratio"])) for row in here) / len(here)
        print(f"{2 * height}x{height}: {kept} of {len(here)} maps keep all limits; mean |log peak ratio| {off:.2f}")
    for row in fits:
        if names := missed(row):
            values = ", ".join(f"{name} {row[name]:.3g}" for name in names)
            print(f"FAIL {row['map']} {2 * row['height']}x{row['height']}: {values}")
    passed = not any(map(missed, fits))
    print("PASS" if passed else "FAIL")
    return passed


def main() -> int:
    """Print the table and the verdict; write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only-fit", action="store_true", help="leave the baselines out")
    parser.add_argument("--heights", type=int, nargs="+", default=HEIGHTS)
    options = parser.parse_args()
    methods: dict[str, Callable[[Spheres, int], Tensor]] = {
        "fit": lambda spheres, height: fit(spheres, height=height),
    }
    if not options.only_fit:
        methods |= {"merge": merge_only, "adam300": plain_adam}
    rows: list[dict[str, Any]] = []
    # The first fit of a process loads torch's optimisers, a second that benchmarks.speed counts with the first HDRI.
    fit(perfect(torch.ones(16, 32, 3)), height=16)
    print(f"{'map':16s} {'size':8s} {'method':8s} diffuse  mirror   angle    peak  peak64  cpu s  wall s")
    for name, env in load(options.files).items():
        spheres = perfect(env)
        for height in options.heights:
            for method, solve in methods.items():
                cpu, wall = time.process_time(), time.monotonic()
                found = solve(spheres, height)
                seconds = {"cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall}
                row = {"map": name, "height": height, "method": method, **measure(env, found), **seconds}
                rows.append(row)
                print(
                    f"{name:16s} {2 * height}x{height:<4d} {method:8s}"
                    f" {row['diffuse_rmse']:.4f}  {row['mirror_rmse']:.4f}"
                    f"  {row['colour_angle_deg']:6.3f}  {row['peak_ratio']:6.2f}  {row['peak_ratio_128x64']:6.2f}"
                    f"  {row['cpu_s']:5.2f}  {row['wall_s']:5.2f}",
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if judge(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
