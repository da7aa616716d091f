"""The road of a fit, one file a station, in the order in which it is told.

open, recognise, read, split, facts, settings, build, encode, train, judge, write: each station is a function that takes
what the one before it returned. `fit` goes the whole way; other verbs go a part of it.
"""
