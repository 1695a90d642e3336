# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part of the painter's design is worth: small painters trained alike, each without one, on one test set.

``python bridge/launch.py benchmarks.limo.ablation SHARDS PROBE_SET --out DIR [--steps N] [--limit N]``

All start from the same seed and see the same examples, noise and number of steps; the network is a fifth of the one
that ships. Resumable: trained variants are kept in ``--out``, which gets ablation.md and ablation.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from ...backend.limo.embedded.encode import CROP, decode_radiance, encode, from_code, to_code
from ...backend.limo.embedded.model import PainterConfig, SphereUNet
from ...backend.limo.embedded.paint import mean_of_takes, sample_flow
from ...backend.limo.energy import PAINTED
from ...backend.limo.fit import fit
from ...backend.limo.front import front_of
from ...backend.limo.painter import Spheres
from ...backend.optics import metrics
from ...backend.optics.exposure import EVS, expose
from ...backend.optics.sphere import SphereView
from ...training.limo.examples import Example, Shards
from ...training.limo.train import Recipe, Trainer, batch_of, find_shards
from .probe_set import HEIGHT, Case, read_set
from .score import TRUTH
from .spheres import LIMO, limo_balls

WIDTHS, TOKENS = (40, 72, 112), 96
#: Flow steps and takes at test time.
STEPS, TAKES = 3, 4


@dataclass(frozen=True)
class Variant:
    """A painter's design: input channels it does not see, whether it paints the diffuse sphere, and what it paints.

    ``hidden_sphere`` and ``hidden_context`` are channels of :class:`.encode.Inputs`; ``brackets`` paints the display
    values of all exposures instead of log radiance.
    """

    name: str
    hidden_sphere: tuple[int, ...] = ()
    hidden_context: tuple[int, ...] = ()
    diffuse: bool = True
    brackets: bool = False

    @property
    def network(self) -> PainterConfig:
        """The small network that this design trains."""
        painted = 6 * len(EVS) if self.brackets else 6
        return PainterConfig(widths=WIDTHS, tokens=TOKENS, embedding=128, painted=painted)

    def see(self, sphere: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (B, 18, S, S) and (B, 11, H, W) without what is hidden."""
        sphere, context = sphere.clone(), context.clone()
        sphere[:, list(self.hidden_sphere)] = 0
        context[:, list(self.hidden_context)] = 0
        return sphere, context

    def target(self, code: Tensor) -> Tensor:
        """What is painted for the shipped design's code (B, 6, S, S)."""
        if not self.diffuse:
            code = torch.cat([code[:, :3], torch.zeros_like(code[:, 3:])], 1)
        if not self.brackets:
            return code
        radiance = decode_radiance(from_code(code))
        return torch.cat([expose(radiance, ev) for ev in EVS], 1) * 2 - 1

    def spheres(self, painted: Tensor, close_up: SphereView) -> Spheres:
        """The bracket that the mean of some takes (T, C, S, S) shows."""
        if self.brackets:
            shown = (painted.mean(0).clamp(-1, 1) + 1) / 2
            bracket = (shown * close_up.mask).unflatten(0, (len(EVS), 6)).permute(0, 2, 3, 1)
        else:
            radiance = decode_radiance(mean_of_takes(from_code(painted))).permute(1, 2, 0) * close_up.mask[..., None]
            bracket = torch.stack([expose(radiance, ev) for ev in EVS])
        mirror, diffuse = bracket.split(3, -1)
        return Spheres(close_up, mirror, diffuse)


VARIANTS = (
    Variant("as shipped, small"),
    Variant("brackets instead of log radiance", brackets=True),
    Variant("without the reprojected partial sphere", hidden_sphere=tuple(range(7, 18))),
    Variant("without direction and distance maps", hidden_sphere=(4, 5, 6, 11), hidden_context=(7, 8, 9, 10)),
    Variant("without the diffuse sphere", diffuse=False),
)


def train_variant(variant: Variant, data: Path, out: Path, steps: int) -> SphereUNet:
    """Train a variant, or take it from its checkpoint; returns its averaged network."""
    recipe = Recipe(data, out, steps, network=variant.network, ema=0.99, learning_rate=1e-3)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe)
    examples = Shards(find_shards(data)[0])
    while trainer.step < steps:
        batch: Example = batch_of(examples, recipe.batch, trainer.step)
        batch["sphere"], batch["context"] = variant.see(batch["sphere"], batch["context"])
        batch["target"] = variant.target(batch["target"])
        noise = torch.randn(batch["target"].shape, generator=torch.Generator().manual_seed(trainer.step))
        trainer.update({**batch, "noise": noise})
        if trainer.step % 100 == 0:
            trainer.save()
            print(f"{variant.name}: step {trainer.step}", flush=True)
    trainer.net.load_state_dict(trainer.average)
    return trainer.net.eval()


def light(variant: Variant, network: SphereUNet, case: Case, seed: int = 0) -> Tensor:
    """The environment (128, 256, 3) that a variant finds at a probe, front and all."""
    inputs = encode(case.view, case.probe)
    sphere, context = variant.see(inputs.sphere[None], inputs.context[None])
    half = torch.randn(TAKES // 2, variant.network.painted, CROP, CROP, generator=torch.Generator().manual_seed(seed))
    noise = torch.cat([half, -half])
    black = variant.target(to_code(torch.full((1, 6, CROP, CROP), -1.0)))
    painted = sample_flow(network, sphere.expand(TAKES, -1, -1, -1), context, steps=STEPS, noise=noise, black=black)
    close_up = SphereView(case.probe.position, case.probe.radius, CROP)
    spheres = variant.spheres(painted, close_up)
    front = front_of(case.view, case.probe, HEIGHT)
    found = fit(spheres, height=HEIGHT, diffuse=variant.diffuse, error=PAINTED, front=front)
    return front(found)[0]


def measure(variant: Variant, network: SphereUNet, cases: list[Case]) -> dict[str, float]:
    """Mean RMSE and log SI-RMSE of the mirror and the diffuse ball under the light that is found."""
    found: dict[str, list[float]] = {}
    for case in cases:
        balls = limo_balls({"estimate": light(variant, network, case), TRUTH: case.truth})
        for ball in ("mirror", "diffuse"):
            scores = metrics.scores(balls["estimate"][ball], balls[TRUTH][ball], LIMO.mask)
            for metric in ("rmse", "si_rmse_log"):
                found.setdefault(f"{ball}_{metric}", []).append(scores[metric])
    return {name: mean(values) for name, values in found.items()}


def main() -> None:
    """Train what is missing, measure all, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shards", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--limit", type=int, default=42, help="probes, spread evenly over the set")
    options = parser.parse_args()
    cases = list(read_set(options.set))
    count = min(options.limit, len(cases))
    cases = [cases[i * len(cases) // count] for i in range(count)]
    rows = {}
    for index, variant in enumerate(VARIANTS):
        network = train_variant(variant, options.shards, options.out / f"variant_{index}", options.steps)
        rows[variant.name] = measure(variant, network, cases)
    lines = ["| design | mirror RMSE | diffuse RMSE | mirror SI-RMSE log | diffuse SI-RMSE log |", "| --- " * 5 + "|"]
    keys = ("mirror_rmse", "diffuse_rmse", "mirror_si_rmse_log", "diffuse_si_rmse_log")
    lines += [f"| {name} | {' | '.join(f'{row[key]:.3f}' for key in keys)} |" for name, row in rows.items()]
    (options.out / "ablation.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    about = {"steps": options.steps, "probes": count, "rows": rows}
    (options.out / "ablation.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
