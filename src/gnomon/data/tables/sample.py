"""A table with numbers, booleans, categories, dates and gaps whose targets follow a known rule."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

CITIES = {"Aarhus": 0.0, "Bergen": 40.0, "Cork": -30.0, "Delft": 15.0}  # and what each adds to the price
PRICE_NOISE = 8.0  # standard deviation
GAP_SHARE = 0.08  # of area and city cells that are missing


def make_mixed_table(num_rows: int, seed: int) -> pl.DataFrame:
    """Rows of area, rooms, garden, city, built; targets: price (a number), level (a class), sold (true or false).

    price = 2 area + 12 rooms + 20 garden + city + 3 (decades since 1950) + noise N(0, 8^2), with the values before
    gaps were made; level is low, middle or high at 240 and 320; sold is known for three rows in four and means a
    price below 280.
    """
    rng = np.random.default_rng(seed)
    area = rng.normal(80, 25, num_rows).clip(20).round(1)
    rooms = (area / 25 + rng.normal(0, 0.7, num_rows)).round().clip(1).astype(np.int64)
    garden = rng.random(num_rows) < 0.3
    cities = rng.choice(list(CITIES), num_rows)
    days = rng.integers(0, 70 * 365, num_rows)
    extra = np.array([CITIES[city] for city in cities])
    price = 2 * area + 12 * rooms + 20 * garden + extra + 3 * days / 3652.5 + rng.normal(0, PRICE_NOISE, num_rows)
    first = datetime.date(1950, 1, 1)
    gaps = rng.random((3, num_rows)) < [[GAP_SHARE], [GAP_SHARE], [0.25]]
    return pl.DataFrame(
        {
            "area": pl.Series(area).set(pl.Series(gaps[0]), None),
            "rooms": rooms,
            "garden": garden,
            "city": pl.Series(cities, dtype=pl.String).set(pl.Series(gaps[1]), None),
            "built": [first + datetime.timedelta(days=int(day)) for day in days],
            "price": price.round(1),
            "level": np.select([price < 240, price < 320], ["low", "middle"], "high"),
            "sold": pl.Series(price < 280).set(pl.Series(gaps[2]), None),
        }
    )
