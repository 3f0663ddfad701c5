"""One party of CrypTen 0.4.1 over gloo (plain TCP) on the loopback; or its trusted third party."""

# ruff: noqa: E402, I001

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import logging
import warnings

# It warns at import.
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import crypten_shim  # noqa: F401  before crypten
import crypten
import crypten.communicator as comm
import torch
from crypten.config import cfg
from tasks import TASKS, WARM, arguments, report, timed, wire_bytes


def main() -> None:
    given = arguments()
    task, rank = TASKS[given.task], int(given.party)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(given.parties), "DISTRIBUTED_BACKEND": "gloo"}
    torch.set_num_threads(1)
    cfg.mpc.provider = given.provider
    if rank == given.parties:
        crypten.mpc.provider.TTPServer()
        report(seconds=[], rounds=0)
        return
    crypten.init()
    cfg.communicator.verbose = True  # count rounds
    group = comm.get()
    operands = {name: crypten.cryptensor(torch.tensor(array), src=0) for name, array in sorted(task.arrays().items())}
    timed(WARM, group.barrier, lambda: task.compute(operands))
    group.barrier()
    group.reset_communication_stats()
    wire = wire_bytes()
    seconds, result = timed(given.repeats, group.barrier, lambda: task.compute(operands))
    rounds = (group.comm_rounds - given.repeats) / given.repeats  # without the barriers
    group.barrier()
    wire = wire_bytes() - wire
    error = task.error(result.get_plain_text().numpy())
    report("crypten", seconds=seconds, error=error, wire=wire / given.repeats, rounds=rounds)
    crypten.uninit()


if __name__ == "__main__":
    main()
