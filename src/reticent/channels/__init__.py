"""Channels between computing parties."""
