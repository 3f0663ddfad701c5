"""Which technique fits."""
