"""LDP-tiny: a small two-tower model that knows what dual-pixel cells look like, and in which words.

It has open_clip's format and tokenizer and our own weights, trained on simulated cells against
sentences that say what is seen.
"""
