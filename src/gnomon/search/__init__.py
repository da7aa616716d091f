"""Search logic without torch: the space, what to try next, what to stop early, what was learned."""
