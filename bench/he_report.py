"""The page that `bench/he.py` writes."""

from __future__ import annotations

import statistics
from typing import Any

import machine

PAGE = "homomorphic-encryption.md"


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}"


def mega(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def write(found: dict[str, Any], versions: dict[str, str], described: str) -> None:
    """Write the page."""
    parts = [
        "# Encrypted products and predictions",
        described.replace("`bench/run.py`", "`bench/he.py`"),
        f"Versions: {', '.join(f'{name} {number}' for name, number in versions.items())}. Seconds are of the processor, "
        "one thread on both sides, each measurement in a process of its own.",
        *products(found),
        *networks(found),
    ]
    (machine.RESULTS / PAGE).write_text("\n\n".join(parts) + "\n")


def products(found: dict[str, Any]) -> list[str]:
    ours, theirs = found["ours"], found["theirs"]
    rows, fair, where = [], [], []
    for name, first in ours[0].items():
        a = statistics.median(turn[name]["seconds"] for turn in ours)
        b = statistics.median(turn[name]["seconds"] for turn in theirs)
        plain = statistics.median(turn[name]["repeated"] for turn in ours)
        whole = plain + statistics.median(turn[name]["repeated_encode"] for turn in ours)
        rows.append([name, ms(a), ms(b), f"{b / a:,.0f}", f"{first['error']:.0e}", f"{theirs[0][name]['error']:.0e}"])
        fair.append([name, ms(first["encode"]), ms(plain), f"{b / plain:,.0f}", ms(whole), f"{b / whole:,.0f}"])
        behind = first["rotations"] - first["before"]
        pieces = {
            f"{first['before']} rotations before rescaling": first["before"] * first["rotate"],
            f"{first['products']} products and sums": first["products"] * first["term"],
            "rescaling": first["rescale"],
            f"{behind} rotations of the fold": behind * first["rotate_below"],
        }
        where.append([name, *(f"{piece}: {ms(seconds)} ms" for piece, seconds in pieces.items())])
    return [
        "## Matrix times encrypted vector",
        "Degree 8192, primes of 60, 40, 40 and 60 bits, scale 2^40 on both sides; beside it `CKKSVector.mm` of TenSEAL, "
        "in turns A B A B.",
        machine.table(["matrix", "reticent, ms", "TenSEAL `mm`, ms", "times faster", "error", "error of `mm`"], rows),
        "Two things are done beforehand in the first column and not in the second. The weights are encoded once, while "
        "`mm` encodes them in each call; and the client lays out its vector for this matrix. Without either help:",
        machine.table(
            [
                "matrix",
                "encoding, once, ms",
                "vector merely repeated, ms",
                "times faster",
                "and encoding in each call, ms",
                "times faster",
            ],
            fair,
        ),
        "The difference is the packing: TenSEAL rotates for each diagonal, with keys for powers of two only. "
        "Here the client lays copies of its vector so that few diagonals meet every weight, and baby steps and giant "
        "steps share rotations, each with a key of its own. Where the time goes (each piece measured alone):",
        machine.table(["matrix", "", "", "", ""], where),
    ]


def networks(found: dict[str, Any]) -> list[str]:
    names = {"mlp": "MLP 784-128(square)-10", "convolution": "conv 7x7/3 x4, square, 256-64, square, 10"}
    rows, images = [], []
    for kind, title in names.items():
        if kind not in found:
            continue
        for setting, f in found[kind].items():
            if setting == "images":
                images.append(
                    [title, f"{f['agree']} of {f['count']}", f"{f['error']:.1e}",
                     f"{f['encrypted']:.2%}", f"{f['clear']:.2%}",
                     f"{f['accuracy']:.2%}", f"{f['seconds']:.0f} s", f"{f['seconds'] / f['count'] * 1e3:.0f} ms"]
                )  # fmt: skip
                continue
            count = int(setting.split()[1])
            rows.append(
                [title, f"{count}", f"{f['degree']} / {f['bits']}", ms(f["encrypt"]), ms(f["evaluate"]),
                 ms(f["evaluate"] / count), ms(f["decrypt"]), f"{f['up'] / 1e3:.0f} kB", f"{f['down'] / 1e3:.0f} kB",
                 mega(f["key_bytes"]), f"{f['promised']:.0e}"]
            )  # fmt: skip
    theirs = found["network-tenseal"]
    return [
        "## Networks on MNIST",
        "Trained with these activations in the bench, compiled for pixels in [0, 1]. Times in ms for one ciphertext; "
        "`promised` is the error before rounding that `he.compile` promises.",
        machine.table(
            [
                "network",
                "rows",
                "degree / bits",
                "encrypt",
                "evaluate",
                "evaluate, per image",
                "decrypt",
                "up",
                "down",
                "keys, once",
                "promised",
            ],
            rows,
        ),
        f"TenSEAL, the MLP of the same shape as its guides write it (`mm`, plus a list, square): {theirs['seconds']:.1f} s "
        f"for one sample, and wrong by {theirs['error']:.2g} on results of order 1: a list is not repeated through the "
        "slots as the encrypted vector is (TenSEAL issue 462).",
        "Images of the test set, encrypted, against the same network in float64 (`agree`: same class). The largest error "
        "is nearly all rounding: results are multiples of the precision, 1e-4 for the MLP and 1e-3 for the convolutional "
        "network:",
        machine.table(
            [
                "network",
                "agree",
                "largest error",
                "accuracy encrypted",
                "in clear, same images",
                "in clear, all 10,000",
                "processor time",
                "per image",
            ],
            images,
        ),
    ]
