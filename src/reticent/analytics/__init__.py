"""Private statistics over one or many sites."""
