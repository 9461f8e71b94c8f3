"""Tiny random denoisers and autoencoders in diffusers' layout with what PyTorch computes, and trajectories of its schedulers."""

import json

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiTTransformer2DModel,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UNet2DConditionModel,
)
from diffusers import EDMEulerScheduler

from common import FIXTURES, WEIGHTS, generator, write_tensors

DITS = {
    "dit-tiny": dict(num_attention_heads=2, attention_head_dim=8, in_channels=3, num_layers=2, sample_size=8, patch_size=2,
                     num_embeds_ada_norm=5),
    "dit-sigma-tiny": dict(num_attention_heads=3, attention_head_dim=4, in_channels=4, out_channels=8, num_layers=1,
                           sample_size=8, patch_size=4, num_embeds_ada_norm=3, activation_fn="geglu", attention_bias=False,
                           norm_elementwise_affine=True),
}  # fmt: skip
UNETS = {
    "unet-tiny": dict(sample_size=8, in_channels=3, out_channels=3, block_out_channels=(8, 12), norm_num_groups=4,
                      down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                      layers_per_block=1, cross_attention_dim=6, attention_head_dim=2),
    "unet-linear-tiny": dict(sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 8, 4), norm_num_groups=4,
                             down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                             up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                             layers_per_block=1, cross_attention_dim=4, attention_head_dim=(1, 2, 2), use_linear_projection=True,
                             transformer_layers_per_block=(1, 2, 1), resnet_time_scale_shift="scale_shift", num_class_embeds=4,
                             flip_sin_to_cos=False, freq_shift=1, center_input_sample=True),
    "unet-plain-tiny": dict(sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), norm_num_groups=2,
                            down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
                            mid_block_type="UNetMidBlock2D", layers_per_block=1, num_class_embeds=3, norm_eps=1e-6, cross_attention_dim=2),
}  # fmt: skip
VAES = {
    "vae-tiny": dict(block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1, latent_channels=4, sample_size=16,
                     down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2),
    "vae-bare-tiny": dict(block_out_channels=(4, 8, 8), norm_num_groups=2, layers_per_block=1, latent_channels=2, sample_size=16,
                          down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
                          use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False,
                          scaling_factor=0.36, shift_factor=0.12),
}  # fmt: skip


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Every parameter away from its default, and the output of the order of one."""
    source = generator(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=source)
            if value.dim() < 2:
                value.copy_((1 if "norm" in name and name.endswith("weight") else 0) + 0.2 * noise)
            else:
                value.copy_(noise * (1.5 / value[0].numel()) ** 0.5)


def save(model: torch.nn.Module, name: str) -> None:
    folder = FIXTURES / name
    model.save_pretrained(folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.chmod(0o644)


@torch.no_grad()
def write_denoiser(name: str, model: torch.nn.Module, seed: int, wide: tuple[int, int] | None) -> None:
    model.eval()
    randomise(model, seed)
    save(model, name)
    source = generator(seed + 100)
    config, expected = model.config, {}
    sizes = {"": (config.sample_size,) * 2} | ({"wide.": wide} if wide else {})
    for prefix, (height, width) in sizes.items():
        given = {"latents": torch.randn(3, config.in_channels, height, width, generator=source), "t": torch.tensor([0.0, 481.0, 999.0])}
        if isinstance(model, DiTTransformer2DModel):
            # The last is the null class.
            given["label"] = torch.tensor([0, 1, config.num_embeds_ada_norm], dtype=torch.int32)
            found = model(given["latents"], timestep=given["t"], class_labels=given["label"]).sample
        else:
            given["context"] = torch.randn(3, 5, config.cross_attention_dim, generator=source)
            if config.num_class_embeds:
                given["label"] = torch.tensor([0, 1, config.num_class_embeds - 1], dtype=torch.int32)
            found = model(given["latents"], given["t"], given["context"], class_labels=given.get("label")).sample
        expected |= {prefix + key: value for key, value in (given | {"sample": found}).items()}
    write_tensors(FIXTURES / name / "expected.safetensors", expected)


@torch.no_grad()
def write_embedded() -> None:
    """What diffusers computes with the committed Graft-DiT; its weights are not copied."""
    model = DiTTransformer2DModel.from_pretrained(WEIGHTS / "graft-dit", torch_dtype=torch.float32).eval()
    latents = torch.randn(2, 3, 32, 32, generator=generator(400))
    t, label = torch.tensor([700.0, 120.0]), torch.tensor([3, 9], dtype=torch.int32)
    found = model(latents, timestep=t, class_labels=label).sample
    expected = {"latents": latents, "t": t, "label": label, "sample": found}
    write_tensors(FIXTURES / "graft-dit" / "expected.safetensors", expected)


@torch.no_grad()
def write_vae(name: str, vae: AutoencoderKL, seed: int) -> None:
    vae.eval()
    randomise(vae, seed)
    save(vae, name)
    source = generator(seed + 100)
    pixels = torch.randn(2, 3, 16, 24, generator=source).clamp(-1, 1)
    encoded = vae.encode(pixels).latent_dist
    latents = torch.randn(encoded.mean.shape, generator=source)
    # Variances are compared as parameters: `latent_dist` clamps them.
    mean, log_variance = encoded.parameters.chunk(2, dim=1)
    expected = {"pixels": pixels, "mean": mean, "logVariance": log_variance, "latents": latents, "decoded": vae.decode(latents).sample}
    write_tensors(FIXTURES / name / "expected.safetensors", expected)


BETAS = dict(num_train_timesteps=1000)
COSINE = dict(BETAS, beta_schedule="squaredcos_cap_v2")
LINEAR = dict(BETAS, beta_schedule="linear", beta_start=0.0001, beta_end=0.02)
SCALED = dict(BETAS, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
PLAIN = dict(clip_sample=False)
CASES = [
    ("ddim-eps", DDIMScheduler, dict(LINEAR, **PLAIN, prediction_type="epsilon", timestep_spacing="leading", steps_offset=1), {}),
    ("ddim-v", DDIMScheduler, dict(COSINE, **PLAIN, prediction_type="v_prediction", timestep_spacing="trailing"), {}),
    ("ddim-sample-clipped", DDIMScheduler, dict(SCALED, prediction_type="sample", timestep_spacing="leading", clip_sample=True), {}),
    ("ddim-eta", DDIMScheduler, dict(COSINE, **PLAIN, prediction_type="v_prediction", timestep_spacing="trailing"), {"eta": 0.7}),
    ("ddim-zero-snr", DDIMScheduler, dict(SCALED, **PLAIN, prediction_type="v_prediction", timestep_spacing="trailing",
                                          rescale_betas_zero_snr=True), {}),
    ("ddpm-eps", DDPMScheduler, dict(LINEAR, prediction_type="epsilon", clip_sample=True, timestep_spacing="leading"), {}),
    ("ddpm-sample", DDPMScheduler, dict(LINEAR, **PLAIN, prediction_type="sample", timestep_spacing="trailing"), {}),
    ("ddpm-v", DDPMScheduler, dict(COSINE, **PLAIN, prediction_type="v_prediction", timestep_spacing="trailing"), {}),
    ("euler-eps", EulerDiscreteScheduler, dict(SCALED, prediction_type="epsilon", timestep_spacing="leading", steps_offset=1), {}),
    ("euler-v", EulerDiscreteScheduler, dict(LINEAR, prediction_type="v_prediction", timestep_spacing="trailing"), {}),
    ("euler-karras", EulerDiscreteScheduler, dict(SCALED, prediction_type="epsilon", timestep_spacing="linspace", use_karras_sigmas=True), {}),
    ("ancestral-eps", EulerAncestralDiscreteScheduler, dict(SCALED, prediction_type="epsilon", timestep_spacing="linspace"), {}),
    ("ancestral-v", EulerAncestralDiscreteScheduler, dict(LINEAR, prediction_type="v_prediction", timestep_spacing="trailing"), {}),
    ("heun-eps", HeunDiscreteScheduler, dict(SCALED, prediction_type="epsilon", timestep_spacing="linspace"), {}),
    ("heun-v", HeunDiscreteScheduler, dict(LINEAR, prediction_type="v_prediction", timestep_spacing="trailing"), {}),
    ("dpm-eps", DPMSolverMultistepScheduler, dict(SCALED, prediction_type="epsilon", timestep_spacing="linspace"), {}),
    ("dpm-v", DPMSolverMultistepScheduler, dict(COSINE, prediction_type="v_prediction", timestep_spacing="trailing"), {}),
    ("dpm-karras", DPMSolverMultistepScheduler, dict(SCALED, prediction_type="epsilon", timestep_spacing="leading", steps_offset=1,
                                                     use_karras_sigmas=True), {}),
    ("flow-euler", FlowMatchEulerDiscreteScheduler, dict(BETAS), {}),
    ("flow-euler-shift", FlowMatchEulerDiscreteScheduler, dict(BETAS, shift=3.0), {}),
    ("flow-heun", FlowMatchHeunDiscreteScheduler, dict(BETAS), {}),
    ("edm-euler", EDMEulerScheduler, dict(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, prediction_type="epsilon"), {}),
]  # fmt: skip
STEPS = 8
SIZE = 24
MEANS = (-0.7, 0.1, 0.6)
SPREAD = 0.2


def clean(x: torch.Tensor, alpha: float, sigma: float) -> torch.Tensor:
    """E[x0 | alpha x0 + sigma noise] where each value of x0 is one of three Gaussians: a denoiser in closed form."""
    means = torch.tensor(MEANS, dtype=torch.float64)
    variance = alpha**2 * SPREAD**2 + sigma**2
    weights = torch.softmax(-((x[..., None] - alpha * means) ** 2) / (2 * variance), dim=-1)
    towards = means + alpha * SPREAD**2 / variance * (x[..., None] - alpha * means)
    return (weights * towards).sum(-1)


def predict(kind: str, x: torch.Tensor, alpha: float, sigma: float) -> torch.Tensor:
    x0 = clean(x, alpha, sigma)
    if kind == "sample":
        return x0
    noise = (x - alpha * x0) / sigma
    return {"epsilon": noise, "v_prediction": alpha * noise - sigma * x0, "flow": noise - x0}[kind]


def levels(scheduler, config: dict, t: torch.Tensor) -> tuple[float, float, str]:
    """Signal and noise of what the network is shown at t, and what it predicts."""
    if isinstance(scheduler, (FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler)):
        sigma = t.item() / 1000
        return 1 - sigma, sigma, "flow"
    place = t.double().clamp(0, 999)
    low = int(place.floor())
    high = min(low + 1, 999)
    between = (place - low).item()
    bars = scheduler.alphas_cumprod.double()
    bar = (bars[low] * (1 - between) + bars[high] * between).item()
    return bar**0.5, max(1 - bar, 1e-12) ** 0.5, config["prediction_type"]


def trajectory(name: str, kind: type, config: dict, options: dict) -> dict:
    scheduler = kind(**config)
    scheduler.set_timesteps(STEPS)
    source = generator(7)
    start = torch.randn(1, SIZE, generator=source).double()
    x = start * float(scheduler.init_noise_sigma) if hasattr(scheduler, "init_noise_sigma") else start
    x, noises, path, shown = x.double(), [], [], []

    def draw(*_args, **_kwargs) -> torch.Tensor:
        noises.append(torch.randn(1, SIZE, generator=source).double())
        return noises[-1]

    module = __import__(kind.__module__, fromlist=["randn_tensor"])
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = draw
    for t in scheduler.timesteps:
        given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        if kind is EDMEulerScheduler:
            # The raw network F of Karras et al. (2022), so that preconditioning it gives the closed form.
            sigma, data = scheduler.sigmas[scheduler.step_index].item(), 0.5
            norm = (sigma**2 + data**2) ** 0.5
            prediction = (clean(x, 1, sigma) - data**2 / norm**2 * x) / (sigma * data / norm)
        else:
            prediction = predict(*reorder(levels(scheduler, config, t), given))
        shown.append(t.item())
        x = scheduler.step(prediction, t, x, **options).prev_sample.double()
        path.append(x.flatten().tolist())
    rounded = lambda row: [round(v, 7) for v in row]  # noqa: E731
    return {"name": name, "scheduler": {"_class_name": kind.__name__, **config}, "options": options, "steps": STEPS,
            "timesteps": shown, "start": rounded(start.flatten().tolist()), "noises": [rounded(n.flatten().tolist()) for n in noises],
            "path": [rounded(row) for row in path]}  # fmt: skip


def reorder(found: tuple[float, float, str], x: torch.Tensor) -> tuple:
    alpha, sigma, kind = found
    return kind, x, alpha, sigma


def write() -> None:
    for i, (name, config) in enumerate(DITS.items()):
        write_denoiser(name, DiTTransformer2DModel(**config), 300 + i, (12, 12) if i == 0 else None)
    for i, (name, config) in enumerate(UNETS.items()):
        write_denoiser(name, UNet2DConditionModel(**config), 310 + i, (12, 16) if i == 1 else None)
    for i, (name, config) in enumerate(VAES.items()):
        write_vae(name, AutoencoderKL(**config), 320 + i)
    write_embedded()
    cases = [trajectory(*case) for case in CASES]
    folder = FIXTURES / "samplers"
    folder.mkdir(exist_ok=True)
    text = {"means": MEANS, "spread": SPREAD, "cases": cases}
    (folder / "trajectories.json").write_text(json.dumps(text, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
