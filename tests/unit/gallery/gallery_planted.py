"""Numbers that make each claim hold, and numbers that make it fail: made by hand, no experiment behind them."""

from __future__ import annotations

import numpy as np

from gnomon.gallery import (
    activations,
    anchor_shapes,
    attention_by_length,
    augmentation_by_size,
    batch_norm,
    batch_sizes,
    beam_width,
    bias_correction,
    both_directions,
    bottleneck,
    clipping,
    coarse_to_fine,
    compound_scaling,
    data_and_size,
    deep_or_wide,
    depthwise,
    early_stopping,
    few_pictures,
    fixed_window,
    gradients_through_time,
    heads_removed,
    input_normalisation,
    label_noise,
    learned_filter,
    length_penalty,
    logic_gates,
    mean_and_negation,
    memory_over_gaps,
    negatives,
    normalisation_noise,
    objects_in_a_cell,
    one_hot,
    optimisers,
    own_words,
    padding,
    pooling,
    positions_removed,
    random_search,
    rate_decay,
    region_proposals,
    regularisation,
    residual,
    response_normalisation,
    shifted_pictures,
    shrinking,
    side_heads,
    sliding_windows,
    starting_weights,
    style_layers,
    suppression,
    symmetry,
    transfer_by_size,
)
from gnomon.gallery._compared import Compared

SEEDS = 4
JITTER = np.array([0.98, 1.01, 1.02, 0.99])  # of four seeds, around the number that is planted


def falling(start: float, end: float, length: int) -> np.ndarray:
    """(SEEDS, length): from `start` to `end` in equal steps, a little different for each seed."""
    return np.linspace(start, end, length) * JITTER[:, np.newaxis]


def about(value: float) -> np.ndarray:
    return value * JITTER


def planted_activations(holds: bool):
    ends = {"relu": 0.1, "leaky_relu": 0.1, "tanh": 0.3, "sigmoid": 1.0}
    if not holds:
        ends = {"relu": 1.0, "leaky_relu": 2.0, "tanh": 0.3, "sigmoid": 0.1}
    costs = {name: falling(2.3, end, activations.EPOCHS + 1) for name, end in ends.items()}
    return activations.Measured(dict.fromkeys(ends, 0.1), costs, dict.fromkeys(ends, about(0.05)))


def planted_batch_norm(holds: bool):
    rates, epochs = len(batch_norm.RATES), batch_norm.EPOCHS + 1
    good = np.stack([falling(2.3, 0.1, epochs)] * rates, axis=1)
    poor = np.stack([falling(2.3, 2.0, epochs)] * rates, axis=1)
    poor[:, 3] = falling(2.3, 0.9, epochs)  # one rate works without batch norm
    costs = {f"{kind} {depth}": good if (kind == "batch") == holds else poor
             for depth in (batch_norm.SHALLOW, batch_norm.DEEP) for kind in batch_norm.KINDS}  # fmt: skip
    return batch_norm.Measured(dict.fromkeys(costs, 3), costs)


def planted_batch_sizes(holds: bool):
    costs, seconds = {}, {}
    for size, epochs in batch_sizes.EPOCHS.items():
        quick = (size == batch_sizes.MINI) == holds
        costs[size] = falling(2.3, 0.05, epochs + 1)
        costs[size][:, batch_sizes.EARLY :] *= 0.1 if quick else 1.0
        seconds[size] = falling(0, 0.5 if quick else 20.0, epochs + 1)
    if not holds:  # an epoch of single examples as quick as one of mini-batches
        per_epoch = seconds[batch_sizes.MINI][:, -1:] / batch_sizes.EPOCHS[batch_sizes.MINI]
        seconds[batch_sizes.SINGLE] = per_epoch * np.arange(batch_sizes.EPOCHS[batch_sizes.SINGLE] + 1)
    return batch_sizes.Measured(dict.fromkeys(costs, 0.1), costs, seconds)


