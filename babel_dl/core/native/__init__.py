"""Modules of the frameworks as ours, and ours as theirs."""
