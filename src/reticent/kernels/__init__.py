"""The few hot loops, native where a compiler was there, each beside a numpy reference that is its specification.

Which of the two runs is chosen once, at the first use, by the environment variable `RETICENT_KERNELS`:

- `auto` (the default): the compiled module if it was built, else the reference;
- `native`: the compiled module, or an error that says how to build it;
- `reference`: numpy, whatever was built;
- `native:avx512`, `native:avx2`, `native:plain`: the compiled module without what is faster, for tests and doubts.

The results do not depend on the choice, bit for bit. Keys are arguments: no kernel draws one, keeps one, or logs one.
"""

from reticent.kernels.choice import Kernels, active, choose, describe

__all__ = ["Kernels", "active", "choose", "describe"]
