"""The way in for a newcomer's machine: what scripts/ does before anything is installed."""
