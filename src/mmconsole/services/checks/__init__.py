"""Checks of tokens: which users, the quick look from outside, the deep one with each secret, and what is remembered."""
