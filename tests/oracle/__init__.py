"""Static against dynamic: programs from a grammar of training steps, analyzed and run; both must say the same.

``generate`` writes a program, ``claim`` says what the analysis claims of it, a ``Runner`` runs it in another process
and measures, ``compare`` holds one against the other, ``shrink`` makes a program that shows a difference small.
``tests/test_oracle.py`` does this for a few hundred programs, ``benchmarks/agreement.py`` for as many as are asked for.
Another way to measure, or to claim, is one more function of a ``Program``.
"""
