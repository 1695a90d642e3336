# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights on disk: small, and near enough to what was trained."""

import torch
from limelight.backend.weights import pack, unpack


def test_matrices_come_back_within_a_step_of_their_rows_scale():
    kernel = torch.randn(32, 48, 3, 3, generator=torch.Generator().manual_seed(0))
    kernel *= torch.logspace(-3, 1, 32)[:, None, None, None]
    packed = pack({"conv.weight": kernel})
    assert packed["conv.weight"].dtype == torch.int8
    error = (unpack(packed)["conv.weight"] - kernel).abs().flatten(1).amax(1)
    assert bool((error <= kernel.abs().flatten(1).amax(1) / 254 * 1.001).all())


def test_small_tensors_stay_half_floats_and_plain_files_pass():
    state = {"norm.weight": torch.tensor([1.5, -2.25]), "small.weight": torch.ones(4, 4) / 3}
    packed = pack(state)
    assert {value.dtype for value in packed.values()} == {torch.float16}
    assert torch.equal(unpack(packed)["norm.weight"], state["norm.weight"])
    assert torch.equal(unpack({"w": state["small.weight"].half()})["w"], state["small.weight"].half().float())


def test_a_row_of_zeros_stays_zero():
    kernel = torch.zeros(64, 64)
    kernel[1] = 1
    assert torch.equal(unpack(pack({"w": kernel}))["w"], kernel)
