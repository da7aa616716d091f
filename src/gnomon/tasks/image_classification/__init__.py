"""Image classification: one class a picture, from class folders, IDX files or arrays."""

from gnomon.tasks.image_classification.task import ImageClassification

TASK = ImageClassification
