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
from .frame import check_inside, close_up, condition_pictures, cut_out, frame
from .load import LIMO, Backbone, lacks_memory, load_backbone, memory_explained
from .prompts import SPHERES, Text, wording


def sample(
    backbone: Backbone,
    maps: Tensor,
    text: Text,
    *,
    steps: int,
    seed: int,
    after_step: Callable[[float], None],
) -> Tensor:
    """Denoise one latent a prompt: maps (1, 5·C, h, w) to (B, C, h, w); ``after_step`` hears the fraction done.

    All prompts start from the same noise and meet the same noise on the way, which aligns the exposures (§1.5) and
    makes a sphere independent of how the queries were batched.
    """
    count, channels = len(text.tokens), maps.shape[1] // 5
    scheduler = backbone.denoiser.scheduler
    noise = torch.randn((1, channels, *maps.shape[-2:]), generator=torch.Generator().manual_seed(seed))
    x, times = backbone.denoiser.start(noise.expand(count, -1, -1, -1).to(maps.device), steps)
    extra = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        extra["generator"] = [torch.Generator().manual_seed(seed + 1) for _ in range(count)]
    for index, time in enumerate(times):
        predicted = backbone.denoiser.predict(x, maps.expand(count, -1, -1, -1), time, text)
        x = scheduler.step(predicted, time, x, **extra).prev_sample
        after_step((index + 1) / len(times))
    return x


class BackbonePainter:
    """Paints both spheres into the whole picture; a :class:`limelight.backend.limo.painter.SpherePainter`.

    ``side`` is the painted picture's shorter side in pixels, by default the model's own. ``batch`` queries are sampled
    at once, by default a sphere's whole bracket on a GPU and one on the CPU; a batch that does not fit is halved.
    """

    def __init__(self, folder: Path, device: str = "cpu", side: int | None = None, batch: int | None = None) -> None:
        self.folder, self.device, self.side = folder, device, side
        self.batch = batch or (1 if device == "cpu" else len(EVS))

    def paint(
        self,
        view: View,
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int = 20,
        seed: int = 0,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> list[Spheres]:
        """See :meth:`limelight.backend.limo.painter.SpherePainter.paint`."""
        for probe in probes:
            check_inside(view, probe)
        backbone = load_backbone(self.folder, self.device)
        if not backbone.finetuned:
            note = f"The model {backbone.name} has no {LIMO}: it is only a base model, and its light means nothing."
            if note not in view.warnings:
                view.warnings.append(note)
        picture = frame(view, self.side or backbone.denoiser.side)
        painted = []
        with torch.no_grad(), memory_explained(backbone.name, self.device):
            text = backbone.prompts.get([wording(sphere, ev) for sphere in SPHERES for ev in exposures])
            for index, probe in enumerate(probes):

                def tell(fraction: float, done: float = index / len(probes)) -> None:
                    progress(done + fraction / len(probes))

                frames = self._frames(backbone, picture, probe, text, steps, seed, tell)
                seen = close_up(picture.camera, probe)
                spheres = torch.stack([cut_out(each, picture.camera, seen) for each in frames])
                mirror, diffuse = spheres.split(len(exposures))
                painted.append(Spheres(seen, mirror, diffuse, tuple(exposures)))
        return painted

    def _frames(
        self,
        backbone: Backbone,
        picture: View,
        probe: Probe,
        text: Text,
        steps: int,
        seed: int,
        progress: Callable[[float], None],
    ) -> list[Tensor]:
        """The painted picture of every prompt, (3, H, W) display values. Decoding counts as one more step."""
        encoded = []
        for condition in condition_pictures(picture, probe):
            encoded.append(backbone.to_latents(condition))
            progress(0.0)
        maps = torch.cat(encoded, 1)
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
                frames.append(backbone.to_display(latent[None]))
                progress((start * (steps + 1) + len(latents) * steps + done + 1) / total)
        return frames
