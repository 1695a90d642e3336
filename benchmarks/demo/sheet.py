# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's numbers and contact sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...backend.optics import exr, metrics, shading
from ...backend.optics import panorama as pano
from ...backend.optics.exposure import expose
from ...backend.optics.sphere import SphereView

_VIEW = SphereView(torch.tensor([0.0, 0.0, -8.0]), 0.5, 128)
_PAPER, _INK = (24, 24, 26), (232, 230, 225)


def relight(panorama: Tensor, rotation: Tensor) -> dict[str, Tensor]:
    """Display pictures of the four balls under a world-frame map, seen by the camera with axes ``rotation``."""
    light = pano.to_camera(panorama, rotation)
    balls = {
        "mirror": shading.mirror_sphere(light, _VIEW),
        "glossy": shading.glossy_sphere(light, _VIEW, 0.25),
        "matte": shading.glossy_sphere(light, _VIEW, 0.5),
        "diffuse": shading.diffuse_sphere(light, _VIEW),
    }
    return {name: expose(ball, 0) for name, ball in balls.items()}


def compare(estimate: Tensor, truth: Tensor, rotation: Tensor) -> dict[str, Any]:
    """Scores of the estimate and of a constant grey with the truth's own mean, ball by ball."""
    height = truth.shape[0]
    grey = pano.mean_radiance(truth).mean().expand(height, 2 * height, 3)
    target = relight(truth, rotation)
    found: dict[str, Any] = {}
    for who, light in (("estimate", estimate), ("grey", grey)):
        balls = relight(light, rotation)
        found[who] = {name: metrics.scores(balls[name], target[name], _VIEW.mask) for name in target}
        found[who]["energy_ratio"] = metrics.energy_ratio(light, truth)
    found["peak_direction_error_deg"] = metrics.peak_direction_error(estimate, truth)
    return found


def make(out: Path) -> dict[str, Any]:
    """Write contact_sheet.png, scene_sheet.png and brackets.png; returns the report."""
    shots = {"Photo": "camera.json", "Scene": "scene_camera.json"}
    axes = {k: torch.tensor(json.loads((out / f).read_text())["camera_to_world"])[:3, :3] for k, f in shots.items()}
    pairs = {
        "Photo": (out / "photo" / "probe_0.exr", out / "truth.exr"),
        "Scene, lit probe": (out / "scene_lit.exr", out / "scene_lit_truth.exr"),
        "Scene, shaded probe": (out / "scene_shaded.exr", out / "scene_shaded_truth.exr"),
    }
    report: dict[str, Any] = {"probes": {}}
    maps = {name: tuple(exr.read_image(p)[..., :3] for p in paths) for name, paths in pairs.items()}
    for name, (estimate, truth) in maps.items():
        estimate = pano.resize(estimate, truth.shape[0]) if estimate.shape[0] > truth.shape[0] else estimate
        report["probes"][name] = compare(estimate, truth, axes[name.split(",")[0]])
    result = json.loads((out / "photo" / "result.json").read_text())
    report["seconds"], report["warnings"] = result["seconds"], result["warnings"]
    Image.open(out / "photo" / result["probes"][0]["preview"]).save(out / "brackets.png")
    photo_row = [out / "photo.png", out / "photo_estimate.png", out / "photo_truth.png"]
    _sheet(out / "contact_sheet.png", photo_row, ("Photo", "Lit by the estimate", "Lit by the true environment"),
           [maps["Photo"]], ["Photo"], report)  # fmt: skip
    scene_row = [out / "scene_room.png", out / "scene_estimate.png", out / "scene_truth.png"]
    scenes = [name for name in pairs if name != "Photo"]
    titles = ("In the room's own light (Cycles)", "Lit by the estimate, over the empty room", "Lit by the baked truth")
    empty = Image.open(out / "scene_empty.png").convert("RGBA")
    _sheet(out / "scene_sheet.png", scene_row, titles, [maps[n] for n in scenes], scenes, report, empty)
    return report


def _sheet(
    path: Path,
    pictures: list[Path],
    titles: tuple[str, ...],
    maps: list[Any],
    names: list[str],
    report: dict[str, Any],
    ground: Image.Image | None = None,
) -> None:
    width, gap, line = 480, 14, 20
    shown = [Image.open(p).convert("RGBA") for p in pictures]
    tall = max(round(width * p.height / p.width) for p in shown)
    map_tall = width // 2
    height = tall + 2 * line + len(maps) * (map_tall + 4 * line + gap) + 2 * gap
    sheet = Image.new("RGB", (3 * width + 4 * gap, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for i, (picture, title) in enumerate(zip(shown, titles, strict=True)):
        x = gap + i * (width + gap)
        draw.text((x, gap), title, _INK, font)
        below = ground or Image.new("RGBA", picture.size, _PAPER)
        flat = Image.alpha_composite(below, picture).convert("RGB").resize((width, tall), Image.Resampling.LANCZOS)
        sheet.paste(flat, (x, gap + line))
    y = tall + 2 * gap + line
    for name, (estimate, truth) in zip(names, maps, strict=True):
        for i, (panorama, ev, title) in enumerate(
            ((estimate, 0, "estimated map"), (truth, 0, "true map"), (estimate, -4, "estimated map, EV -4"))
        ):
            x = gap + i * (width + gap)
            draw.text((x, y), f"{name}: {title}", _INK, font)
            pixels = (expose(panorama, ev).numpy() * 255).astype("uint8")
            sheet.paste(Image.fromarray(pixels).resize((width, map_tall), Image.Resampling.BILINEAR), (x, y + line))
        for i, text in enumerate(_lines(report["probes"][name])):
            draw.text((gap, y + map_tall + line * (1.2 + i)), text, _INK, font)
        y += map_tall + 4 * line + gap
    sheet.save(path)


def _lines(entry: dict[str, Any]) -> list[str]:
    lines = []
    for who, title in (("estimate", "Estimate"), ("grey", "Constant grey of the true mean")):
        balls = "   ".join(
            f"{ball} RMSE {entry[who][ball]['rmse']:.3f}, SI(log) {entry[who][ball]['si_rmse_log']:.2f},"
            f" colour {entry[who][ball]['colour_angle']:.1f}°"
            for ball in ("mirror", "diffuse")
        )
        lines.append(f"{title}:  {balls}   energy x {entry[who]['energy_ratio']:.2f}")
    return lines
