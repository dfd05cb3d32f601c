"""Damage to real files, and what must hold of the whole pipeline whatever they hold."""
