# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sequence leaves on disk: numbered maps, a record of each frame, and what a broken run needs to go on.

A probe has a folder of frames for each kind of file: ``probe_0/0001.exr``, ``probe_0_fill/0001.exr``,
``probe_0_spheres/0001.exr`` and ``probe_0_preview/0001.png``. ``frames/0001.json`` comes last and so marks a frame as
done. ``unfinished/0001.json`` marks one whose spheres are painted; ``unfinished/0016_probe_0.safetensors`` holds what
that frame hands on to the next.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ...bridge.alike import relocated
from ..errors import BadInput
from ..optics import exr
from ..optics.sphere import SphereView
from ..weights import write
from .energy import Gains
from .fit_frames import Carry
from .frames import Frames
from .job import LightJob, settings_of
from .output import works_beside, write_json, write_preview, write_spheres
from .painter import Spheres, Spread
from .sources import Sources
from .view import Probe

#: The folder of what only a broken run needs.
UNFINISHED = "unfinished"
_KINDS = ("environment", "fill", "spheres", "preview")
#: What a track gives each frame of its own.
MOVES = {"camera", "camera_to_world", "probes"}


class SequenceFolder:
    """The folder of a sequence; ``frames`` gives its outputs their digits."""

    def __init__(self, job: LightJob, frames: Frames) -> None:
        self.job, self.frames, self.out = job, frames, job.out
        self._unfinished = self.out / UNFINISHED
        self._handed: list[Path] = []

    def name(self, number: int) -> str:
        """A frame's number as its files have it."""
        return f"{number:0{self.frames.digits}d}"

    def record(self, number: int, part: LightJob) -> dict[str, Any] | None:
        """What is known of a frame that is there whole; None where it is not.

        Raises :class:`BadInput` if it was made from another input or otherwise.
        """
        record = _read(self.out / "frames" / f"{self.name(number)}.json")
        if record is None or not all((self.out / entry[k]).is_file() for entry in record["probes"] for k in _KINDS):
            return None
        now = settings_of(part)
        then = relocated(record["settings"], now)
        other = next((key for key in now if then.get(key) != now[key]), None)
        if other is not None:
            told = f" ({then.get(other)}, now {now[other]})" if not isinstance(now[other], (list, dict)) else ""
            raise BadInput(
                f"Frame {number} in {self.out} was estimated with another {other}{told}.",
                "Use another folder, or --overwrite to estimate it anew.",
            )
        return record

    def put_spheres(
        self, work: Path, number: int, part: LightJob, probes: Sequence[Probe], painted: Sequence[Spheres]
    ) -> Path:
        """Keep a frame's painted spheres, one a probe; returns the first one's preview."""
        name = self.name(number)
        for index, spheres in enumerate(painted):
            for kind, suffix, put in (("spheres", ".exr", write_spheres), ("preview", ".png", write_preview)):
                folder = self.out / f"probe_{index}_{kind}"
                folder.mkdir(exist_ok=True)
                put(work / f"painted{suffix}", spheres)
                os.replace(work / f"painted{suffix}", folder / f"{name}{suffix}")
        self._unfinished.mkdir(exist_ok=True)
        spreads = [None if each.spread is None else dataclasses.asdict(each.spread) for each in painted]
        places = [{"position_camera": probe.position.tolist(), "radius": probe.radius} for probe in probes]
        about = {"probes": [{**place, "spread": spread} for place, spread in zip(places, spreads, strict=True)]}
        write_json(self._unfinished / f"{name}.json", {**about, "settings": settings_of(part)})
        return self.out / "probe_0_preview" / f"{name}.png"

    def spheres(self, number: int, part: LightJob) -> list[Spheres] | None:
        """A frame's spheres, if they are there and of these settings."""
        name = self.name(number)
        record = _read(self.out / "frames" / f"{name}.json") or _read(self._unfinished / f"{name}.json")
        now = settings_of(part)
        if record is None or relocated(record["settings"], now) != now:
            return None
        try:
            return [self._sphere(name, i, entry) for i, entry in enumerate(record["probes"])]
        except (BadInput, KeyError, TypeError):
            return None

    def _sphere(self, name: str, index: int, entry: Mapping[str, Any]) -> Spheres:
        path = self.out / f"probe_{index}_spheres" / f"{name}.exr"
        size = exr.read_size(path)[1] // 2
        evs = tuple(int(ev) for ev in json.loads(exr.read_header(path)["limelightExposures"]))
        layers = exr.read_image(path)[..., :3].reshape(2, size, len(evs), size, 3).transpose(1, 2)
        view = SphereView(torch.tensor(entry["position_camera"]), entry["radius"], size)
        spread = entry.get("spread")
        return Spheres(view, layers[0], layers[1], evs, None if spread is None else Spread(**spread))

    def put_frame(self, made: Path, number: int, part: LightJob, result: Mapping[str, Any]) -> None:
        """Move a frame's files from the folder ``made`` to their numbered places, its record last."""
        name = self.name(number)
        for entry in result["probes"]:
            for kind in _KINDS:
                stem, suffix = os.path.splitext(entry[kind])
                entry[kind] = f"{stem}/{name}{suffix}"
                (self.out / stem).mkdir(exist_ok=True)
                if (made / f"{stem}{suffix}").exists():
                    os.replace(made / f"{stem}{suffix}", self.out / entry[kind])
        shutil.rmtree(made)
        (self.out / "frames").mkdir(exist_ok=True)
        record = {"number": number, **result, "settings": settings_of(part)}
        write_json(self.out / "frames" / f"{name}.json", record)
        (self._unfinished / f"{name}.json").unlink(missing_ok=True)

    def lamps(self, number: int) -> list[list[list[float]]]:
        """The directions of a finished frame's lamps, of each probe; empty where it is not there."""
        record = _read(self.out / "frames" / f"{self.name(number)}.json")
        probes = [] if record is None else record["probes"]
        return [[lamp["direction"] for lamp in entry.get("lamps", [])] for entry in probes]

    def put_carries(self, number: int, carries: Sequence[Carry]) -> None:
        """Keep what a frame hands on to the next, in place of any earlier."""
        self._unfinished.mkdir(exist_ok=True)
        # Others may do other frames of this folder at the same time: theirs stay.
        for path in self._handed:
            path.unlink(missing_ok=True)
        self._handed.clear()
        for index, carry in enumerate(carries):
            path = self._unfinished / f"{self.name(number)}_probe_{index}.safetensors"
            write(path, {k: v.clone() for k, v in _packed(carry).items()})
            self._handed.append(path)

    def carries(self, number: int, count: int) -> list[Carry] | None:
        """What a frame hands on to the next, of ``count`` probes, if it is known."""
        paths = [self._unfinished / f"{self.name(number)}_probe_{index}.safetensors" for index in range(count)]
        try:
            return [_unpacked(load_file(path)) for path in paths]
        except (OSError, SafetensorError, KeyError):
            return None

    def finish(self) -> None:
        """Remove what only a broken run needs, if no frame waits and nobody else works in the folder."""
        if not any(self._unfinished.glob("*.json")) and not works_beside(self.out):
            shutil.rmtree(self._unfinished, ignore_errors=True)

    def summary(self, parts: Mapping[int, LightJob], estimated: int) -> dict[str, Any]:
        """What the folder holds: the frames of this run, and those of earlier ones with the same settings."""
        job = self.job
        records = {}
        free = {"image", "depth", "out"} | (set() if job.track is None else MOVES)
        ours = {k: v for k, v in settings_of(next(iter(parts.values()))).items() if k not in free}
        for path in (self.out / "frames").glob("*.json"):
            record = _read(path)
            if record is not None and all(record["settings"].get(k) == v for k, v in ours.items()):
                records[int(record["number"])] = record
        # What is the same for all frames stands once, above them.
        shared = {"settings", "version", "frame", "model", "quality", "seed", "take"}
        shown = [{k: v for k, v in records[n].items() if k not in shared} for n in sorted(records)]
        mask = "#" * self.frames.digits
        probes = [
            {"name": entry["name"], **{kind: re.sub(r"/\d+\.", f"/{mask}.", entry[kind]) for kind in _KINDS}}
            for entry in shown[-1]["probes"]
        ]
        return {
            "version": 1,
            "images": self.frames.pattern,
            **{k: getattr(job, k) for k in ("frame", "model", "quality", "seed", "take")},
            "estimated": estimated,
            "kept": len(parts) - estimated,
            "warnings": list(dict.fromkeys(text for record in shown for text in record["warnings"])),
            "probes": probes,
            "frames": shown,
        }


