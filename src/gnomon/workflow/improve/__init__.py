"""Changing one thing at a time and measuring it: probes, and the loop that keeps what helps."""
