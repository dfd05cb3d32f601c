"""What is on disk: which files to look at, how to read them, which cannot hold a finding."""
