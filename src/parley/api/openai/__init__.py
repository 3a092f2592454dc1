"""The routes that OpenAI's clients know."""
