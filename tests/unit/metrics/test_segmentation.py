import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from gnomon.core.errors import DataError
from gnomon.metrics import segmentation


def masks(seed, classes=3, shape=(20, 30)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, shape), rng.integers(0, classes, shape)


def test_counts_and_what_follows_equal_scikit_learn():
    target, prediction = masks(0)
    counts = segmentation.confusion(target, prediction, 3)
    assert (counts == confusion_matrix(target.ravel(), prediction.ravel())).all()
    assert_allclose(segmentation.class_iou(counts), jaccard_score(target.ravel(), prediction.ravel(), average=None))
    assert_allclose(segmentation.class_dice(counts), f1_score(target.ravel(), prediction.ravel(), average=None))
    assert segmentation.mean_dice(counts) == pytest.approx(segmentation.class_dice(counts).mean())
    assert segmentation.pixel_error(counts) == pytest.approx((target != prediction).mean())


def test_half_of_a_class_found_on_paper():
    target = np.array([[1, 1, 0, 0]])
    counts = segmentation.confusion(target, np.array([[1, 0, 0, 0]]), 3)
    # class 0: 2 shared of 3; class 1: 1 of 2; class 2 is nowhere and left out
    assert_allclose(segmentation.class_iou(counts), [2 / 3, 1 / 2, np.nan])
    assert segmentation.mean_iou(counts) == pytest.approx(7 / 12)


def test_ignored_pixels_do_not_count_and_other_unknown_values_are_refused():
    target, prediction = np.array([[0, 1, 255]], np.uint8), np.array([[0, 1, 1]], np.uint8)
    assert segmentation.confusion(target, prediction, 2, ignore=255).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match="the mask holds 255, and there are classes 0 to 1") as failure:
        segmentation.confusion(target, prediction, 2, name="cell 7.png")
    assert "cell 7.png" in str(failure.value)
    with pytest.raises(DataError, match="the mask has 3 x 1 pixels, the prediction 1 x 3"):
        segmentation.confusion(target, prediction.T, 2)


def test_pictures_rightly_left_empty_are_counted_and_left_out_of_dice():
    nothing, all_of_it = np.zeros((2, 2), int), np.ones((2, 2), int)
    pairs = [(nothing, nothing), (nothing, all_of_it), (all_of_it, all_of_it)]
    counts = np.stack([segmentation.confusion(*pair, 2) for pair in pairs])
    values, empty = segmentation.dice_per_picture(counts, 1)
    assert_allclose(values, [np.nan, 0, 1])
    assert empty == 1


def test_the_interval_of_pixel_error_is_over_pictures_not_pixels():
    rng = np.random.default_rng(0)
    wrong = rng.integers(0, 101, 200)  # of 100 pixels in each of 200 pictures
    counts = np.stack([np.array([[100 - n, n], [0, 0]]) for n in wrong])
    found = segmentation.interval(segmentation.pixel_error, counts)
    assert found.value == pytest.approx(wrong.mean() / 100)
    assert found.high - found.low == pytest.approx(2 * 1.96 * wrong.std() / 100 / np.sqrt(200), rel=0.15)
    alike = segmentation.interval(
        segmentation.pixel_error, np.repeat(counts, 4, 0), groups=np.repeat(np.arange(200), 4)
    )
    assert alike.high - alike.low == pytest.approx(found.high - found.low, rel=0.1)


def plain_boundary_f(target, prediction, label, tolerance):
    """Every pair of outline pixels compared."""

    def outline(mask):
        places = []
        for (r, c), value in np.ndenumerate(mask):
            around = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
            inside = [mask[p] for p in around if 0 <= p[0] < mask.shape[0] and 0 <= p[1] < mask.shape[1]]
            if value == label and any(other != label for other in inside):
                places.append((r, c))
        return np.array(places, float)

    apart = cdist(outline(target), outline(prediction))
    recall, precision = (apart.min(1) <= tolerance).mean(), (apart.min(0) <= tolerance).mean()
    return 2 * precision * recall / (precision + recall)


def test_boundary_f_equals_the_comparison_of_every_pair():
    rng = np.random.default_rng(5)
    target, prediction = ((rng.random((6, 8)).repeat(4, 0).repeat(4, 1) * 3).astype(int) for _ in range(2))
    for tolerance in (0, 1, 2.5):
        found = segmentation.boundary_f(target, prediction, 3, tolerance=tolerance)
        assert_allclose(found, [plain_boundary_f(target, prediction, label, tolerance) for label in range(3)])


def test_an_outline_off_by_less_than_the_tolerance_is_right():
    target, moved = np.zeros((40, 40), int), np.zeros((40, 40), int)
    target[10:20, 10:20], moved[10:20, 12:22] = 1, 1
    assert segmentation.boundary_f(target, moved, 2, tolerance=2).tolist() == [1, 1]
    assert (segmentation.boundary_f(target, moved, 2, tolerance=1) < 1).all()
    assert segmentation.boundary_f(target, np.zeros_like(target), 3)[1] == 0
    assert np.isnan(segmentation.boundary_f(target, moved, 3)[2])


def test_ignored_pixels_and_the_edge_of_the_picture_make_no_outline():
    target = np.ones((10, 10), int)
    target[:, 5:] = 255
    for turned in (target, target[:, ::-1], target.T, target.T[::-1]):
        assert np.isnan(segmentation.boundary_f(turned, np.ones((10, 10), int), 2, ignore=255)).all()


def test_the_mean_over_outlines_leaves_out_pictures_without_any():
    values = np.array([[1.0, np.nan, 0.5], [0.0, np.nan, np.nan]])
    found = segmentation.mean_boundary_f(values)
    assert_allclose(found.per_class, [0.5, np.nan, 0.5])
    assert found.pictures.tolist() == [2, 0, 1]
    assert found.mean.value == 0.5
    assert found.mean.low <= 0.5 <= found.mean.high
