"""The call itself, from greeting to goodbye."""
