"""One party of CrypTen 0.4.1 over gloo (plain TCP) on the loopback; or its trusted third party."""

# ruff: noqa: E402, I001

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import logging
import warnings
from typing import Any

# It warns at import.
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import crypten_shim  # noqa: F401  before crypten
import crypten
import crypten.communicator as comm
import torch
from crypten.config import cfg
from tasks import TASKS, arguments, measured, report


def main() -> None:
    given = arguments()
    rank = int(given.party)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(given.parties), "DISTRIBUTED_BACKEND": "gloo"}
    torch.set_num_threads(1)
    cfg.mpc.provider = given.provider
    if rank == given.parties:
        crypten.mpc.provider.TTPServer()
        return
    crypten.init()
    cfg.communicator.verbose = True  # count rounds
    for task in given.task:
        _measure(task)
    crypten.uninit()


def _measure(task: str) -> None:
    group = comm.get()
    arrays = sorted(TASKS[task].arrays().items())
    operands = {name: crypten.cryptensor(torch.tensor(array), src=0) for name, array in arrays}
    rounds = 0

    def act() -> Any:
        nonlocal rounds
        group.reset_communication_stats()
        result = TASKS[task].compute(operands)
        rounds = group.comm_rounds
        return result

    found, result = measured(TASKS[task].repeats, group.barrier, act)
    error = TASKS[task].error(result.get_plain_text().numpy())
    report("crypten", task=task, error=error, rounds=rounds, **found)


if __name__ == "__main__":
    main()
