# SPDX-License-Identifier: GPL-3.0-or-later
"""DiffusionLight as a sphere painter: chrome balls inpainted at three exposures, merged, and exposed as LIMO's are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import LimelightError
from ...optics import shading
from ...optics.exposure import EVS, expose
from ..backbone import memory
from ..backbone.memory import component, elements
from ..backbone.parts import network_dtype
from ..backbone.prompts import Text
from ..merge import unwrap
from ..painter import Spheres
from ..view import Probe, View
from .ball import BallView, look_at, merge
from .model import EXPOSURE, TURBO, DiffusionLight, load_diffusionlight

#: The exposures that are painted (methods.md §2.1).
BALL_EVS = (0.0, -2.5, -5.0)
GUIDANCE, CONTROL = 5.0, 0.5
#: How much of the noise a later round starts from, and the time under which the exposure LoRA follows the turbo one.
STRENGTH, TURBO_UNTIL = 0.8, 800
#: Pixels a side that the LoRA was trained for.
SIDE = 1024
Tell = Callable[[float], None]


class DiffusionLightPainter:
    """A :class:`limelight.backend.limo.painter.SpherePainter`; the diffuse sphere is what the ball's light makes of it.

    ``balls`` pictures with different noise agree on their median in each of ``rounds`` - 1 rounds, from which the next
    starts; with the turbo LoRA there, or one ball, one round does. ``side``: pixels of the square picture.
    """

    def __init__(self, folder: Path, device: str = "cpu", balls: int = 30, rounds: int = 3, side: int = SIDE) -> None:
        self.folder, self.device, self.balls, self.rounds, self.side = folder, device, balls, rounds, side

    def paint(
        self,
        view: View,
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int = 30,
        seed: int = 0,
        progress: Tell = lambda fraction: None,
    ) -> list[Spheres]:
        """See :meth:`limelight.backend.limo.painter.SpherePainter.paint`."""
        self._check_memory()
        model = load_diffusionlight(self.folder, self.device)
        painted = []
        for index, probe in enumerate(probes):

            def tell(fraction: float, done: float = index / len(probes)) -> None:
                progress(done + fraction / len(probes))

            square = look_at(view, probe, self.side)
            with torch.no_grad():
                balls = self._brackets(model, square, steps, seed, tell)
            radiance = merge(balls, BALL_EVS) * square.sphere.mask[..., None]
            around = unwrap(radiance, square.sphere, 64)
            lit = shading.diffuse_sphere(around, square.sphere)
            mirror, diffuse = (torch.stack([expose(each, ev) for ev in exposures]) for each in (radiance, lit))
            painted.append(Spheres(square.sphere, mirror, diffuse, tuple(exposures)))
        return painted

    def _check_memory(self) -> None:
        """Refuse before loading what will not fit: both networks, the VAE, and what sampling takes."""
        files = [path for name in ("unet", "controlnet") for path in component(self.folder, name)]
        needed = elements(files) * network_dtype(self.device).itemsize
        needed += elements(component(self.folder, "vae")) * 4 + 5_000 * self.side**2
        free = memory.free(self.device)
        if needed > free:
            raise LimelightError(
                f"The model {self.folder.name} needs about {needed / 1e9:.1f} GB of {self.device}'s memory, of which "
                f"{free / 1e9:.1f} GB are free.",
                "Close other programs that use it, or use the embedded model.",
                "memory",
            )

    def _brackets(self, model: DiffusionLight, square: BallView, steps: int, seed: int, progress: Tell) -> Tensor:
        """The ball at every exposure, (E, S, S, 3) display values, all from the same noise."""
        once = model.turbo or self.balls == 1
        rounds = 1 if once else self.rounds
        runs, picture = len(BALL_EVS) + (rounds - 1) * self.balls, square.picture
        done = 0

        def run(ev: float, noise_seed: int, strength: float) -> Tensor:
            nonlocal done
            start = done / runs
            painted = inpaint(model, square, picture, ev, steps, noise_seed, strength,
                              lambda fraction: progress(start + fraction / runs))  # fmt: skip
            done += 1
            return painted

        strength = 1.0
        for _ in range(rounds - 1):
            found = torch.stack([run(0.0, seed + 1 + i, strength) for i in range(self.balls)])
            picture, strength = torch.where(square.mask > 0, found.median(0).values, square.picture), STRENGTH
        return torch.stack([square.cut(run(ev, seed, strength)) for ev in BALL_EVS])


def inpaint(
    model: DiffusionLight, square: BallView, picture: Tensor, ev: float, steps: int, seed: int, strength: float,
    after_step: Tell,
) -> Tensor:  # fmt: skip
    """The square picture (3, N, N) in [0, 1] with a ball painted where the mask is, from ``strength`` of the noise."""
    known = model.codec.encode(picture[None].to(model.device) * 2 - 1)
    latents = denoise(model, square, known, ev, steps, seed, strength, after_step)
    return model.codec.decode(latents)[0]


def denoise(
    model: DiffusionLight, square: BallView, known: Tensor, ev: float, steps: int, seed: int, strength: float,
    after_step: Tell,
) -> Tensor:  # fmt: skip
    """Latents (1, C, h, w) of the painted picture; outside the mask they are the ``known`` ones."""
    scheduler, text = model.scheduler, model.told(ev)
    scheduler.set_timesteps(steps, device=known.device)
    times = scheduler.timesteps[len(scheduler.timesteps) - round(steps * strength) :]
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(seed)).to(known)
    mask = F.interpolate(square.mask[None, None], known.shape[-2:]).to(known)
    hint = square.nearness[None, None].expand(2, 3, -1, -1).to(known.device, model.unet.dtype)
    x = noise * scheduler.init_noise_sigma if strength == 1 else scheduler.add_noise(known, noise, times[:1])
    extra = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        extra["generator"] = torch.Generator().manual_seed(seed + 1)
    for index, time in enumerate(times):
        model.worn.name = TURBO if model.turbo and float(time) >= TURBO_UNTIL else EXPOSURE
        predicted = _guided(model, scheduler.scale_model_input(x, time), time, text, hint, square.picture.shape[-1])
        x = scheduler.step(predicted, time, x, **extra).prev_sample
        after = times[index + 1 : index + 2]
        outside = scheduler.add_noise(known, noise, after) if len(after) else known
        x = (1 - mask) * outside + mask * x
        after_step((index + 1) / len(times))
    return x


def _guided(model: DiffusionLight, x: Tensor, time: Tensor, text: Text, hint: Tensor, side: int) -> Tensor:
    """The prediction (1, C, h, w), pushed away from the negative prompt's."""
    assert text.pooled is not None
    tokens, pooled = text.tokens, text.pooled
    both = torch.cat([x, x]).to(model.unet.dtype)
    sizes = pooled.new_tensor([side, side, 0, 0, side, side]).expand(2, -1)
    added = {"text_embeds": pooled, "time_ids": sizes}
    down, middle = model.controlnet(
        both, time, encoder_hidden_states=tokens, controlnet_cond=hint, conditioning_scale=CONTROL,
        added_cond_kwargs=added, return_dict=False,
    )  # fmt: skip
    found = model.unet(
        both, time, encoder_hidden_states=tokens, down_block_additional_residuals=down,
        mid_block_additional_residual=middle, added_cond_kwargs=added,
    ).sample.float()  # fmt: skip
    away, towards = found.chunk(2)
    return away + GUIDANCE * (towards - away)  # type: ignore[no-any-return]
