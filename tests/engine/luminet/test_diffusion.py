# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper-scale LumiNet on tiny random networks of the real classes: nothing is downloaded, seconds on the CPU."""

import json
import math
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
import transformers
from limelight.backend.errors import BadInput, Cancelled, LimelightError, MissingPart
from limelight.backend.limo.backbone import prompts
from limelight.backend.luminet.diffusion import adaptor, bypass, cleanup, control, flow, intrinsics, load, memory
from limelight.backend.luminet.diffusion.relight import ddim, with_light
from limelight.backend.luminet.diffusion.weights import FILE
from limelight.training.luminet.diffusion import Recipe, SceneFolders, Trainer, train
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SIZE, CONTEXT = 32, 16
SIZES = intrinsics.IntrinsicsConfig(base=8, multipliers=(1, 2, 2, 3), blocks=(1, 1, 1, 1), embedding=16, hint=1)
WIDTHS = (96, 24, 48)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
TEXT = {"hidden_size": CONTEXT, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "vocab_size": len(TOKENS), "bos_token_id": len(TOKENS) - 2, "eos_token_id": len(TOKENS) - 1}  # fmt: skip


def write_text(folder: Path) -> None:
    """A CLIP text encoder and its tokenizer, whose tokens are letters."""
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>"}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(settings))
    transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT)).save_pretrained(folder / "text_encoder")


def write_vae(folder: Path) -> None:
    widths = (8, 8, 16)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    vae = diffusers.AutoencoderKL(block_out_channels=widths, norm_num_groups=4, latent_channels=4, **blocks)
    vae.save_pretrained(folder / "vae")


def write_base(folder: Path) -> Path:
    """A whole random Stable Diffusion pipeline with v-prediction."""
    torch.manual_seed(7)
    write_text(folder)
    write_vae(folder)
    diffusers.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=CONTEXT, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).save_pretrained(folder / "unet")  # fmt: skip
    # Another sampler than DDIM: what counts is its noise schedule.
    schedule = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    diffusers.EulerDiscreteScheduler(prediction_type="v_prediction", **schedule).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


def write_flux(folder: Path) -> Path:
    """A whole random Flux pipeline."""
    torch.manual_seed(8)
    write_text(folder)
    write_vae(folder)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((c, -2.0) for c in LETTERS)]
    transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder / "tokenizer_2")
    t5 = {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 1, "num_heads": 2, "vocab_size": len(pieces)}
    transformers.T5EncoderModel(transformers.T5Config(**t5)).save_pretrained(folder / "text_encoder_2")
    diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=CONTEXT, axes_dims_rope=(2, 2, 4), guidance_embeds=False,
    ).save_pretrained(folder / "transformer")  # fmt: skip
    diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    return folder


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights as if trained: none is zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        spread = 1 / math.sqrt(max(1, parameter[0].numel()))
        parameter.data += spread * torch.randn(parameter.shape, generator=generator)
    return module


def write_intrinsics(path: Path) -> Path:
    torch.manual_seed(3)
    net = randomise(intrinsics.LatentIntrinsics(SIZES))
    save_file(net.state_dict(), path, {"intrinsics": json.dumps(SIZES.to_dict())})
    return path


def recipe(base: Path, out: Path, **changes) -> Recipe:
    settings = {"base": base, "intrinsics": base.parent / "intrinsics.safetensors", "out": out, "size": SIZE,
                "batch": 2, "adaptor": WIDTHS, "steps": 2}  # fmt: skip
    return Recipe(**{**settings, **changes})


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A base model with LumiNet's weights as if trained."""
    root = tmp_path_factory.mktemp("models")
    base = write_base(root / "tiny")
    write_intrinsics(root / "intrinsics.safetensors")
    trainer = Trainer(recipe(base, root / "run"))
    randomise(trainer.nets.controlnet)
    randomise(trainer.nets.adaptor)
    trainer.export(base / FILE)
    return base


@pytest.fixture
def folder(original, tmp_path) -> Path:
    copy = shutil.copytree(original, tmp_path / "tiny")
    shutil.copy(original.parent / "intrinsics.safetensors", tmp_path)
    yield copy
    load.unload()


