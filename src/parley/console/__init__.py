"""Where people look in: the call page and what it is made of."""
