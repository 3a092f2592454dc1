"""Calls that OpenSIPS holds for us, by its management interface."""
