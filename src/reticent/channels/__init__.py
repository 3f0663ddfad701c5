"""Channels between computing parties."""

from reticent.channels.hello import ANY
from reticent.channels.local import threads
from reticent.channels.meeting import connect
from reticent.channels.port import Channel

__all__ = ["ANY", "Channel", "connect", "threads"]
