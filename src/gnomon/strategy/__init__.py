"""The method: the ladder of errors, its verdict, the advice that follows. Works on tables of predictions alone."""
