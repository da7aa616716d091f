"""gnomon trains the classic deep-learning systems on your own data and measures what holds each one back."""