@pytest.fixture
def picture() -> torch.Tensor:
    rows = torch.linspace(0.1, 0.9, SIZE)
    return torch.stack([rows[:, None].expand(SIZE, SIZE), rows.expand(SIZE, SIZE), rows.flip(0).expand(SIZE, SIZE)])


def a_code(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(16, generator=generator), dim=0)


class OnePair:
    """The same view under two lights, again and again."""

    def __init__(self, picture: torch.Tensor) -> None:
        self.picture = picture

    def draw(self, count, generator):
        source = self.picture.expand(count, -1, -1, -1)
        return source, (source * 0.5).flip(1)


def change(folder: Path, edit) -> None:
    """Rewrite LumiNet's weights; ``edit`` changes the tensors and the header in place."""
    tensors = load_file(folder / FILE)
    with safe_open(folder / FILE, "pt") as file:
        header = dict(file.metadata())
    edit(tensors, header)
    save_file(tensors, folder / FILE, header)


# Latent Intrinsics


def test_the_papers_network_has_the_papers_sizes():
    with torch.device("meta"):
        net = intrinsics.LatentIntrinsics()
        levels, codes = net.encode(torch.empty(1, 3, 512, 512))
        hint = intrinsics.control_hint(levels, codes, net.config.hint)
        assert net.decode(levels, codes).shape == (1, 3, 512, 512)
    assert [(level.shape[1], level.shape[2]) for level in levels] == [
        (64, 256), (128, 128), (128, 64), (256, 32), (512, 16)]  # fmt: skip
    assert codes.shape == (1, 16) and hint.shape == (1, 144, 64, 64)
    assert net.config.hint_channels == 144 and net.config.hint_stride == 8
    assert [layer.out_features for layer in net.light if isinstance(layer, torch.nn.Linear)] == [128, 128]


def test_intrinsics_and_codes_are_unit_vectors_and_the_light_is_weak(picture):
    net = randomise(intrinsics.LatentIntrinsics(SIZES))
    with torch.no_grad():
        levels, code = net.encode(picture[None] * 2 - 1)
        assert all(torch.allclose(level.norm(dim=1), torch.ones(()), atol=1e-5) for level in levels)
        assert float(code.norm()) == pytest.approx(1, abs=1e-5)
        own, other = net.decode(levels, code), net.decode(levels, a_code(1)[None])
    assert own.shape == (1, 3, SIZE, SIZE)
    # Light has an effect, but modulates every block by half a percent at most.
    assert 0 < float((own - other).abs().max()) < 0.1 * float(own.std())


def test_the_decoder_sees_nothing_but_intrinsics_and_code(picture):
    """It learns to paint one picture, which takes gradients through every part of both halves."""
    torch.manual_seed(0)
    net = intrinsics.LatentIntrinsics(SIZES)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    goal = picture[None] * 2 - 1
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.mse_loss(net.decode(*net.encode(goal)), goal)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


# Adaptor


@pytest.mark.parametrize("widths", [adaptor.PAPER, adaptor.RELEASED])
def test_both_adaptors_make_three_tokens_and_are_told_by_their_shapes(widths):
    with torch.device("meta"):
        net = adaptor.Adaptor(widths)
        assert net(torch.empty(2, 16)).shape == (2, 3, 1024)
    # As the layers of a Sequential with an activation after each would be called.
    foreign = {f"mlp.{2 * int(n.split('.')[1])}.{n.split('.')[2]}": v for n, v in net.state_dict().items()}
    found = adaptor.canonical(foreign)
    assert adaptor.widths_of(found) == list(widths) and list(found) == list(net.state_dict())


def test_the_code_is_tiled_and_silu_follows_every_layer():
    net, code = adaptor.Adaptor((32, 8, 32), context=16), torch.randn(1, 16)
    x = torch.cat([code, code], 1)
    for layer in net.layers:
        x = layer(x) * torch.sigmoid(layer(x))
    assert torch.allclose(net(code), x.reshape(1, 2, 16), atol=1e-6)


# ControlNet and sampling


