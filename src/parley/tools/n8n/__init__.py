"""Workflows of n8n as tools: found by n8n's REST API, called as webhooks are."""
