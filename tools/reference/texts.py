"""A small Parquet file as Hugging Face's `datasets` writes it: `fixtures/texts/`. Needs pyarrow."""

import json

import pyarrow
import pyarrow.parquet

from common import FIXTURES


def write() -> None:
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    table = pyarrow.table(
        {"text": ["naïve café", "世界", "plain"], "label": pyarrow.array([0, 1, 0], pyarrow.int64()), "stars": [3, None, 12]}
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    folder = FIXTURES / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, folder / "labelled.parquet", compression="snappy")


if __name__ == "__main__":
    write()
