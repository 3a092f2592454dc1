"""Who answers: YAML files, read, checked and followed while calls go on."""
