"""Hostile inputs against the real server: what it answers, and what each costs in memory.

``python -m tests.hostile`` tries every input on a server of its own and prints
``docs/hostile_inputs.md``; the normal test run tries the light ones.
"""
