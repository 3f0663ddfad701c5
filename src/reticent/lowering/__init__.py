"""From a torch module to a short list of operations."""
