"""Make `tools/reference/fixtures/` anew: `python tools/reference/make_fixtures.py`."""

import torch

import adamw
import audio
import checkpoints
import image_families
import images
import language
import ops
import peft_lora
import peft_low_rank
import peft_others
import peft_sparse
import pickles
import text


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    checkpoints.write_tiny()
    checkpoints.write_embedded()
    images.write()
    ops.write()
    adamw.write()
    peft_lora.write()
    peft_low_rank.write()
    peft_others.write()
    peft_sparse.write()
    audio.write()
    pickles.write()
    language.write()
    text.write()
    image_families.write()


if __name__ == "__main__":
    main()
