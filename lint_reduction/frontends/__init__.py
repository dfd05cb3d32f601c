"""Ways in: the command line, the plugin of flake8, the language server."""
