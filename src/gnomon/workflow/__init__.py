"""The verbs, one file each, which reads like the method it carries out; judging, improving, searching have folders."""
