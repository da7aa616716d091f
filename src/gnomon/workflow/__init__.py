"""The verbs, one file each; each reads like the method it carries out. Searching, improving and judging have rooms."""
