"""Measure with torch what a loss grows with; the only package that imports it."""
