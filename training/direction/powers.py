# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each witness of the key light counts: learnt on rendered views, by true depth and by a guess of it.

``python bridge/launch.py training.direction.powers VIEWS --out FILE``, with scenes (``limelight synthesize
views``) that neither the network nor LIMO learnt from. Prints powers for ``backend/direction/joined.py``, the errors
of scenes that were left out in turn, and those of the powers that are there. FILE keeps what the witnesses said, so a
second run goes on; the network, which is quick, is asked anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ...backend.direction import bins, embedded
from ...backend.direction.estimate import Look
from ...backend.direction.joined import POWERS, logarithm
from ...backend.direction.key_light import find_key_light
from ...backend.direction.network import Inputs
from ...benchmarks.limo.probe_set import Case, read_set

_WITNESSES = tuple(POWERS[False])
#: Scenes are left out in so many parts.
_FOLDS = 5


def testimony(case: Case, looks: tuple[Look, Look], known: Tensor | None = None) -> dict[str, Tensor]:
    """What is said of one probe: logarithms (2, 3, 642) by true depth and by a guess, by witness; and the truth.

    A witness that tells nothing says the same of all directions. Of what was ``known`` only the network is asked again.
    """
    nothing = torch.ones(bins.BINS)
    distance = -float(case.probe.position[2])
    found = torch.zeros(len(looks), len(_WITNESSES), bins.BINS) if known is None else known.clone()
    for look, said in zip(looks, found, strict=True):
        inputs = Inputs.of(look.view, look.at(case.seen_at, distance).position)
        told = {"network": embedded.predict(embedded.load_network(), inputs)[0][0]}
        if known is None:
            told = {**dict.fromkeys(_WITNESSES, nothing), **look.tell(case.seen_at, distance), **told}
        for name, each in told.items():
            said[_WITNESSES.index(name)] = logarithm(name, each)
    key = find_key_light(case.truth)
    return {"said": found, "truth": key.direction, "dominates": torch.tensor(key.dominates)}


def learn(said: Tensor, truth: Tensor) -> Tensor:
    """Powers (3,) ≥ 0 of least cross-entropy; said (B, 3, 642), truth (B, 3)."""
    powers = torch.zeros(said.shape[1], requires_grad=True)
    label = bins.soft_label(truth)
    optimiser = torch.optim.LBFGS([powers], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = -(label * torch.log_softmax(torch.einsum("w,bwd->bd", powers, said), 1)).sum(1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return powers.detach().clamp(min=0)


def errors(powers: Tensor, said: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Angle between answer and truth, and the one that the answer expects, in degrees (B,) each."""
    guess, expected = bins.best_guess(torch.softmax(torch.einsum("w,bwd->bd", powers, said), 1))
    return bins.angle_deg(guess, truth), expected


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("views", type=Path, help="folder of scenes in the probe-set format")
    parser.add_argument("--out", type=Path, required=True, help="file for what the witnesses said")
    given = parser.parse_args()
    kept: dict[str, dict[str, Tensor]] = torch.load(given.out) if given.out.is_file() else {}
    names, scenes = [], []
    looks, view = None, None
    for case in read_set(given.views):
        if looks is None or case.view is not view:
            view = case.view
            looks = Look(view.radiance, view.camera, view.depth), Look(view.radiance, view.camera)
        known = kept[case.name]["said"] if case.name in kept else None
        kept[case.name] = testimony(case, looks, known)
        if known is None:
            torch.save(kept, given.out)
            print(f"{case.name}: {len(kept)} probes", flush=True)
        names.append(case.name)
        scenes.append(case.scene)
    said, truth, dominates = (torch.stack([kept[n][k] for n in names]) for k in ("said", "truth", "dominates"))
    order = sorted(set(scenes))
    fold = torch.tensor([order.index(scene) % _FOLDS for scene in scenes])
    for guessed in (0, 1):
        powers = learn(said[:, guessed], truth)
        told = ", ".join(f'"{name}": {float(p):.2f}' for name, p in zip(_WITNESSES, powers, strict=True))
        print(f"{'guessed' if guessed else 'true'} depth: {told}")
        error, expected = torch.zeros(len(names)), torch.zeros(len(names))
        for i in range(_FOLDS):
            out = fold == i
            learnt = learn(said[~out, guessed], truth[~out])
            error[out], expected[out] = errors(learnt, said[out, guessed], truth[out])
        _tell("scenes left out", error, expected, dominates)
        shipped = torch.tensor([POWERS[bool(guessed)].get(name, 0.0) for name in _WITNESSES])
        _tell("as shipped", *errors(shipped, said[:, guessed], truth), dominates)


def _tell(what: str, error: Tensor, expected: Tensor, dominates: Tensor) -> None:
    for which, chosen in (("all", torch.ones_like(dominates)), ("dominant", dominates)):
        print(
            f"  {what}, {which} ({int(chosen.sum())}): mean {float(error[chosen].mean()):.1f}°, median"
            f" {float(error[chosen].median()):.1f}°, expected {float(expected[chosen].mean()):.1f}°"
        )


if __name__ == "__main__":
    main()
