# One entry for people and CI. Needs a virtual environment with: pip install -c constraints.txt -e '.[dev]'
.PHONY: check test slow bench types lint

check: lint types test

lint:
	ruff format --check .
	ruff check .
	lint-imports

types:
	mypy

test:
	python -m pytest

slow:
	python -m pytest -m slow

bench:
	python -m benchmarks
