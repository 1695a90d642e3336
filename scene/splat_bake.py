# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings of a cloud's drawing show, put into its Gaussians, so that clouds drawn differently become one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from . import splat_drawing, splat_place, srgb
from .splat_file import Cloud
from .splat_harmonics import DC, DEGREES, values

#: What no Gaussian can have for itself; the second kind is seen in lit clouds alone.
_ALIKE, _ALIKE_LIT = ("Relight", "View-Dependent"), ("Smooth Normals", "Learnt Material")
#: Where clouds differ in these, each gets its own into its Gaussians, and they are set to what changes nothing.
_NEUTRAL: dict[str, Any] = {"Crop Box": None, "Least Opacity": 0.0, "Size": 1.0, "Albedo Gain": 0.0,
                            "Roughness Bias": 0.0, "Blend by Progress": 1.0}  # fmt: skip
_MATERIAL = ("Exposure", "Albedo Gain", "Roughness Bias", "Blend by Progress")
#: So many Gaussians' colours are fitted at a time.
_AT_ONCE = 20000


def common(things: list[bpy.types.Object]) -> dict[str, Any]:
    """Settings with which one cloud, of what ``baked`` makes of each, is seen as these are; exposed as the first.

    Raises ``ValueError`` with an artist's sentence if there are none.
    """
    drawn = [splat_drawing.settings(thing) for thing in things]
    first, *others = drawn
    for name in (*_ALIKE, *(_ALIKE_LIT if first["Relight"] else ())):
        for thing, other in zip(things[1:], others, strict=True):
            if other[name] != first[name]:
                raise ValueError(f"“{thing.name}” and “{things[0].name}” differ in {name}: set both alike first")
    shared = {name: _NEUTRAL[name] if name in _NEUTRAL and _differ(drawn, name) else first[name] for name in first}
    shown = sum(min(splat_drawing.count(thing), own["Most in Viewport"])
                for thing, own in zip(things, drawn, strict=True))  # fmt: skip
    return shared | {"Most in Viewport": max(shown, first["Most in Viewport"])}


def _differ(drawn: list[dict[str, Any]], name: str) -> bool:
    return any(own[name] != drawn[0][name] for own in drawn)


def needs_material(things: list[bpy.types.Object]) -> bool:
    """Whether clouds are lit, and so differently that each Gaussian must have a material of its own."""
    drawn = [splat_drawing.settings(thing) for thing in things]
    return bool(drawn[0]["Relight"]) and any(_differ(drawn, name) for name in _MATERIAL)


def inside(thing: bpy.types.Object, box: bpy.types.Object, means: np.ndarray) -> np.ndarray:
    """Which of a cloud's ``means`` (N, 3) lie in a crop box, (N,) bool."""
    matrix = np.array(box.matrix_world.inverted_safe() @ thing.matrix_world)
    return (np.abs(means @ matrix[:3, :3].T + matrix[:3, 3]) < 1).all(axis=1)


def shown(thing: bpy.types.Object, cloud: Cloud, shared: dict[str, Any]) -> np.ndarray:
    """Which Gaussians its own settings leave where ``shared`` ones would not take out the others, (N,) bool."""
    own, kept = splat_drawing.settings(thing), np.ones(len(cloud.means), bool)
    if own["Crop Box"] is not None and own["Crop Box"] != shared["Crop Box"]:
        kept &= inside(thing, own["Crop Box"], cloud.means)
    if own["Least Opacity"] != shared["Least Opacity"]:
        kept &= cloud.base[:, 3] > own["Least Opacity"]
    return kept


def baked(thing: bpy.types.Object, cloud: Cloud, shared: dict[str, Any], material: bool) -> Cloud:
    """A cloud that ``shared`` settings show as its own show this; ``material``: with one in any case."""
    own = splat_drawing.settings(thing)
    stops = own["Exposure"] - shared["Exposure"]
    found = cloud.material or (splat_place.stand_in(cloud) if material else {})
    if found:
        found = dict(found)
        if own["Albedo Gain"] != shared["Albedo Gain"]:
            found["albedo"] = np.clip(found["albedo"] * np.float32(2.0 ** own["Albedo Gain"]), 0, 1)
        if own["Roughness Bias"] != shared["Roughness Bias"]:
            found["roughness"] = np.clip(found["roughness"] + np.float32(own["Roughness Bias"]), 0, 1)
        if own["Blend by Progress"] != shared["Blend by Progress"]:
            found["progress"] = 1 - np.float32(own["Blend by Progress"]) * (1 - found["progress"])
    scales = np.maximum(cloud.scales * np.float32(own["Size"] / (shared["Size"] or 1.0)), 1e-12)
    cloud = replace(cloud, scales=cloud.scales if own["Size"] == shared["Size"] else scales, material=found)
    return exposed(cloud, stops) if stops else cloud


def exposed(cloud: Cloud, stops: float) -> Cloud:
    """The cloud with light brighter by ``stops``: each Gaussian's harmonics fitted to its colours all around."""
    terms = cloud.harmonics.shape[1]
    directions = np.random.default_rng(0).normal(size=(64 if terms else 1, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    beyond = [values(directions, degree) for degree in DEGREES if degree.stop <= terms]
    basis = np.concatenate([np.full((len(directions), 1), DC), *beyond], axis=1).astype(np.float32)
    inverse, gain = np.linalg.pinv(basis), np.float32(2.0**stops)
    found = np.concatenate([cloud.base[:, None, :3], cloud.harmonics], axis=1)
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        seen = np.maximum(0.5 + np.einsum("dk,nkc->ndc", basis, part, optimize=True), 0)
        wanted = srgb.encoded(gain * srgb.linear(seen)) - 0.5
        found[start : start + _AT_ONCE] = np.einsum("kd,ndc->nkc", inverse, wanted, optimize=True)
    return replace(cloud, base=np.concatenate([found[:, 0], cloud.base[:, 3:]], axis=1), harmonics=found[:, 1:])
