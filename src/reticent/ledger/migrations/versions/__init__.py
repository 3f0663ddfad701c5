"""One module for each form. A module describes tables as they were then, and never changes."""
