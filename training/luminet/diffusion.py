# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the paper-scale LumiNet on a Stable Diffusion 2.1 class model; resumable, on the CPU, one GPU or several.

Same scene, two lights: the model sees one picture's intrinsics and the other's light code and learns to paint the other
(methods.md §3.3). Trained are the ControlNet, the adaptor and the UNet's cross-attention, by the plain diffusion loss.
``python -m limelight.training.luminet.diffusion --base FOLDER --intrinsics FILE --data SCENES --out RUN``, with
``--intrinsics`` from :mod:`.intrinsics`; several GPUs by ``accelerate launch``: each takes its part of every batch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.limo.backbone.texts import encode as embed
from ...backend.luminet.diffusion import bypass as vae_of
from ...backend.luminet.diffusion.adaptor import PAPER, Adaptor
from ...backend.luminet.diffusion.control import cross_attention, make_controlnet, predict
from ...backend.luminet.diffusion.intrinsics import IntrinsicsConfig, LatentIntrinsics, control_hint
from ...backend.luminet.diffusion.load import load_base
from ...backend.luminet.diffusion.relight import with_light
from ...backend.luminet.diffusion.weights import FILE, SIZE
from ...backend.optics.exposure import expose
from ...backend.optics.photo import read_photo
from ...backend.weights import write
from ..resumable import Resumable, write_recipe
from .examples import LightSets

_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".hdr"}


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long; ``base`` is the base model's diffusers folder.

    ``intrinsics`` holds the frozen Latent Intrinsics network. ``data`` is what :func:`pairs_of` reads. Every batch is
    worked on in ``parts`` one after another. ``dropped`` is the share of steps without light tokens, from which
    guidance starts.
    """

    base: Path
    intrinsics: Path
    out: Path
    data: Path | None = None
    steps: int = 100_000
    batch: int = 32
    parts: int = 1
    learning_rate: float = 1e-5
    dropped: float = 0.1
    size: int = SIZE
    adaptor: tuple[int, ...] = PAPER
    seed: int = 0
    device: str = "cpu"
    save_every: int = 1000
    save_memory: bool = False


class Pairs(Protocol):
    """Where training pairs come from."""

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sources and targets, (N, 3, S, S) display values in [0, 1]: the same views, each under two lights."""
        ...


