"""LLM engines: what to say next."""