def test_at_first_the_controlnet_changes_nothing_of_the_unet(original, picture):
    unet = diffusers.UNet2DConditionModel.from_pretrained(original / "unet")
    net = control.make_controlnet(unet, 32)
    x, tokens, time = torch.randn(2, 4, 8, 8), torch.randn(2, 80, CONTEXT), torch.tensor(500)
    with torch.no_grad():
        predicted = control.predict(unet, net, x, time, tokens, torch.randn(2, 32, 8, 8))
        assert torch.equal(predicted, unet(x, time, tokens).sample)
        randomise(net)
        hints = torch.randn(2, 32, 8, 8)
        first, second = (control.predict(unet, net, x, time, tokens, hint) for hint in (hints, hints.flip(0)))
    assert not torch.allclose(first, predicted, atol=1e-3) and not torch.allclose(first, second, atol=1e-4)


def test_the_full_scale_hint_has_the_papers_convolutions():
    with torch.device("meta"):
        layers = control.HintEmbedding(144, 320).layers
    widths = [(144, 144), (144, 256), (256, 256), (256, 256), (256, 320)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == widths
    assert all(layer.stride == (1, 1) for layer in layers)


def test_guidance_sets_the_light_tokens_against_none_of_them(folder):
    nets = load.load_relighter(folder).networks
    noise, hint = torch.randn(1, 4, 8, 8), torch.randn(1, SIZES.hint_channels, 8, 8)
    code = a_code(0)[None]
    with torch.no_grad():
        plain = with_light(nets.prompt, nets.adaptor, code)
        assert plain.shape == (1, 80, CONTEXT) and torch.equal(plain[:, :77], nets.prompt)
        nets.scheduler.set_timesteps(2)
        expected = noise
        for time in nets.scheduler.timesteps:
            lit, unlit = (control.predict(nets.unet, nets.controlnet, expected, time, tokens, hint)
                          for tokens in (plain, nets.prompt))  # fmt: skip
            expected = nets.scheduler.step(unlit + 9 * (lit - unlit), time, expected, eta=0.0).prev_sample
        found = ddim(nets, noise, hint, code, 2, 9.0)
        assert torch.allclose(found, expected, atol=1e-3) and not torch.allclose(lit, unlit, atol=1e-5)
        assert not torch.allclose(ddim(nets, noise, hint, code, 2, 1.0), found, atol=1e-3)


def test_any_samplers_noise_schedule_becomes_even_ddim_steps(original):
    scheduler = load.load_base(original, torch.float32)[2]
    scheduler.set_timesteps(50)
    assert scheduler.timesteps.tolist() == list(range(981, 0, -20))
    assert scheduler.config.prediction_type == "v_prediction" and not scheduler.config.clip_sample
    assert float(scheduler.betas[0]) == pytest.approx(0.00085) and float(scheduler.betas[-1]) == pytest.approx(0.012)


def test_a_perfect_velocity_brings_ddim_to_the_picture():
    """A network that knows the picture: v = α ε − σ x₀, with ε read from the sample, leads to it from any noise."""
    scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                                        prediction_type="v_prediction", clip_sample=False)  # fmt: skip
    goal = torch.randn(1, 4, 8, 8)

    class Perfect(torch.nn.Module):
        dtype = torch.float32

        def forward(self, x, time, tokens, **rest):
            alpha = scheduler.alphas_cumprod[time].sqrt()
            sigma = (1 - alpha**2).sqrt()
            return (alpha * (x - alpha * goal) / sigma - sigma * goal,)

    def silent(*args, **rest):
        return (), None

    tiny = adaptor.Adaptor((16, 16), CONTEXT)
    nets = load.Networks(None, tiny, silent, Perfect(), None, scheduler, torch.zeros(1, 77, CONTEXT))
    with torch.no_grad():
        found = ddim(nets, torch.randn(2, 4, 8, 8), torch.zeros(1, 3, 8, 8), a_code(0)[None], 50, 9.0)
    assert torch.allclose(found, goal.expand_as(found), atol=1e-3)


# Bypass


