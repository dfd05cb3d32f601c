"""Run what a finding says: the measured exponent of a flagged loss, in a process that can touch nothing."""
