"""The verbs, one file each; each reads like the method it carries out. Judging, improving and searching have rooms."""
