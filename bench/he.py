"""Encrypted linear algebra and inference beside TenSEAL's own, in one run; the table for docs/results.

    PYTHONPATH=src python bench/he.py            all of it, about five minutes on an idle core
    PYTHONPATH=src python bench/he.py --quick    fewer images, no convolutional network

Each measurement of a variant is a process of its own (A B A B), with one thread, in seconds of the processor, so that
other work on the machine matters little. Both sides use the lattice library of one wheel (tenseal), the same ring and
primes of the same sizes: what differs is the packing on top.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = ((128, 784), (10, 64))
DEGREE, BASE, LEVELS, SPECIAL, SCALE = 8192, 60, (40, 40), 60, 40


def timed(action: Callable[[], Any], repeats: int, *, warm: bool = True) -> float:
    """Return the median of `repeats` runs in processor seconds, after one that is not counted."""
    if warm:
        action()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def case(shape: tuple[int, int]) -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    return chance.normal(0, 0.05, shape), chance.uniform(-1, 1, shape[1])


def product_reticent() -> dict[str, Any]:
    """One matrix-vector product of each shape, and what it is made of."""
    from reticent import he
    from reticent.he.diagonals import best_packing, diagonals
    from reticent.he.linear import PlainMatrix
    from reticent.he.packing import Packing

    backend = he.backend("seal", he.Parameters(DEGREE, (BASE,), LEVELS, SPECIAL, SCALE, 4.0, 1e-4))
    ring, top, found = backend.parameters, len(LEVELS), {}
    for shape in SHAPES:
        matrix, vector = case(shape)
        walked = best_packing(matrix, ring.slots)
        secret, evaluation = backend.keygen(sorted(walked.steps))
        product = PlainMatrix(backend, walked, top)
        packed = backend.encode(walked.before.pack(vector[None]), level=top)
        cipher = backend.encrypt(packed, secret)
        seconds = timed(lambda: product.apply(cipher, evaluation), 7)  # noqa: B023
        values = walked.after.unpack(backend.decrypt(product.apply(cipher, evaluation), secret), 1)[0]
        step = next(iter(walked.steps))
        plain = diagonals(matrix, Packing.repeated(ring.slots, shape[1]))
        key, keys = backend.keygen(sorted(plain.steps))
        other = PlainMatrix(backend, plain, top)
        repeated = backend.encrypt(backend.encode(plain.before.pack(vector[None]), level=top), key)
        found[f"{shape[1]}x{shape[0]}"] = {
            "seconds": seconds,
            "encode": timed(lambda: PlainMatrix(backend, walked, top), 3),  # noqa: B023
            "repeated": timed(lambda: other.apply(repeated, keys), 5),  # noqa: B023
            "repeated_encode": timed(lambda: PlainMatrix(backend, plain, top), 3),  # noqa: B023
            "error": float(np.abs(values - matrix @ vector).max()),
            "rotations": walked.rotations,
            "before": len(walked.babies) + len(walked.giants),
            "products": len(walked.terms),
            "key_bytes": sum(map(len, backend.dump_evaluation(evaluation).values())),
            "rotate": timed(lambda: backend.rotate(cipher, step, evaluation), 15),  # noqa: B023
            "rotate_below": timed(lambda: backend.rotate(backend.lower(cipher, top - 1), step, evaluation), 15),  # noqa: B023
            "term": timed(lambda: backend.dot_plain([cipher] * 16, [packed] * 16), 7) / 16,  # noqa: B023
            "rescale": timed(lambda: backend.rescale(backend.mul_plain(cipher, packed)), 15),  # noqa: B023
        }
    return found


def product_tenseal() -> dict[str, Any]:
    """The same products by `CKKSVector.mm`."""
    import tenseal

    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=[BASE, *LEVELS, SPECIAL], n_threads=1
    )
    context.global_scale = 2.0**SCALE
    context.generate_galois_keys()
    found = {}
    for shape in SHAPES:
        matrix, vector = case(shape)
        cipher, weights = tenseal.ckks_vector(context, vector.tolist()), matrix.T.tolist()
        large = shape[1] > 100
        results: list[Any] = []
        seconds = timed(lambda: results.append(cipher.mm(weights)), 1 if large else 5, warm=not large)  # noqa: B023
        error = float(np.abs(np.array(results[-1].decrypt()) - matrix @ vector).max())
        found[f"{shape[1]}x{shape[0]}"] = {"seconds": seconds, "error": error}
    return found


def network_tenseal() -> dict[str, Any]:
    """The MLP as TenSEAL's guides write it: `mm`, plus a list, square; its error is not of the scheme."""
    import tenseal

    chance = np.random.default_rng(1)
    layers = [(chance.normal(0, 0.05, (784, 128)), chance.normal(0, 0.1, 128))]
    layers.append((chance.normal(0, 0.05, (128, 10)), chance.normal(0, 0.1, 10)))
    x = chance.uniform(0, 1, 784)
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=[60, 32, 32, 32, 60], n_threads=1)
    context.global_scale = 2.0**32
    context.generate_galois_keys()
    context.generate_relin_keys()
    (first, b1), (second, b2) = layers
    cipher = tenseal.ckks_vector(context, x.tolist())
    start = time.process_time()
    hidden = cipher.mm(first.tolist()) + b1.tolist()
    hidden.square_()
    result = hidden.mm(second.tolist()) + b2.tolist()
    seconds = time.process_time() - start
    expected = (x @ first + b1) ** 2 @ second + b2
    return {"seconds": seconds, "error": float(np.abs(np.array(result.decrypt()) - expected).max())}


