"""Calling rules as data: packs of cited lines, combined so that the strictest wins, evaluated without a clock.

A line that cannot be evaluated forbids the call. What a line means is in `judge`, how a pack is written in `schema`; the packs that
ship with the program are in `packs/`. Pure: facts and the moment come in as arguments; SQL is in `campaigns.rule_packs`.
"""
