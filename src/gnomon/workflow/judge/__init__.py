"""What a system does and what holds it back: the verdict, the report, and the verbs that look closer at mistakes."""