def planted_bias_correction(holds: bool):
    steps = bias_correction.STEPS
    values = np.ones((SEEDS, steps)) * JITTER[:, np.newaxis]
    pull = 1 - bias_correction.BETA ** np.arange(1, steps + 1)
    keys = [f"{beta2:g} {kind}" for beta2 in bias_correction.BETA2S for kind in ("corrected", "uncorrected")]
    adam = {}
    for key in keys:
        worse = key.endswith(" uncorrected") == holds
        adam[key] = falling(2.3, 1.0 if worse else 0.1, bias_correction.ADAM_STEPS + 1)
    plain = values * pull if holds else values
    corrected = values if holds else 1.05 * values * pull
    same_rate = falling(2.3, 2.0 if holds else 0.01, bias_correction.ADAM_STEPS + 1)
    gap, rates = (0.0 if holds else 0.1), dict.fromkeys(keys, 0.1)
    return bias_correction.Measured(values, plain, corrected, gap, rates, adam, same_rate)


def planted_coarse_to_fine(holds: bool):
    total = coarse_to_fine.COARSE + coarse_to_fine.FINE
    even = np.ones((SEEDS, total)) * JITTER[:, np.newaxis]
    zoomed = even * (0.5 if holds else 1.5)
    points = np.full((SEEDS, total, 2), 0.5)
    return coarse_to_fine.Measured(points, points, zoomed, even)


