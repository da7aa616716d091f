"""Multi-task classification: several classes a row, of which any may be unknown, by one network."""

from gnomon.tasks.multi_task.task import MultiTask

TASK = MultiTask
