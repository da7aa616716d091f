# One entry for people and CI. Needs a virtual environment with: pip install -c constraints.txt -e '.[dev]'
.PHONY: check test slow bench types lint readme pages gallery

check: lint types test

lint:
	ruff format --check .
	ruff check .
	lint-imports

types:
	mypy

test:
	python -m pytest -n 2

slow:
	python -m pytest -m slow

bench:
	python -m benchmarks

readme:
	python docs/make_readme.py

pages:
	python docs/make_pages.py

gallery:
	python docs/make_gallery.py
