"""The few hot loops, native where a compiler was there, each beside a numpy reference that is its specification."""
