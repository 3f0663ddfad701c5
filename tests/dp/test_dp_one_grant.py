"""A grant exists once: what was paid for is drawn once, by whichever thread, and by no copy and no forked process."""

import contextlib
import copy
import multiprocessing
import pickle
import threading
import time
from collections import Counter

import pytest

from reticent import dp
from reticent.errors import PolicyRefused

EVENT = dp.Gaussian(1.0)


class Slow(Counter):
    """Long enough between looking and taking that a second thread looks, too."""

    def __getitem__(self, key):
        value = super().__getitem__(key)
        time.sleep(0.05)
        return value


def drawn(grant):
    """How many of four threads could draw."""
    grant._left = Slow(grant._left)
    done = []

    def draw():
        with contextlib.suppress(PolicyRefused):
            grant.draw(EVENT)
            done.append(1)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done)


def test_threads_cannot_draw_more_than_was_paid_for():
    assert drawn(dp.Grant("k", [EVENT])) == 1
    broken = dp.Grant("k", [EVENT])
    broken._lock = contextlib.nullcontext()
    assert drawn(broken) > 1, "this test would see nothing"


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_there_is_no_second_one(way):
    with pytest.raises(PolicyRefused) as caught:
        way(dp.Grant("k", [EVENT]))
    assert caught.value.code == "budget-copied"


def _draw(grant, channel):
    try:
        grant.draw(EVENT)
        channel.put("drawn")
    except PolicyRefused as error:
        channel.put(error.code)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_draws_nothing():
    context = multiprocessing.get_context("fork")
    channel, grant = context.Queue(), dp.Grant("k", [EVENT])
    child = context.Process(target=_draw, args=(grant, channel))
    child.start()
    assert channel.get(timeout=30) == "budget-copied"
    child.join(timeout=30)
    grant.draw(EVENT)
