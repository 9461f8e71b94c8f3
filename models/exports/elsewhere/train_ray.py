"""The run of train.py with Ray Train: python train_ray.py --workers 2 [--base FOLDER] [--data FOLDER] [--out FOLDER]"""

import argparse
import sys
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)


def worker(config: dict) -> None:
    # Ray starts its workers elsewhere.
    sys.path.insert(0, HERE)
    from train import train

    train(**config)


def main() -> None:
    import torch
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workers", type=int, default=2)
    for name in ("base", "data", "out"):
        options.add_argument(f"--{name}")
    asked = options.parse_args()
    absolute = lambda path: str(Path(path).resolve()) if path and Path(path).exists() else path
    config = {
        "base": absolute(asked.base),
        "data": absolute(asked.data),
        "out": str(Path(asked.out).resolve()) if asked.out else HERE,
    }
    scaling = ScalingConfig(num_workers=asked.workers, use_gpu=torch.cuda.is_available())
    TorchTrainer(worker, train_loop_config=config, scaling_config=scaling).fit()


if __name__ == "__main__":
    main()