def test_an_untrained_bypass_is_the_base_decoder_and_a_trained_one_carries_details(original, picture):
    vae = diffusers.AutoencoderKL.from_pretrained(original / "vae")
    net = bypass.Bypass(vae)
    source = picture[None] * 2 - 1
    with torch.no_grad():
        latents = bypass.encode(vae, source)
        seen = bypass.encoder_features(vae, source)
        base = bypass.decode(vae, latents, None, ())
        assert torch.allclose(base, vae.decode(latents / vae.config.scaling_factor).sample)
        assert torch.allclose(bypass.decode(vae, latents, net, seen), base, atol=1e-6)
        randomise(net)
        both = bypass.decode(vae, latents.expand(2, -1, -1, -1), net, seen)
    assert both.shape == (2, 3, SIZE, SIZE) and not torch.allclose(both[:1], base, atol=1e-3)


def test_a_bypass_and_its_decoder_load_beside_the_rest(folder, picture):
    plain = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    vae = diffusers.AutoencoderKL.from_pretrained(folder / "vae")
    net = bypass.Bypass(vae)
    change(folder, lambda t, h: t.update({f"bypass.{k}": v for k, v in net.state_dict().items()}))
    load.unload()
    zero = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    assert torch.allclose(zero.ratio, plain.ratio, atol=1e-4)
    added = {f"bypass.decoder.{k}": v + 0.02 for k, v in vae.decoder.state_dict().items()}
    change(folder, lambda t, h: t.update(added))
    load.unload()
    trained = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    assert not torch.allclose(trained.ratio, plain.ratio, atol=1e-3)
    change(folder, lambda t, h: t.pop("bypass.inputs.1.bias"))
    load.unload()
    with pytest.raises(MissingPart, match=r"lacks the tensor 'bypass.inputs.1.bias'"):
        load.load_relighter(folder)


# The whole path


def test_candidates_are_shaped_reproducible_and_led_by_seed_code_and_picture(folder, picture):
    relighter = load.load_relighter(folder)
    assert relighter.size == SIZE and load.load_relighter(folder) is relighter
    first = relighter.relight(picture, a_code(0), steps=3, seeds=[1, 2, 3])
    assert first.ratio.shape == (3, 3, SIZE, SIZE) and first.codes.shape == (3, 16)
    assert bool(torch.isfinite(first.ratio).all()) and first.ratio.device.type == "cpu"
    assert torch.allclose(first.codes.norm(dim=1), torch.ones(3), atol=1e-5)
    again = relighter.relight(picture, a_code(0), steps=3, seeds=[3])
    assert torch.allclose(again.ratio[0], first.ratio[2], atol=1e-5)
    assert not torch.allclose(first.ratio[0], first.ratio[1], atol=1e-3)
    for other in (relighter.relight(picture, a_code(1), steps=3, seeds=[1]),
                  relighter.relight(picture.flip(-1), a_code(0), steps=3, seeds=[1])):  # fmt: skip
        assert not torch.allclose(other.ratio[0], first.ratio[0], atol=1e-3)
    relighter.batch = 2
    batched = relighter.relight(picture, a_code(0), steps=3, seeds=[1, 2, 3])
    assert torch.allclose(batched.ratio, first.ratio, atol=1e-3)


def test_the_ratio_is_over_the_sources_own_round_trip(folder, picture):
    """A sampling that ends at the source's own latents changes nothing, whatever the VAE loses."""
    relighter = load.load_relighter(folder)
    relighter._sample = lambda like, hint, code, steps, seeds, after: list(like)
    found = relighter.relight(picture, a_code(0), steps=1, seeds=[0])
    assert float(found.ratio.abs().max()) < 1e-5
    decoded = relighter.networks.vae(picture[None] * 2 - 1).sample / 2 + 0.5
    assert not torch.allclose(decoded, picture[None], atol=0.05)
    assert torch.allclose(found.codes, relighter.light_codes(decoded.detach().clamp(0, 1)), atol=1e-4)


def test_codes_are_of_single_pictures(folder, picture):
    relighter = load.load_relighter(folder)
    codes = relighter.light_codes(torch.stack([picture, picture * 0.3]))
    assert codes.shape == (2, 16) and torch.allclose(codes[1], relighter.light_codes(picture[None] * 0.3)[0], atol=1e-6)
    assert not torch.allclose(codes[0], codes[1], atol=1e-5)