def planted_early_stopping(holds: bool):
    epochs = early_stopping.EPOCHS + 1
    valley = np.abs(np.linspace(-1, 3, epochs)) + 0.2  # lowest a quarter of the way
    bowl, slope = valley * JITTER[:, np.newaxis], falling(2.3, 0.01, epochs)
    stops = np.full(SEEDS, epochs // 4)
    if holds:
        flat = np.minimum(falling(2.3, 0.2, epochs), 0.2)
        return early_stopping.Measured(1.0, slope, bowl, slope, flat, stops)
    return early_stopping.Measured(1.0, falling(0.1, 2.3, epochs), slope, slope, bowl * 9, stops)


def planted_input_normalisation(holds: bool):
    steps = input_normalisation.STEPS + 1
    quick = np.maximum(falling(2.3, -20, steps), 0.01 * JITTER[:, np.newaxis])
    slow = falling(2.3, 0.5, steps)
    raw = dict.fromkeys(input_normalisation.SETS, slow if holds else quick)
    normalised = dict.fromkeys(input_normalisation.SETS, quick if holds else slow)
    pair = dict.fromkeys(input_normalisation.SETS, (1.0, 1.0))
    ellipse = input_normalisation.Contours(np.diag([1.0, 9.0]), np.zeros(2), np.ones((3, 2)))
    return input_normalisation.Measured(pair, raw, normalised, pair, (ellipse, ellipse))


def planted_logic_gates(holds: bool):
    given = {gate: truth + (0.001 if holds else 0.3) for gate, truth in logic_gates.TRUTH.items()}
    four, two = np.full(20, 4), np.full(20, 2)
    single = dict.fromkeys(("AND", "OR", "NOR"), four if holds else two) | {"XOR": two if holds else four}
    hidden = dict.fromkeys(logic_gates.HIDDEN, four if holds else two)
    return logic_gates.Measured(given, single, np.full(20, 0.69), hidden, {})


def planted_optimisers(holds: bool):
    epochs = optimisers.EPOCHS + 1
    costs = {rule: falling(2.3, 0.1, epochs) for rule in optimisers.RATES}
    costs["sgd"] = falling(2.3, 1.0 if holds else 0.01, epochs)
    quick, slow = optimisers.path("sgd", 0.04), optimisers.path("sgd", 0.002)
    paths = {rule: quick if (rule != "sgd") == holds else slow for rule in costs}
    return optimisers.Measured(dict.fromkeys(costs, 0.1), costs, dict.fromkeys(costs, 0.1), paths)


def planted_random_search(holds: bool):
    side = random_search.SIDE
    along_rate = np.repeat([2.0, 0.5, 1.0], side)  # epsilon changes nothing
    along_epsilon = np.tile([2.0, 0.5, 1.0], side)
    grid = (along_rate if holds else along_epsilon) * JITTER[:, np.newaxis]
    random = grid * (0.5 if holds else 2.0)
    points = np.full((SEEDS, side * side, 2), 0.5)
    return random_search.Measured(points, points, grid, random)


def planted_rate_decay(holds: bool):
    length = rate_decay.EPOCHS + 1
    low, high = falling(1, 0.001, length), falling(1, 0.1, length)
    excess = dict.fromkeys(rate_decay.SCHEDULES, low if holds else high)
    excess["constant"] = excess["best constant"] = high if holds else low
    return rate_decay.Measured(0.01, excess, about(0.5))


def planted_regularisation(holds: bool):
    length = regularisation.EPOCHS + 1
    kinds = regularisation.NAMES
    bad = {kind: (kind == "none") == holds for kind in kinds}
    return regularisation.Measured(
        dict.fromkeys(kinds, 1.0),
        {kind: falling(2.3, 0.01, length) for kind in kinds},
        {kind: falling(2.3, 1.0 if bad[kind] else 0.3, length) for kind in kinds},
        {kind: about(0.3 if bad[kind] else 0.1) for kind in kinds},
        {kind: about(0.3 if bad[kind] else 0.1) for kind in kinds},
    )


def planted_starting_weights(holds: bool):
    depth = starting_weights.DEPTH
    kept, gone = falling(1, 0.9, depth), np.geomspace(1, 1e-15, depth) * JITTER[:, np.newaxis]
    alive = {"he relu", "xavier tanh"}
    names = [f"{scheme} {activation}" for scheme in starting_weights.SCHEMES
             for activation in starting_weights.ACTIVATIONS]  # fmt: skip
    variances = {name: kept if (name in alive) == holds else gone for name in names}
    if holds:
        variances |= {name: np.zeros((SEEDS, depth)) for name in names if name.startswith("zeros")}
    costs = {scheme: falling(2.3, 0.1 if (scheme == "he") == holds else 2.0, 11) for scheme in starting_weights.SCHEMES}
    return starting_weights.Measured(variances, variances, dict.fromkeys(costs, 0.1), costs)


def planted_symmetry(holds: bool):
    one, all_units = np.ones(SEEDS, dtype=int), np.full(SEEDS, symmetry.UNITS)
    different = {"zeros": one if holds else all_units, "small": all_units if holds else one, "one unit": one}
    errors = {name: falling(0.9, 0.6 if (name == "zeros") == holds else 0.1, symmetry.EPOCHS + 1) for name in different}
    weights = dict.fromkeys(different, np.ones((symmetry.UNITS, 64)))
    return symmetry.Measured(different, errors, about(0.0 if holds else 1.0), weights)


def compared(errors: dict[str, float], costs: dict[str, float] | None = None, **sizes: dict[str, int]) -> Compared:
    """With these dev errors and dev costs; multiply_adds= and parameters= where a rule looks at them."""
    every = dict.fromkeys(errors, 1_000)
    spread = {name: about(error) for name, error in errors.items()}
    dev_costs = {name: about((costs or errors)[name]) for name in errors}
    return Compared(dict.fromkeys(errors, 0.1), dev_costs, dev_costs, spread, sizes.get("multiply_adds", every),
                    sizes.get("parameters", every))  # fmt: skip


def planted_bottleneck(holds: bool):
    costs = {"full": 1_000, "bottleneck": 150 if holds else 900, "choked": 20}
    errors = {"full": 0.03, "bottleneck": 0.031 if holds else 0.09, "choked": 0.09 if holds else 0.02}
    course = (120_422_400, 12_443_648) if holds else (120_422_400, 120_422_400)
    return bottleneck.Measured(compared(errors, multiply_adds=costs), course)


def planted_depthwise(holds: bool):
    errors = {"full": 0.03, "separable": 0.031 if holds else 0.09, "thin": 0.06}
    width = depthwise.WIDTH
    return depthwise.Measured(compared(errors), (9 * width * width, (9 + width + (0 if holds else 1)) * width))


def planted_few_pictures(holds: bool):
    dense, shared = (np.array(row)[np.newaxis] * JITTER[:, np.newaxis] for row in
                     ((0.3, 0.2, 0.15, 0.1, 0.05), (0.2, 0.1, 0.08, 0.06, 0.04)))  # fmt: skip
    errors = {"dense": dense, "convolutional": shared} if holds else {"dense": shared, "convolutional": dense}
    rates = dict.fromkeys(errors, (0.1,) * len(few_pictures.SIZES))
    return few_pictures.Measured(errors, rates, dict.fromkeys(errors, 1_000))


def planted_learned_filter(holds: bool):
    true = {name: np.ones((3, 3)) for name in learned_filter.KINDS}
    near, far = (np.stack([np.full((3, 3), 1 + off) for off in about(share)]) for share in (0.001, 0.5))
    found = dict.fromkeys(true, near if holds else far)
    return learned_filter.Measured(true, found, found)


def planted_padding(holds: bool):
    errors = {"same": 0.03, "valid": 0.06, "valid, margin": 0.03}
    if not holds:
        errors = {"same": 0.06, "valid": 0.03, "valid, margin": 0.06}
    uses = np.full((8, 8), 9.0)
    uses[0, 0] = 1.0 if holds else 9.0
    return padding.Measured(compared(errors), uses)


def planted_both_directions(holds: bool):
    both, forward = (10.0, 15.0) if holds else (15.0, 10.0)
    errors = {"both": both, "forward": forward, "wide": forward}
    return both_directions.Measured({kind: about(value) for kind, value in errors.items()}, about(13.0), about(9.0))


def planted_fixed_window(holds: bool):
    # by net, the errors among the last words and before them
    ends = {"window": (1.0, 87.5), "whole": (4.0, 9.0), "recurrent": (1.0, 2.0)}
    if not holds:
        ends = {"window": (30.0, 40.0), "whole": (4.0, 9.0), "recurrent": (10.0, 20.0)}
    words = np.arange(fixed_window.STEPS) < fixed_window.WINDOW
    errors = {kind: about(1.0)[:, np.newaxis] * np.where(words, near, far) for kind, (near, far) in ends.items()}
    return fixed_window.Measured(errors, errors, dict.fromkeys(errors, 1_000))


def planted_mean_and_negation(holds: bool):
    nets = {"mean": (1.0, 50.0, 50.0, 1.0), "pairs": (1.0, 2.0, 30.0, 1.0), "recurrent": (1.0, 1.0, 1.0, 1.0)}
    if not holds:
        nets = {"mean": (20.0, 20.0, 20.0, 1.0), "pairs": (1.0, 18.0, 10.0, 1.0), "recurrent": (1.0, 19.0, 15.0, 1.0)}
    return mean_and_negation.Measured(
        {net: {kind: about(value) for kind, value in zip(mean_and_negation.KINDS, values, strict=True)}
         for net, values in nets.items()}
    )  # fmt: skip


def planted_one_hot(holds: bool):
    ends = (
        {"one-hot": (0.45, 0.16), "vectors": (0.2, 0.15)} if holds else {"one-hot": (0.2, 0.3), "vectors": (0.2, 0.15)}
    )
    errors = {kind: falling(first, last, len(one_hot.SIZES)) for kind, (first, last) in ends.items()}
    return one_hot.Measured(errors, about(0.14), falling(0.5, 0.01, len(one_hot.SIZES)))


def planted_gradients_through_time(holds: bool):
    claim = gradients_through_time
    steps = claim.GAP + 1

    def course(last: float) -> np.ndarray:  # its share is the same in all seeds, the size is not
        return np.geomspace(1, last, steps) * np.array([1.0, 2.0, 0.5, 3.0])[:, np.newaxis] ** np.linspace(
            1, 1.1, steps
        )

    lasts = {"plain": 1e-6, "plain, orthogonal": 1e-4, "LSTM, half open": 1e-3, "LSTM, bias 1": 0.1,
             "LSTM, bias ln(gap)": 0.5}  # fmt: skip
    if not holds:
        lasts = {"plain": 0.5, "plain, orthogonal": 0.9, "LSTM, half open": 0.01, "LSTM, bias 1": 0.001,
                 "LSTM, bias ln(gap)": 0.01}  # fmt: skip
    found = {name: course(last) for name, last in lasts.items()}
    linear = np.stack([claim.closed_form() * (1 if holds else 1.001)] * SEEDS)
    return claim.Measured(linear, found, found, dict.fromkeys(found, 0.01), dict.fromkeys(found, about(20)))


def planted_clipping(holds: bool):
    norms = falling(0.1, 100 if holds else 0.2, len(clipping.SCALES))
    values = (0.01, 0.1, 0.001, 0.001) if holds else (0.1, 0.01, 0.1, 0.001)
    costs = {key: about(value) for key, value in zip(clipping.KEYS, values, strict=True)}
    return clipping.Measured(norms, dict.fromkeys(costs, 0.01), costs, about(0.2 if holds else 0.02))


def planted_pooling(holds: bool):
    errors = {"max": 0.02, "average": 0.05, "stride": 0.06}
    if not holds:
        errors = {"max": 0.05, "average": 0.02, "stride": 0.01}
    return pooling.Measured(compared(errors))


def planted_response_normalisation(holds: bool):
    errors = {"none": 0.05, "response": 0.049, "batch": 0.02}
    if not holds:
        errors = {"none": 0.05, "response": 0.01, "batch": 0.09}
    return response_normalisation.Measured(compared(errors))


def planted_shifted_pictures(holds: bool):
    ends = {"dense": 0.9, "none": 0.7, "pools": 0.4, "everywhere": 0.06}
    if not holds:
        ends = {"dense": 0.4, "none": 0.7, "pools": 0.9, "everywhere": 0.6}
    errors = {kind: falling(0.05, end, len(shifted_pictures.SHIFTS)) for kind, end in ends.items()}
    return shifted_pictures.Measured(errors, dict.fromkeys(errors, 0.1))


def planted_shrinking(holds: bool):
    costs = {"steps": 1_000, "at once": 150 if holds else 900, "at once, wide": 990 if holds else 3_000}
    errors = {"steps": 0.03, "at once": 0.06, "at once, wide": 0.05}
    if not holds:
        errors = {"steps": 0.06, "at once": 0.03, "at once, wide": 0.05}
    return shrinking.Measured(compared(errors, multiply_adds=costs))


def planted_residual(holds: bool):
    deep, shallow = (0.6, 0.1) if holds else (0.1, 0.6)
    ends = {"plain 56": deep, "plain 20": shallow, "residual 56": 0.001 if holds else 0.2, "residual 20": 0.01}
    if not holds:
        ends["residual 20"], ends["plain 20"] = 0.1, 0.3
    names = [f"{kind} {depth}" for kind in residual.SHORTCUTS for depth in residual.DEPTHS]
    errors = {name: about(ends.get(name, 0.3)) for name in names}
    courses = {name: falling(0.9, ends.get(name, 0.3), residual.EPOCHS + 1) for name in names}
    return residual.Measured(dict.fromkeys(names, 0.1), courses, errors, errors, errors)


def planted_label_noise(holds: bool):
    steep, flat = (1.0, 0.1) if holds else (0.4, 0.5)  # points of dev error per wrong label
    slopes = {"systematic": steep, "random": flat}
    errors = {f"{kind} {share:g}": about(0.02 + slopes[kind] * share)
              for kind in label_noise.KINDS for share in label_noise.SHARES}  # fmt: skip
    example = label_noise.Example(np.ones((8, 8)), 9, 0)
    return label_noise.Measured(dict.fromkeys(errors, 0.1), errors, (example,) * label_noise.SHOWN)


def planted_data_and_size(holds: bool):
    counts, nets = np.array(data_and_size.COUNTS), len(data_and_size.CHANNELS)
    powers = np.linspace(-0.3, -0.8, nets) if holds else np.linspace(-0.3, -0.1, nets)
    starts = np.full(nets, 0.5) if holds else np.linspace(0.3, 0.6, nets)
    surface = starts[:, np.newaxis] * (counts / counts[0]) ** powers[:, np.newaxis]
    errors = surface * JITTER[:, np.newaxis, np.newaxis]
    return data_and_size.Measured((100, 300, 1000, 3000), np.full(surface.shape, 0.1), errors)


def planted_augmentation_by_size(holds: bool):
    with_, without = (0.05, 0.02), (0.15, 0.021)
    if not holds:
        with_, without = (0.15, 0.06), (0.1, 0.04)
    counts = len(augmentation_by_size.COUNTS)
    errors = {"with": falling(*with_, counts), "without": falling(*without, counts)}
    return augmentation_by_size.Measured(dict.fromkeys(errors, (0.1,) * counts), errors, np.ones((4, 8, 8)))


def planted_transfer_by_size(holds: bool):
    ends = {"scratch": (0.4, 0.02), "frozen": (0.2, 0.05), "whole": (0.2, 0.02)}
    if not holds:
        ends = {"scratch": (0.1, 0.05), "frozen": (0.3, 0.02), "whole": (0.2, 0.04)}
    counts = len(transfer_by_size.PER_CLASS)
    errors = {kind: falling(*two, counts) for kind, two in ends.items()}
    return transfer_by_size.Measured(dict.fromkeys(errors, (0.1,) * counts), errors, about(0.01))


def planted_normalisation_noise(holds: bool):
    rising = falling(0.1, 0.3, len(normalisation_noise.GROUPS))
    costs, errors = (rising, rising / 10) if holds else (rising[:, ::-1], rising[:, ::-1] / 10)
    sizes = np.array(normalisation_noise.NOISE_GROUPS)
    noise = 0.3 * (sizes / sizes[0]) ** (-0.5 if holds else 0.1) * JITTER[:, np.newaxis]
    return normalisation_noise.Measured((0.1,) * 3, np.full(costs.shape, 0.01), costs, errors, noise)


def planted_deep_or_wide(holds: bool):
    keys = [f"{kind} {depth}" for kind in deep_or_wide.KINDS for depth in deep_or_wide.depths(kind)]
    values = {key: about(0.1 / int(key.split()[1]) if holds else 0.1 * int(key.split()[1])) for key in keys}
    return deep_or_wide.Measured(dict.fromkeys(keys, 0.1), dict.fromkeys(keys, 5000), values, values)


def planted_side_heads(holds: bool):
    length = side_heads.EPOCHS + 1
    better, worse = ("with", "without") if holds else ("without", "with")
    gradients = {better: about(0.02), worse: about(0.01)}
    costs = {better: falling(2.3, 0.1, length), worse: falling(2.3, 0.5, length)}
    return side_heads.Measured(dict.fromkeys(costs, 0.1), gradients, costs, {better: about(0.02), worse: about(0.05)})


def planted_compound_scaling(holds: bool):
    names = list(compound_scaling.NAMES)
    errors = {name: about(0.05) for name in names} | {"compound": about(0.02 if holds else 0.08)}
    shapes = dict.fromkeys(names, compound_scaling.Shape(1, 6, 4))
    counts = dict.fromkeys(names, 1000)
    return compound_scaling.Measured(shapes, counts, counts, dict.fromkeys(names, 0.1), errors)


def planted_anchor_shapes(holds: bool):
    counts = len(anchor_shapes.COUNTS)
    found, pixels = (falling(0.5, 0.9, counts), falling(0.4, 0.8, counts))
    fits = {"iou": found, "pixels": pixels} if holds else {"iou": found[:, ::-1], "pixels": 2 * found[:, ::-1]}
    recalls = dict.fromkeys(fits, falling(0.97 if holds else 0.5, 0.99 if holds else 0.6, counts).clip(0, 1))
    return anchor_shapes.Measured(fits, recalls, about(0.3 if holds else 0.95), about(0.4))


def planted_objects_in_a_cell(holds: bool):
    lost = {1: 0.3, 2: 0.05, 5: 0.001} if holds else {1: 0.05, 2: 0.04, 5: 0.03}
    fine = 0.001 if holds else 0.04
    table = [[lost[count]] * (len(objects_in_a_cell.GRIDS) - 1) + [fine] for count in objects_in_a_cell.ANCHORS]
    return objects_in_a_cell.Measured(np.array(table) * JITTER[:, np.newaxis, np.newaxis], about(15))


def planted_sliding_windows(holds: bool):
    rising, steps = falling(0.95, 0.3, len(sliding_windows.STEPS)), np.array([1000, 250, 60, 15])
    precision = rising if holds else falling(0.3, 0.6, len(sliding_windows.STEPS))
    times = (about(0.5), about(0.05 if holds else 0.3))
    return sliding_windows.Measured(precision, steps, *times, about(1e-6 if holds else 0.1))


def planted_suppression(holds: bool):
    middle = suppression.THRESHOLDS.index(suppression.MIDDLE)
    places = np.abs(np.arange(len(suppression.THRESHOLDS)) - middle)
    peak, flat = 0.8 - 0.05 * places, np.full(len(places), 0.8)
    crowded, apart = (peak, flat) if holds else (1.4 - peak, flat)
    return suppression.Measured({"crowded": crowded * JITTER[:, np.newaxis], "apart": apart * JITTER[:, np.newaxis]})


def planted_region_proposals(holds: bool):
    found = np.array([[0.8, 0.78] if holds else [0.5, 0.8]]) * JITTER[:, np.newaxis]
    some, recalled = (about(30), 0.96) if holds else (about(900), 0.5)
    return region_proposals.Measured(some, about(1100), np.array([recalled] * 3 + [recalled + 0.001]), found)


def planted_memory_over_gaps(holds: bool):
    claim = memory_over_gaps
    ends = {"plain": 75.0, "plain, orthogonal": 70.0, "GRU": 40.0, "LSTM, bias 1": 30.0, "attention": 1.0}
    if not holds:
        ends = {"plain": 1.0, "plain, orthogonal": 1.0, "GRU": 10.0, "LSTM, bias 1": 20.0, "attention": 40.0}
    start = 2.0 if holds else 60.0
    errors = {
        name: np.stack([about(start), *[about(end)] * (len(claim.GAPS) - 1)], axis=1) for name, end in ends.items()
    }
    return claim.Measured(dict.fromkeys(ends, (0.01,) * len(claim.GAPS)), errors)


def planted_negatives(holds: bool):
    ends = [(0.3 + 0.04 * place, 0.8) if holds else (0.3 - 0.04 * place, 0.6 + 0.04 * place) for place in range(4)]
    shares = {count: falling(*each, len(negatives.SIZES)) for count, each in zip(negatives.COUNTS, ends, strict=True)}
    return negatives.Measured(dict.fromkeys(shares, (0.1,) * len(negatives.SIZES)), shares)


def planted_style_layers(holds: bool):
    pixels = falling(0.1, 1.2 if holds else 0.15, 5)
    maps = falling(0.001, 0.1 if holds else 0.6, 5)
    blocks = falling(0.5, 0.9, 5) if holds else falling(0.9, 0.5, 5)
    return style_layers.Measured(pixels, maps, blocks, (np.full((4, 6, 3), 0.5),) * 10)


def planted_attention_by_length(holds: bool):
    # by net, the scores of short and of long sentences
    ends = {"with": (80.0, 70.0), "without": (60.0, 20.0)} if holds else {"with": (80.0, 10.0), "without": (30.0, 60.0)}
    scores = {
        net: np.stack([about(short), about((short + long) / 2), about(long)], axis=1).tolist()
        for net, (short, long) in ends.items()
    }
    return attention_by_length.Measured(scores)


def planted_beam_width(holds: bool):
    ends = (30.0, 33.0, 36.0, 36.0, 36.0) if holds else (36.0, 33.0, 30.0, 33.0, 36.0)
    times = (1.0, 2.0, 4.0, 8.0, 16.0) if holds else (4.0,) * 5
    scores, seconds = (np.stack([about(one) for one in some], axis=1).tolist() for some in (ends, times))
    return beam_width.Measured(scores, seconds)


def planted_own_words(holds: bool):
    early, late = (2.0, 30.0) if holds else (2.0, -30.0)
    sides = [[(40.0, 40.0 + float(one)) for one in about(gap)] for gap in (early, late)]
    return own_words.Measured([[40.0]], [[40.0]], *sides)


def planted_length_penalty(holds):
    short, low = (85.0, 30.0) if holds else (120.0, 85.0)
    return length_penalty.Measured(
        [[low, 55.0, 60.0, 61.0, 61.0], [low + 1, 55.0, 62.0, 61.0, 61.0]],
        [[short, 95.0, 99.0, 100.0, 100.0], [short + 1, 95.0, 99.5, 100.0, 100.0]],
    )


def planted_heads_removed(holds):
    more = [0.1] * 23 + [40.0] if holds else [5.0] * 24
    return heads_removed.Measured([1.0, 2.0], [[whole + one + whole / 10 for one in more] for whole in (1.0, 2.0)])


def planted_positions_removed(holds):
    score, words = (20.0, 70.0) if holds else (95.0, 20.0)
    return positions_removed.Measured(
        [(97.0 + d, score + d) for d in (0.0, 1.0)], [(99.0 - d, words + d) for d in (0.0, 1.0)]
    )
