"""Computing on encrypted numbers."""