def test_cancel_passes_through_one_denoising_step_and_leaves_the_model_usable(folder, picture):
    relighter, calls = load.load_relighter(folder), []
    expected = relighter.relight(picture, a_code(0), steps=3, seeds=[0, 1], progress=calls.append)
    assert calls == pytest.approx([(i + 1) / 8 for i in range(8)])

    def progress(fraction):
        raise Cancelled

    passes = []
    hook = relighter.networks.unet.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(Cancelled):
        relighter.relight(picture, a_code(0), steps=3, seeds=[0, 1], progress=progress)
    hook.remove()
    assert len(passes) == 2
    assert torch.equal(relighter.relight(picture, a_code(0), steps=3, seeds=[0, 1]).ratio, expected.ratio)


def test_a_batch_that_does_not_fit_is_halved_and_a_hopeless_one_explained(folder, picture):
    relighter, sizes, limit = load.load_relighter(folder), [], 1
    expected = relighter.relight(picture, a_code(0), steps=1, seeds=[0, 1, 2])

    def refuse(module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    relighter.networks.unet.register_forward_pre_hook(refuse)
    relighter.batch = 4
    found = relighter.relight(picture, a_code(0), steps=1, seeds=[0, 1, 2])
    assert torch.allclose(found.ratio, expected.ratio, atol=1e-4) and sizes[:3] == [3, 2, 1]
    limit = 0
    with pytest.raises(LimelightError, match="memory of cpu does not suffice") as caught:
        relighter.relight(picture, a_code(0), steps=1, seeds=[0])
    assert caught.value.code == "memory"


def test_the_empty_prompt_is_stored_or_embedded_once(folder, picture, monkeypatch):
    stored = load.load_relighter(folder).networks.prompt
    load.unload()
    change(folder, lambda t, h: t.pop("empty_prompt"))
    embedded = load.load_relighter(folder).networks.prompt
    assert torch.allclose(stored, embedded, atol=1e-6) and (folder / prompts.CACHE).is_file()
    load.unload()
    monkeypatch.setattr(load, "embed", lambda *_: pytest.fail("embedded again"))
    assert torch.equal(load.load_relighter(folder).networks.prompt, embedded)


def test_a_stored_prompt_needs_no_text_encoder(folder, picture):
    shutil.rmtree(folder / "text_encoder")
    shutil.rmtree(folder / "tokenizer")
    assert load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0]).ratio.shape[0] == 1


def test_the_released_number_of_layers_loads_too(folder):
    net = adaptor.Adaptor((96, 24, 24, 48), CONTEXT)

    def edit(tensors, header):
        for name in [name for name in tensors if name.startswith("adaptor.")]:
            del tensors[name]
        tensors |= {f"adaptor.{2 * int(n.split('.')[1])}.{n.split('.')[2]}": v for n, v in net.state_dict().items()}

    change(folder, edit)
    loaded = load.load_relighter(folder).networks.adaptor
    assert len(loaded.layers) == 3 and torch.allclose(loaded(a_code(0)[None]), net(a_code(0)[None]), atol=1e-6)


# What can be wrong with a folder

