"""Secret-shared computation."""
