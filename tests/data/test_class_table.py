from netwright.data.class_table import class_table, majorities

SPLITS = ("train", "valid", "test")


def test_few_classes_have_a_row_each():
    counts = {"train": [1000, 30], "valid": [90, 10], "test": [10, 10]}
    assert list(class_table(counts, ("healthy", "sick"))) == [
        "  images of each class  train  valid  test",
        "  healthy               1,000     90    10",
        "  sick                     30     10    10",
        "  all                   1,030    100    20",
        "train: 1,000 of 1,030 images are 'healthy' (97.09 %)",
        "valid: 90 of 100 images are 'healthy' (90.00 %)",
    ]


def test_a_thousand_uneven_classes_are_a_short_table_of_the_largest_and_the_smallest():
    sizes = [10 + n for n in range(1000)]
    lines = list(class_table(dict.fromkeys(SPLITS, sizes), [f"n{n:04d}" for n in range(1000)]))
    assert len(lines) == 16
    assert lines[0].split() == ["images", "of", "1,000", "classes", *SPLITS]
    assert lines[1].split() == ["n0999", *["1,009"] * 3]
    assert lines[6] == "  (990 classes between)    15 to 1,004  15 to 1,004  15 to 1,004"
    assert lines[11].split() == ["n0000", *["10"] * 3]
    assert lines[12].split() == ["all", *["509,500"] * 3]
    assert lines[13] == "train: 1,009 of 509,500 images are 'n0999' (0.20 %)"


def test_many_classes_that_are_alike_are_one_line():
    counts = {"train": [105, 110] * 500, "valid": [35] * 1000, "test": [35] * 1000}
    assert list(class_table(counts, list(map(str, range(1000))))) == [
        "images of each of 1,000 classes: 105 to 110 to train, 35 to validate, 35 to test; 0, 1, 2, 3, 4 and 995 more"
    ]


def test_only_uneven_splits_have_a_majority():
    assert list(majorities({"train": [10, 11], "valid": [10, 19]}, ("a", "b"))) == [
        "valid: 19 of 29 images are 'b' (65.52 %)"
    ]