def _read(path: Path) -> dict[str, Any] | None:
    """A frame's record; None where there is none or it is of no use."""
    record = read_json(path)
    return record if record is not None and isinstance(record.get("settings"), dict) else None


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file of ours; None where there is none."""
    with suppress(OSError, ValueError):
        data = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict):
            return data
    return None


def _packed(carry: Carry) -> dict[str, torch.Tensor]:
    values = {name: getattr(carry, name) for name in ("resolved", "correction", "steady", "diffuse")}
    values |= {name: getattr(carry.sources, name) for name in ("towards", "radius", "flux", "spread")}
    for name in ("gains", "last"):
        for index, (common, colour) in enumerate(getattr(carry, name).grids):
            values |= {f"{name}_{index}_common": common, f"{name}_{index}_colour": colour}
    return values


def _unpacked(values: Mapping[str, torch.Tensor]) -> Carry:
    def gains(name: str) -> Gains:
        count = sum(key.startswith(name) and key.endswith("common") for key in values)
        return Gains(tuple((values[f"{name}_{i}_common"], values[f"{name}_{i}_colour"]) for i in range(count)))

    sources = Sources(*(values[name] for name in ("towards", "radius", "flux", "spread")))
    return Carry(
        values["resolved"], values["correction"], gains("gains"), gains("last"), values["steady"], sources,
        values["diffuse"],
    )  # fmt: skip
