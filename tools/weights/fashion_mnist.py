"""The bundled sample data: a part of Fashion-MNIST from its Debian package as one PNG sprite."""

import gzip
import shutil

import numpy as np
from PIL import Image

from package import write_json
from sources import FASHION_MNIST, ROOT, sha256, unpack

SAMPLES = ROOT / "public" / "samples"
TILE = 28
TRAIN, TEST = 100, 20
CLASSES = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def read_split(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 28, 28] and labels [n] of one split, from idx files (16 and 8 bytes of header)."""
    folder = unpack(FASHION_MNIST) / "usr/share/datasets/fashion-mnist"
    images = np.frombuffer(gzip.decompress((folder / f"{split}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / f"{split}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    return images.reshape(-1, TILE, TILE), labels


def make() -> None:
    """Write `public/samples/fashion-mnist.{png,json}` and the licence."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    sprite = np.zeros((len(CLASSES) * TILE, (TRAIN + TEST) * TILE), np.uint8)
    for split, first, count in (("train", 0, TRAIN), ("t10k", TRAIN, TEST)):
        images, labels = read_split(split)
        for row in range(len(CLASSES)):
            for column, image in enumerate(images[labels == row][:count], start=first):
                sprite[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = image
    path = SAMPLES / "fashion-mnist.png"
    Image.fromarray(sprite).save(path, optimize=True)
    shutil.copy(unpack(FASHION_MNIST) / "usr/share/doc/dataset-fashion-mnist/copyright", SAMPLES / "fashion-mnist.LICENSE")
    write_json(
        SAMPLES / "fashion-mnist.json",
        {
            "title": "Fashion-MNIST, 120 of each class",
            "licence": "MIT",
            "copyright": "2017 Zalando SE",
            "source": {
                "package": FASHION_MNIST.package,
                "kind": FASHION_MNIST.kind,
                "version": FASHION_MNIST.version,
                "sha256": FASHION_MNIST.sha256,
            },
            "script": "tools/weights/make.py",
            "image": path.name,
            "sha256": sha256(path),
            "tile": TILE,
            "columns": TRAIN + TEST,
            "rows": len(CLASSES),
            "layout": "Row r holds the images of classes[r], one in each column.",
            "classes": list(CLASSES),
            # Columns from (inclusive) to (exclusive), the same in every row; the package's own train and test sets.
            "splits": {"train": [0, TRAIN], "test": [TRAIN, TRAIN + TEST]},
        },
    )
    print(f"fashion-mnist: {path.stat().st_size} bytes, {len(CLASSES)} classes x {TRAIN} train + {TEST} test")
