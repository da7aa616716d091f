"""What a system does and what limits it: the verdict, the report, and the verbs that look closer at mistakes."""
