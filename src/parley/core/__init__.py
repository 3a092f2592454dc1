"""What every room shares: calls, audio, events, errors, logs. Knows nothing of the rest."""
