"""The road of a fit, one file per station, in order.

open, recognise, read, split, facts, settings, build, encode, train, judge, write: each station is a function that takes
what the previous one returned. `fit` takes the whole road; other verbs take a part of it.
"""
