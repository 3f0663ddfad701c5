"""Explanations for `reticent.kernels`."""

EXPLANATIONS: dict[str, str] = {
    "kernels-level-missing": (
        "RETICENT_KERNELS names instructions, such as AVX-512, that this processor does not have. Running them would "
        "end the program. With `auto` the fastest level of the machine is chosen; all levels give the same results."
    ),
    "kernels-not-built": (
        "RETICENT_KERNELS demands the compiled kernels, and this installation has none that load: there was no C++ "
        "compiler, or the module was built for another Python. Install GCC or Clang and install the package again "
        "with RETICENT_REQUIRE_NATIVE=1, which stops at the first error instead of leaving the kernels out. With "
        "`auto` the reference in numpy runs: the same results, several times slower."
    ),
    "unknown-kernels": (
        "The environment variable RETICENT_KERNELS chooses between the compiled kernels and their reference in numpy, "
        "and holds a word that means neither. Remove it, or set it to one of the values in the message. The results "
        "do not depend on it, only the time."
    ),
}
