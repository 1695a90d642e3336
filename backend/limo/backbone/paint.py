# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper-scale sphere painter: LIMO on a pretrained diffusion model from a local folder (methods.md §1)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...optics.exposure import EVS
from ..painter import Spheres
from ..view import Probe, View
from .conventions import SPHERES
from .frame import check_inside, close_up, condition_pictures, cut_out, frame
from .load import LIMO, Backbone, family_of, is_loaded, load_backbone
from .networks import SIDE, WanDenoiser
from .parts import lacks_memory, memory_explained
from .plan import Plan, Work, plan
from .prompts import Text

#: Frames that a clip's windows share; over them one fades into the next.
OVERLAP = 5
Tell = Callable[[float], None]


def sample(
    backbone: Backbone,
    maps: Tensor,
    text: Text,
    *,
    steps: int,
    seed: int,
    after_step: Callable[[float], None],
) -> Tensor:
    """Denoise one latent a prompt: maps (1, 5·C, [f,] h, w) to (B, C, [f,] h, w); ``after_step`` hears the share done.

    All prompts start from the same noise and meet the same noise on the way, which aligns the exposures (§1.5) and
    makes a sphere independent of how the queries were batched.
    """
    count, channels = len(text.tokens), maps.shape[1] // 5
    scheduler = backbone.denoiser.scheduler
    noise = torch.randn((1, channels, *maps.shape[2:]), generator=torch.Generator().manual_seed(seed))
    x, times = backbone.denoiser.start(noise.expand(count, *noise.shape[1:]).to(maps.device), steps)
    extra = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        extra["generator"] = [torch.Generator().manual_seed(seed + 1) for _ in range(count)]
    for index, time in enumerate(times):
        predicted = backbone.denoiser.predict(x, maps.expand(count, *maps.shape[1:]), time, text)
        x = scheduler.step(predicted, time, x, **extra).prev_sample
        after_step((index + 1) / len(times))
    return x


class BackbonePainter:
    """Paints both spheres into the whole picture; a :class:`limelight.backend.limo.painter.SpherePainter`.

    ``side`` is the painted picture's shorter side in pixels, by default the model's own. ``batch`` queries are sampled
    at once, by default a sphere's whole bracket on a GPU and one on the CPU; a batch that does not fit is halved.
    ``memory`` is how the model is held (:mod:`.plan`), by default as it fits; one that does not fit is not loaded.
    """

    def __init__(
        self, folder: Path, device: str = "cpu", side: int | None = None, batch: int | None = None, memory: str = "auto"
    ) -> None:
        self.folder, self.device, self.side, self.memory = folder, device, side, memory
        self.batch = batch or (1 if device == "cpu" else len(EVS))

    @property
    def reach(self) -> int:
        """See :class:`limelight.backend.limo.painter.SequencePainter`.

        A clip model's windows begin where the part that is painted does: a frame differs a little with that.
        """
        return OVERLAP if family_of(self.folder) == "wan" else 0

    @property
    def block(self) -> int:
        """How many frames of a sequence are best painted at once."""
        return WanDenoiser.frames if family_of(self.folder) == "wan" else 1

    def plan_of(
        self, view: View, probes: int = 1, steps: int = 20, frames: int = 1, evs: int = len(EVS)
    ) -> Plan | None:
        """How the model will be held, and how long it will take; None if it is loaded. Raises if it does not fit."""
        if is_loaded(self.folder, self.device):
            return None
        shape, clips = frame(view, self.side or SIDE).camera, family_of(self.folder) == "wan"
        length = min(frames, WanDenoiser.frames) if clips else 1
        pictures = 2 * evs * probes * len(windows(frames, length))
        return plan(self.folder, self.device, Work(shape.width, shape.height, length, pictures, steps), self.memory)

    def paint(
        self,
        view: View,
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int = 20,
        seed: int = 0,
        progress: Tell = lambda fraction: None,
    ) -> list[Spheres]:
        """See :meth:`limelight.backend.limo.painter.SpherePainter.paint`.

        Exposures that the weights were not trained for are left out.
        """
        painted = []
        for index, probe in enumerate(probes):

            def tell(fraction: float, done: float = index / len(probes)) -> None:
                progress(done + fraction / len(probes))

            painted += self.paint_frames([view], [probe], exposures, steps=steps, seed=seed, progress=tell)
        return painted

    def paint_frames(
        self,
        views: Sequence[View],
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int = 50,
        seed: int = 0,
        progress: Tell = lambda fraction: None,
    ) -> list[Spheres]:
        """See :meth:`limelight.backend.limo.painter.SequencePainter.paint_frames`; the ``views`` are of one size.

        A model of clips paints windows of its own length together, a model of pictures frame by frame; both from the
        same noise in every window.
        """
        for view, probe in zip(views, probes, strict=True):
            check_inside(view, probe)
        held = self.plan_of(views[0], 1, steps, len(views), len(exposures))
        mode, tiled = ("whole", False) if held is None else (held.mode, held.tiled)
        backbone = load_backbone(self.folder, self.device, mode, tiled)
        _warn(backbone, views[0])
        pictures = [frame(view, self.side or backbone.denoiser.side) for view in views]
        evs = tuple(ev for ev in exposures if ev in backbone.convention.evs)
        spans = windows(len(views), backbone.denoiser.frames)
        mixed: list[Tensor] = []
        with torch.no_grad(), memory_explained(backbone.name, self.device):
            text = backbone.prompts.get([backbone.convention.wording(sphere, ev) for sphere in SPHERES for ev in evs])
            for index, span in enumerate(spans):

                def tell(fraction: float, done: float = index / len(spans)) -> None:
                    progress(done + fraction / len(spans))

                maps = _encoded(backbone, pictures[span], probes[span], tell)
                found = self._frames(backbone, maps, text, steps, seed, tell)[:, : span.stop - span.start]
                mixed = faded(mixed, list(found.unbind(1)), span.start)
        return [
            _spheres(frames, picture, probe, evs)
            for frames, picture, probe in zip(mixed, pictures, probes, strict=True)
        ]

    def _frames(self, backbone: Backbone, maps: Tensor, text: Text, steps: int, seed: int, progress: Tell) -> Tensor:
        """Every prompt's painted frames, (P, T, 3, H, W) display values. Decoding counts as one more step."""
        frames: list[Tensor] = []
        total, batch = len(text.tokens) * (steps + 1), self.batch
        while len(frames) < len(text.tokens):
            start = len(frames)
            rows = text.at(slice(start, start + batch), backbone.denoiser.network.dtype, self.device)

            def after_step(fraction: float, start: int = start, count: int = len(rows.tokens)) -> None:
                progress((start * (steps + 1) + fraction * count * steps) / total)

            try:
                latents = sample(backbone, maps, rows, steps=steps, seed=seed, after_step=after_step)
            except RuntimeError as error:
                if batch == 1 or not lacks_memory(error):
                    raise
                batch //= 2
                continue
            for done, latent in enumerate(latents):
                frames.append(backbone.codec.decode(latent[None]))
                progress((start * (steps + 1) + len(latents) * steps + done + 1) / total)
        return torch.stack(frames)


