"""Run a finding with torch and measure what the analysis claims.

The parent cuts an ``Experiment`` out of the source of a finding and sends it, as JSON, to a locked worker process. The
worker interprets it in a closed world, nothing of it is ever executed as Python, and answers with a ``Measurement``,
which the parent takes for data from a stranger and judges by the rule. Only what runs in the worker, and the probes for
users' own code, import torch.
"""
