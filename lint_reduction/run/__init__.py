"""One invocation: which rules run on which files, and what comes out."""
