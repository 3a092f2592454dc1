"""How a database of an older Parley becomes one of this Parley, step by step."""