def trained(kind: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a network trained on MNIST, and the test images and labels."""
    import torch
    from torch import nn

    from reticent import data

    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x

    folder = data.data_folder()
    if folder is None:
        raise SystemExit("needs the folder mnist of real data sets: set RETICENT_DATA")
    train, test = data.mnist(folder / "mnist")
    torch.manual_seed(0)
    if kind == "mlp":
        model: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), Square(), nn.Linear(128, 10))
    else:
        model = nn.Sequential(
            nn.Conv2d(1, 4, 7, 3), Square(), nn.Flatten(), nn.Linear(256, 64), Square(), nn.Linear(64, 10)
        )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    images, labels = torch.tensor(train.features), torch.tensor(train.labels)
    for epoch in range(8):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * 0.7**epoch
        for rows in torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    return model.eval(), test.features, test.labels


def network_reticent(kind: str, count: int, precision: float) -> dict[str, Any]:
    """Latency of one image, then `count` images, encrypted; agreement with the polynomial model in float64."""
    import torch

    from reticent import he

    model, images, labels = trained(kind)
    given: dict[str, Any] = {"input_bounds": (0, 1), "precision": precision, "input_shape": (1, 28, 28)}
    found: dict[str, Any] = {}
    for rows in (1, None):
        start = time.process_time()
        program = he.compile(model, **given, rows=rows)
        program.circuit()
        compiled = time.process_time()
        keys = he.keygen(program.client_spec())
        made = time.process_time()
        cipher = keys.encrypt(images[: program.rows])
        evaluate = timed(lambda: program.evaluate(cipher, keys.evaluation), 5)  # noqa: B023
        reply = program.evaluate(cipher, keys.evaluation)
        found[f"rows {program.rows}"] = {
            "degree": program.parameters.degree,
            "bits": program.parameters.total_bits,
            "compile": compiled - start,
            "keygen": made - compiled,
            "encrypt": timed(lambda: keys.encrypt(images[: program.rows]), 5),  # noqa: B023
            "evaluate": evaluate,
            "decrypt": timed(lambda: keys.decrypt(reply), 5),  # noqa: B023
            "key_bytes": sum(map(len, keys.client.backend.dump_evaluation(keys.evaluation.handle).values())),
            "up": len(cipher.parts[0]),
            "down": len(reply.parts[0]),
            "promised": program.plan.error,
        }
    start = time.process_time()
    values = keys.decrypt(program.evaluate(keys.encrypt(images[:count]), keys.evaluation))
    seconds = time.process_time() - start
    with torch.no_grad():
        expected = model.double()(torch.tensor(images[:count], dtype=torch.float64)).numpy()
        accuracy = float((model(torch.tensor(images, dtype=torch.float64)).argmax(1).numpy() == labels).mean())
    found["images"] = {
        "count": count,
        "seconds": seconds,
        "error": float(np.abs(values - expected).max()),
        "agree": int((values.argmax(1) == expected.argmax(1)).sum()),
        "encrypted": float((values.argmax(1) == labels[:count]).mean()),
        "clear": float((expected.argmax(1) == labels[:count]).mean()),
        "accuracy": accuracy,
    }
    return found


VARIANTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "product-reticent": lambda _: product_reticent(),
    "product-tenseal": lambda _: product_tenseal(),
    "network-tenseal": lambda _: network_tenseal(),
    "mlp": lambda count: network_reticent("mlp", count, 1e-4),
    "convolution": lambda count: network_reticent("convolution", min(count, 200), 1e-3),
}


def measure(variant: str, count: int) -> dict[str, Any]:
    """Run one variant in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--only", variant, "--images", str(count)],
        stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure encrypted inference, and write docs/results.")
    parser.add_argument("--only", choices=list(VARIANTS), help="print one variant's figures and write nothing")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.only:
        sys.stdout.write(json.dumps(VARIANTS[given.only](given.images)) + "\n")
        return
    import he_report
    import machine

    load = machine.load()
    count = 40 if given.quick else given.images
    turns = [measure(f"product-{side}", count) for _ in range(2) for side in ("reticent", "tenseal")]
    rest = ["network-tenseal", "mlp"] + ([] if given.quick else ["convolution"])
    found = {"ours": turns[::2], "theirs": turns[1::2], **{name: measure(name, count) for name in rest}}
    versions = {name: version(name) for name in ("tenseal", "numpy", "torch")}
    he_report.write(found, versions, machine.describe(load))
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