def _warn(backbone: Backbone, view: View) -> None:
    note = f"The model {backbone.name} has no {LIMO}: it is only a base model, and its light means nothing."
    if not backbone.finetuned and note not in view.warnings:
        view.warnings.append(note)


def _encoded(backbone: Backbone, pictures: Sequence[View], probes: Sequence[Probe], progress: Tell) -> Tensor:
    """The five maps of every frame as latents (1, 5·C, [f,] h, w)."""
    clips = torch.stack([
        condition_pictures(picture, probe, backbone.convention)
        for picture, probe in zip(pictures, probes, strict=True)
    ])  # fmt: skip
    encoded = []
    for clip in clips.unbind(1):
        encoded.append(backbone.to_latents(clip))
        progress(0.0)
    return torch.cat(encoded, 1)


def _spheres(frames: Tensor, picture: View, probe: Probe, evs: tuple[int, ...]) -> Spheres:
    """The spheres of one moment, cut out of the painted pictures (P, 3, H, W), mirrors first."""
    seen = close_up(picture.camera, probe)
    spheres = torch.stack([cut_out(each, picture.camera, seen) for each in frames])
    mirror, diffuse = spheres.split(len(evs))
    return Spheres(seen, mirror, diffuse, evs)


def windows(count: int, length: int, overlap: int = OVERLAP) -> list[slice]:
    """Spans of at most ``length`` frames that cover ``count``; neighbours share ``overlap`` or, at the end, more."""
    if length == 1:
        return [slice(i, i + 1) for i in range(count)]
    starts = range(0, max(1, count - overlap), length - overlap)
    return [slice(max(0, min(start, count - length)), min(start + length, count)) for start in starts]


def faded(done: list[Tensor], new: list[Tensor], start: int) -> list[Tensor]:
    """Frames of a clip with those of its next window from frame ``start`` on: where both are, one fades over."""
    shared = len(done) - start
    for i in range(shared):
        share = (i + 1) / (shared + 1)
        done[start + i] = torch.lerp(done[start + i], new[i], share)
    return done + new[shared:]