ODD = {
    "no file": (lambda f: (f / FILE).unlink(), "has no luminet.safetensors"),
    "a pickle": (lambda f: (f / FILE).rename(f / "last.pth.tar"), "last.pth.tar .* is a pickle"),
    "a torn file": (lambda f: (f / FILE).write_bytes((f / FILE).read_bytes()[:999]), "is damaged"),
    "no index": (lambda f: (f / "model_index.json").unlink(), "no diffusers pipeline"),
    "another pipeline": (
        lambda f: (f / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'),
        "is a FluxPipeline, expected a StableDiffusionPipeline",
    ),
    "no unet": (lambda f: shutil.rmtree(f / "unet"), "lacks its part 'unet'"),
    "no scheduler": (lambda f: shutil.rmtree(f / "scheduler"), "lacks its part 'scheduler'"),
}
CHANGED = {
    "no adaptor": (lambda t, h: [t.pop(n) for n in list(t) if n.startswith("adaptor")], "no tensor of its part 'adapt"),
    "one tensor less": (
        lambda t, h: t.pop("controlnet.conv_in.bias"),
        "lacks the tensor 'controlnet.conv_in.bias'",
    ),
    "no hint": (
        lambda t, h: t.pop("controlnet.controlnet_cond_embedding.layers.1.weight"),
        "lacks the tensor|with shape",
    ),
    "a strange tensor": (lambda t, h: t.update(pipe=torch.zeros(1)), "tensor 'pipe', which belongs to no part"),
    "a foreign tensor": (
        lambda t, h: t.update({"unet.giant.weight": torch.zeros(1)}),
        "'unet.giant.weight', for which this base model has no place",
    ),
    "another shape": (
        lambda t, h: t.update({"controlnet.conv_in.weight": torch.zeros(8, 4, 1, 1)}),
        r"'controlnet.conv_in.weight' with shape \(8, 4, 1, 1\), expected \(8, 4, 3, 3\)",
    ),
    "whole numbers": (
        lambda t, h: t.update({"controlnet.conv_in.bias": torch.zeros(8, dtype=torch.int32)}),
        "'controlnet.conv_in.bias' of type torch.int32",
    ),
    "a broken chain": (
        lambda t, h: t.update({"adaptor.layers.1.weight": torch.zeros(48, 25)}),
        r"'adaptor.layers.1.weight' with shape \(48, 25\), expected \(48, 24\)",
    ),
    "tokens of another width": (
        lambda t, h: t.update(
            {"adaptor.layers.1.weight": torch.zeros(50, 24), "adaptor.layers.1.bias": torch.zeros(50)}
        ),
        "layers make no light tokens",
    ),
    "an odd name": (lambda t, h: t.update({"adaptor.norm.weight": torch.zeros(1)}), "'adaptor.norm.weight', which is"),
    "a prompt of another width": (
        lambda t, h: t.update(empty_prompt=torch.zeros(1, 77, 9)),
        r"'empty_prompt' of shape \(1, 77, 9\), expected \(1, 77, 16\)",
    ),
    "an odd header": (lambda t, h: h.update(intrinsics='{"base": 8, "colour": 3}'), "header .* is odd"),
    "another stride": (
        lambda t, h: h.update(intrinsics=json.dumps({**SIZES.to_dict(), "hint": 0})),
        "intrinsics of stride 2 .* expected the VAE's stride 4",
    ),
}


@pytest.mark.parametrize("how", [*ODD, *CHANGED])
def test_a_broken_folder_is_a_sentence_with_a_remedy(folder, how):
    if how in ODD:
        edit, expected = ODD[how]
        edit(folder)
    else:
        edit, expected = CHANGED[how]
        change(folder, edit)
    with pytest.raises(MissingPart, match=expected) as caught:
        load.load_relighter(folder)
    assert "tiny" in caught.value.text and caught.value.text.endswith(".") and caught.value.remedy
    assert len(caught.value.text) < 300


def test_a_pickle_by_name_is_refused_unopened(tmp_path):
    (tmp_path / "last.pth").write_bytes(b"cos\nsystem\n")
    with pytest.raises(MissingPart, match=r"last.pth is a file") as caught:
        load.load_relighter(tmp_path / "last.pth")
    assert "not opened" in caught.value.remedy


def test_memory_is_reckoned_from_headers_and_compared_before_loading(folder, monkeypatch):
    parts = [load_file(path) for path in (folder / FILE, *folder.glob("[uv]*/*.safetensors"))]
    numbers = sum(value.numel() for tensors in parts for value in tensors.values())
    expected = 4 * numbers + memory.WORKING * SIZE * SIZE
    relighter = load.load_relighter(folder)
    assert relighter.memory == expected and memory.free("cpu") > 1e6
    load.unload()
    monkeypatch.setattr(memory, "free", lambda device: expected - 1)
    monkeypatch.setattr(load, "load_base", lambda *_: pytest.fail("loaded"))
    with pytest.raises(LimelightError, match=r"needs about 0.0 GB of cpu's memory, of which 0.0 GB are free") as caught:
        load.load_relighter(folder)
    assert caught.value.code == "memory" and "embedded" in caught.value.remedy


# Flow inversion

SIGMAS = torch.linspace(1, 0, 29).tolist()


def spread_field(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The exact velocity where pictures are normal of deviation 0.5: E[ε − x₀ | x]."""
    variance = (0.5 * (1 - sigma)) ** 2 + sigma**2
    return (sigma - 0.25 * (1 - sigma)) / variance * x


def test_full_control_gives_the_picture_back_exactly_and_full_pull_the_noise():
    picture, noise = torch.randn(2, 3, 4, 4) * 0.5, torch.randn(2, 3, 4, 4)
    whole = flow.Controller(eta=1.0, gamma=1.0, end=28)
    start = flow.invert(spread_field, picture, noise, SIGMAS, whole)
    assert torch.allclose(start, noise, atol=1e-5)
    assert torch.allclose(flow.regenerate(spread_field, start, picture, SIGMAS, whole), picture, atol=1e-5)
    wild = flow.regenerate(lambda x, sigma: x * 50 + 7, start, picture, SIGMAS, whole)
    assert torch.allclose(wild, picture, atol=1e-5)


def test_without_control_inversion_follows_the_flow_there_and_back():
    picture, noise = torch.randn(1, 3, 8, 8) * 0.5, torch.randn(1, 3, 8, 8)
    free, fine = flow.Controller(eta=0.0, gamma=0.0), torch.linspace(1, 0, 2001).tolist()
    start = flow.invert(spread_field, picture, noise, fine, free)
    # The flow keeps quantiles: deviation 0.5 becomes 1.
    assert torch.allclose(start, picture * 2, atol=5e-3)
    assert torch.allclose(flow.regenerate(spread_field, start, noise, fine, free), picture, atol=5e-3)


def test_control_holds_in_its_own_steps_and_pulls_the_more_the_stronger():
    picture, start = torch.randn(1, 3, 8, 8) * 0.5, torch.randn(1, 3, 8, 8)

    def distance(**settings):
        found = flow.regenerate(spread_field, start, picture, SIGMAS, flow.Controller(**settings))
        return float((found - picture).abs().mean())

    assert distance(eta=0.99) < distance(eta=0.95) < distance(eta=0.5) < distance(eta=0.0)
    assert distance(eta=0.95, end=20) < distance(eta=0.95, end=5)
    assert distance(eta=0.95, end=0) == distance(eta=0.0)
    seen = []
    flow.regenerate(lambda x, sigma: seen.append(sigma) or x, start, picture, SIGMAS, flow.Controller())
    assert seen == SIGMAS[:-1] and min(seen) > 0


def test_a_flux_model_cleans_up_and_full_control_leaves_only_its_vaes_round_trip(tmp_path, picture):
    folder = write_flux(tmp_path / "flux")
    signed = picture[None] * 2 - 1
    clean = cleanup.CleanUp(folder, "cpu", SIZE, flow.Controller(eta=1.0, end=3))
    steps = []
    with torch.no_grad():
        vae = diffusers.AutoencoderKL.from_pretrained(folder / "vae")
        found = clean(signed, 0, steps=3, after_step=lambda: steps.append(1))
        assert torch.allclose(found, vae(signed).sample.clamp(-1, 1), atol=1e-4) and len(steps) == 6
        free = cleanup.CleanUp(folder, "cpu", 2 * SIZE)
        other = free(signed, 0, steps=3)
        assert other.shape == signed.shape and torch.equal(other, free(signed, 0, steps=3))
        assert not torch.allclose(other, found, atol=1e-3)


def test_a_flux_model_in_the_folder_cleans_every_candidate_up(folder, picture, monkeypatch):
    plain = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    write_flux(folder / load.CLEAN_UP)
    monkeypatch.setattr(load, "CLEAN_SIZE", SIZE)
    monkeypatch.setattr(cleanup.CleanUp.__init__, "__defaults__", (SIZE, None))
    calls = []
    relighter = load.load_relighter(folder)
    assert relighter.memory > 0 and relighter.networks.clean_up.size == SIZE
    found = relighter.relight(picture, a_code(0), steps=1, seeds=[0], progress=calls.append)
    assert not torch.allclose(found.ratio, plain.ratio, atol=1e-3)
    assert len(calls) == 2 + 2 * flow.STEPS and calls[-1] == pytest.approx(1)


# Training


def test_training_on_one_pair_lowers_the_loss_and_touches_only_what_it_should(folder, picture, tmp_path):
    trainer = Trainer(recipe(folder, tmp_path / "run", learning_rate=3e-3, dropped=0.0))
    before = {name: p.detach().clone() for name, p in trainer.nets.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    pair = [x.expand(16, -1, -1, -1) for x in OnePair(picture).draw(1, generator)]
    noise, times = torch.randn(16, 4, 8, 8, generator=generator), torch.arange(16) * 60

    def loss():
        with torch.no_grad():
            return float(trainer.diffusion_loss(*pair, noise, times, lit=True))

    first = loss()
    for _ in range(30):
        trainer.update(OnePair(picture))
    assert loss() < 0.9 * first
    moved = {name for name, p in trainer.nets.named_parameters() if not torch.equal(p, before[name])}
    cross = {f"unet.{name}" for name in control.cross_attention(trainer.nets.unet)}
    assert {name for name in moved if name.startswith("unet.")} == cross
    assert any(n.startswith("controlnet.controlnet_cond_embedding") for n in moved)
    assert any(n.startswith("adaptor.") for n in moved)


def test_an_untrained_export_relights_like_the_base_model(folder, picture, tmp_path):
    """Zero at first: what comes out does not depend on the hint."""
    trainer = Trainer(recipe(folder, tmp_path / "run"))
    trainer.export(folder / FILE)
    nets = load.load_relighter(folder).networks
    noise = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        hints = torch.randn(2, 1, SIZES.hint_channels, 8, 8)
        first, second = (ddim(nets, noise, hint, a_code(0)[None], 2, 9.0) for hint in hints)
    assert torch.equal(first, second)


def test_what_training_exports_is_what_the_relighter_loads(folder, picture, tmp_path):
    weights = train(recipe(folder, tmp_path / "run", learning_rate=1e-2), OnePair(picture), lambda line: None)
    shutil.copy(weights, folder / FILE)
    trainer = Trainer(recipe(folder, tmp_path / "run"))
    nets = load.load_relighter(folder).networks
    assert trainer.step == 2
    for ours, theirs in ((nets.controlnet, trainer.nets.controlnet), (nets.adaptor, trainer.nets.adaptor),
                         (nets.unet, trainer.nets.unet), (nets.intrinsics, trainer.intrinsics)):  # fmt: skip
        for name, value in theirs.state_dict().items():
            assert torch.allclose(ours.state_dict()[name], value, rtol=2e-3, atol=1e-6), name
    assert torch.equal(nets.prompt, trainer.nets.prompt)


def test_a_broken_off_run_goes_on_as_if_it_had_not(folder, picture, tmp_path):
    whole = train(recipe(folder, tmp_path / "whole", steps=4, learning_rate=1e-3), OnePair(picture), lambda line: None)
    halves = recipe(folder, tmp_path / "halves", steps=2, learning_rate=1e-3)
    train(halves, OnePair(picture), lambda line: None)
    again = train(recipe(folder, tmp_path / "halves", steps=4, learning_rate=1e-3, parts=1), OnePair(picture),
                  lambda line: None)  # fmt: skip
    first, second = load_file(whole), load_file(again)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_in_parts_is_the_same_batch(folder, picture, tmp_path):
    losses = [Trainer(recipe(folder, tmp_path / str(parts), batch=4, parts=parts)).update(OnePair(picture))
              for parts in (1, 2)]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_pairs_are_two_pictures_of_one_scene(tmp_path):
    for scene in range(3):
        (tmp_path / f"scene {scene}").mkdir()
        for light in range(3):
            pixels = np.full((40, 60, 3), (scene * 80, light * 80, 0), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"scene {scene}" / f"{light}.png")
    (tmp_path / "alone").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "alone" / "0.png")
    source, target = SceneFolders(tmp_path, 16).draw(8, torch.Generator().manual_seed(0))
    assert source.shape == target.shape == (8, 3, 16, 16)
    assert torch.allclose(source[:, 0], target[:, 0], atol=1e-3)
    assert float((source[:, 1] - target[:, 1]).abs().amin(dim=(1, 2)).min()) > 0.2
    assert float(source.max()) <= 1 and len(source[:, 0].mean((1, 2)).mul(255).round().unique()) > 1
    with pytest.raises(BadInput, match="holds no scene"):
        SceneFolders(tmp_path / "alone", 16)
