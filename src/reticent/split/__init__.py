"""Split learning."""
