"""For tests, benches and plug-in authors: calls without a network, engines without models."""
