"""The nouns everything else speaks: Example, Task, Evaluation, and what goes with them. Never imports torch."""
