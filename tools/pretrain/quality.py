"""How good drawn pictures are, measured on EfficientNet-Lite0's features against held-out drawings."""

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from emoji import ROOT

SIDE = 96
FOLDS = 10


@torch.no_grad()
def features(pictures: torch.Tensor) -> torch.Tensor:
    """Pooled features [n, 1280] of pictures u8 [n, 3, h, w] at 96 px."""
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    stored = load_file(ROOT / "models" / "weights" / "efficientnet-lite0" / "model.safetensors")
    net.load_state_dict({k: v.float() for k, v in stored.items()}, strict=False)
    large = [F.interpolate(p.float(), SIDE, mode="bicubic", antialias=True) for p in pictures.split(64)]
    return torch.cat([net((x - 127) / 128) for x in large])


def kernel_distance(a: torch.Tensor, b: torch.Tensor) -> dict:
    """KID (Binkowski et al., 2018), unbiased, with the 95 % interval of a jackknife over ten parts of both sets."""
    kernel = lambda x, y: ((x.double() @ y.double().T) / x.shape[1] + 1) ** 3  # noqa: E731

    def estimate(x: torch.Tensor, y: torch.Tensor) -> float:
        within = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (kernel(x, x), kernel(y, y))]
        return (within[0] + within[1] - 2 * kernel(x, y).mean()).item()

    def without(x: torch.Tensor, part: int) -> torch.Tensor:
        return x[torch.arange(len(x)) % FOLDS != part]

    value = estimate(a, b)
    folds = np.array([estimate(without(a, i), without(b, i)) for i in range(FOLDS)])
    half = 1.959964 * ((FOLDS - 1) / FOLDS * ((folds - folds.mean()) ** 2).sum()) ** 0.5
    return {"kid": round(value, 4), "low": round(value - half, 4), "high": round(value + half, 4), "samples": min(len(a), len(b))}


def probe(known: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.nn.Linear:
    """A linear classifier of features, by L-BFGS with weight decay, classes of equal weight."""
    torch.manual_seed(1)
    layer = torch.nn.Linear(known.shape[1], classes)
    weights = 1 / torch.bincount(labels, minlength=classes).clamp(min=1).float()
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(layer(known), labels, weight=weights) + 1e-3 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return layer


def saturation(pictures: torch.Tensor) -> float:
    """Mean HSV saturation of pictures u8 [n, 3, h, w]."""
    x = pictures.float()
    most = x.amax(1)
    return torch.where(most > 0, (most - x.amin(1)) / most.clamp(min=1), 0).mean().item()
