"""Whole files in, whole files out: what the command line does, for programs.

Everything here is safe to interrupt: an output appears under its name only when it is whole.
"""