class SceneFolders:
    """Pairs out of a folder of scenes, each a folder of pictures of one view (as the multi-illumination sets come)."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size, self.scenes = size, []
        for scene in sorted(path for path in folder.glob("*") if path.is_dir()):
            pictures = sorted(path for path in scene.glob("*") if path.suffix.lower() in _PICTURES)
            if len(pictures) > 1:
                self.scenes.append(pictures)
        if not self.scenes:
            raise BadInput(
                f"{folder} holds no scene of two pictures or more.",
                "Give a folder of scenes, each a folder of pictures of one view under different lights.",
            )

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See :meth:`Pairs.draw`; half of them are mirrored."""
        pairs = []
        for _ in range(count):
            scene = self.scenes[int(torch.randint(len(self.scenes), (), generator=generator))]
            chosen = torch.randperm(len(scene), generator=generator)[:2].tolist()
            pair = torch.stack([self._picture(scene[i]) for i in chosen])
            pairs.append(pair.flip(-1) if torch.rand((), generator=generator) < 0.5 else pair)
        both = torch.stack(pairs, 1)
        return both[0], both[1]

    def _picture(self, path: Path) -> Tensor:
        """The middle square as display values (3, S, S)."""
        shown = expose(read_photo(path).radiance, 0).permute(2, 0, 1)
        side = min(shown.shape[1:])
        top, left = (n // 2 - side // 2 for n in shown.shape[1:])
        square = shown[None, :, top : top + side, left : left + side]
        return F.interpolate(square, (self.size, self.size), mode="bilinear", antialias=True)[0]


class LightSetPairs:
    """Pairs out of rooms that were rendered once per light source, at ``size`` pixels or more
    (``limelight synthesize lights``)."""

    def __init__(self, folder: Path, size: int) -> None:
        self._sets = LightSets(folder, validation=False, size=size)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See :meth:`Pairs.draw`."""
        seed = int(torch.randint(2**31, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            batch = self._sets.draw(count, np.random.default_rng(seed))
        return batch.source, batch.target


def pairs_of(folder: Path | None, size: int) -> Pairs:
    """Training pairs of a folder of light sets, or of a folder of scenes, each a folder of pictures of one view."""
    if folder is None:
        raise BadInput("There is nothing to train on.", "Name a folder of scenes or of light sets.")
    return LightSetPairs(folder, size) if any(folder.glob("sample_*.npz")) else SceneFolders(folder, size)


class RelightLoss(nn.Module):
    """The diffusion loss; a module around all that is trained, so that a step passes through what shares it out."""

    unet: Any
    controlnet: Any
    prompt: Tensor

    def __init__(self, unet: Any, controlnet: Any, adaptor: Adaptor, prompt: Tensor) -> None:
        super().__init__()
        self.unet, self.controlnet, self.adaptor = unet, controlnet, adaptor
        self.register_buffer("prompt", prompt, persistent=False)

    def forward(self, noisy: Tensor, times: Tensor, hint: Tensor, codes: Tensor, goal: Tensor, lit: bool) -> Tensor:
        """Mean square error (scalar) of the prediction for noisy latents (N, C, h, w) at times (N,)."""
        tokens = with_light(self.prompt, self.adaptor, codes)
        unused = 0.0 * tokens.sum()
        if not lit:
            # The adaptor stays in the graph, as devices that share a step expect of all that is trained.
            tokens = self.prompt.expand(len(noisy), -1, -1)
        predicted = predict(self.unet, self.controlnet, noisy, times, tokens, hint)
        return F.mse_loss(predicted, goal) + unused


class Trainer:
    """Every network of the recipe, and a step on them."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.accelerator = Accelerator(cpu=recipe.device == "cpu")
        several = self.accelerator.num_processes > 1
        self.device = self.accelerator.device if several else torch.device(recipe.device)
        self.vae, unet, self.scheduler = load_base(recipe.base, torch.float32)
        self.intrinsics = read_intrinsics(recipe.intrinsics)
        for frozen in (self.vae, self.intrinsics, unet):
            frozen.requires_grad_(False).eval()
        controlnet = make_controlnet(unet, self.intrinsics.config.hint_channels)
        adaptor = Adaptor(recipe.adaptor, unet.config.cross_attention_dim)
        if recipe.save_memory:
            unet.enable_gradient_checkpointing()
            controlnet.enable_gradient_checkpointing()
        for parameter in cross_attention(unet).values():
            parameter.requires_grad_(True)
        with torch.no_grad():
            prompt = embed("sd", recipe.base, [""], torch.float32, "cpu").tokens
        self.nets = RelightLoss(unet, controlnet, adaptor, prompt).to(self.device)
        self.vae, self.intrinsics = self.vae.to(self.device), self.intrinsics.to(self.device)
        self.loss = self.accelerator.prepare_model(self.nets, device_placement=False)
        trained = {name: p for name, p in self.nets.named_parameters() if p.requires_grad}
        self.state = Resumable(self.accelerator, trained, recipe.learning_rate, recipe.out / "checkpoint.safetensors")

    def update(self, pairs: Pairs) -> Tensor:
        """One optimiser step on this process's part of a batch; returns the loss over all parts."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.state.step)
        source, target = pairs.draw(self.recipe.batch, generator)
        noise = torch.randn(len(target), *self._latent_shape(target), generator=generator)
        times = torch.randint(self.scheduler.config.num_train_timesteps, (len(target),), generator=generator)
        lit = bool(torch.rand((), generator=generator) >= self.recipe.dropped)
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        rows = [x[mine].to(self.device) for x in (source, target, noise, times)]
        parts = zip(*(x.chunk(self.recipe.parts) for x in rows), strict=True)
        return self.state.descend([partial(self._share, part, len(part[0]) / len(rows[0]), lit) for part in parts])

    def _share(self, part: tuple[Tensor, ...], share: float, lit: bool) -> Tensor:
        source, target, noise, times = part
        return share * self.diffusion_loss(source, target, noise, times, lit=lit)

    def diffusion_loss(self, source: Tensor, target: Tensor, noise: Tensor, times: Tensor, *, lit: bool) -> Tensor:
        """The loss (scalar) of painting targets with unit noise (N, C, h, w) at times (N,)."""
        with torch.no_grad():
            levels, _ = self.intrinsics.encode(source * 2 - 1)
            _, codes = self.intrinsics.encode(target * 2 - 1)
            hint = control_hint(levels, codes, self.intrinsics.config.hint)
            clean = vae_of.encode(self.vae, target * 2 - 1)
            noisy = self.scheduler.add_noise(clean, noise, times)
            velocity = self.scheduler.config.prediction_type == "v_prediction"
            goal = self.scheduler.get_velocity(clean, noise, times) if velocity else noise
        half = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        with half:
            return self.loss(noisy, times, hint, codes, goal, lit)  # type: ignore[no-any-return]

    def _latent_shape(self, pictures: Tensor) -> tuple[int, int, int]:
        stride = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return (self.vae.config.latent_channels, pictures.shape[-2] // stride, pictures.shape[-1] // stride)


def write_weights(path: Path, nets: RelightLoss, intrinsics: LatentIntrinsics, size: int) -> None:
    """LumiNet's own weights, those of Stable Diffusion's size in half precision, with all sizes in the header."""
    parts: dict[str, Mapping[str, Tensor]] = {
        "controlnet": nets.controlnet.state_dict(),
        "adaptor": nets.adaptor.state_dict(),
        "unet": cross_attention(nets.unet),
    }
    state = {f"{part}.{name}": v.detach().half() for part, own in parts.items() for name, v in own.items()}
    state |= {f"intrinsics.{name}": v.float() for name, v in intrinsics.state_dict().items()}
    state["empty_prompt"] = nets.prompt.float()
    write(path, state, {"intrinsics": json.dumps(intrinsics.config.to_dict()), "size": str(size)})


def read_intrinsics(path: Path) -> LatentIntrinsics:
    """The network of a file that holds it alone or as a part of LumiNet's weights; :class:`BadInput` for another."""
    try:
        with safe_open(path, "pt") as file:
            sizes = (file.metadata() or {}).get("intrinsics", "{}")
            net = LatentIntrinsics(IntrinsicsConfig.from_dict(json.loads(sizes)))
            start = "" if "enter.weight" in set(file.keys()) else "intrinsics."
            net.load_state_dict({name: file.get_tensor(start + name) for name in net.state_dict()})
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
        told = str(error).strip().splitlines()[0][:120].rstrip(".")
        raise BadInput(
            f"{path.name} holds no Latent Intrinsics network ({told}).", "Train one with training.luminet.intrinsics."
        ) from error
    return net


def train(recipe: Recipe, pairs: Pairs | None = None, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint in ``recipe.out``; returns the exported weights.

    They go into ``recipe.out``; put them beside the base model's model_index.json.
    """
    pairs = pairs or pairs_of(recipe.data, recipe.size)
    write_recipe(recipe)
    trainer = Trainer(recipe)
    weights = recipe.out / FILE

    def export() -> None:
        write_weights(weights, trainer.nets, trainer.intrinsics, recipe.size)

    trainer.state.run(recipe.steps, recipe.save_every, lambda: trainer.update(pairs), export, report)
    return weights


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Train LumiNet on a Stable Diffusion 2.1 class model.")
    for name in ("base", "intrinsics", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--parts", type=int, default=Recipe.parts)
    parser.add_argument("--save-memory", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train(Recipe(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
