"""Search logic without torch: the space, what to try next, what to end early, what was learnt."""
