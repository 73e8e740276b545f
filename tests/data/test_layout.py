"""What is taken for what, for each of the ways in which people lay images out; files are empty, none is opened."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.core.errors import BadReference
from netwright.data.folder_names import is_container, kind_of, kinds_of
from netwright.data.inventory import taken, told
from netwright.data.layout import arranged
from netwright.data.tree import scan

TWO = ("cat", "dog")


def make(root: Path, content: dict[str, int | str]) -> Path:
    """Folders with so many images, and files of text."""
    root.mkdir(exist_ok=True)
    for path, what in content.items():
        place = root / path
        (place if isinstance(what, int) else place.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(what, int):
            for n in range(what):
                (place / f"{n}.png").touch()
        else:
            place.write_text(what)
    return root


def within(*folders: str, count: int = 3, classes: tuple[str, ...] = TWO) -> dict[str, int | str]:
    """Folders of class folders."""
    return {os.path.join(folder, name): count for folder in folders for name in classes}


def said(root: Path, wanted: tuple[str, ...] = (), is_following: bool = False) -> tuple[dict[str, list[str]], str]:
    """Classes by split, and all that is said."""
    tree = scan(root, is_following)
    layout = arranged(tree, wanted)
    found = taken(tree, layout)
    assert found.files == tree.root.files, "a file that is neither used nor counted"
    counts: dict[str, list[str]] = {split: [] for split in layout.classes}
    for split, classes in layout.classes.items():
        for name in classes:
            count = sum((s, c) == (split, name) for _, s, c in found.used)
            counts[split].append(f"{name} {count}")
    return counts, "\n".join(told(tree, layout, wanted, found))


REFUSED = {
    "images straight in splits": (
        {"train": 6, "test": 3, "labels.csv": "x"},
        r"test/, train/ in .* look like splits, and there are no folders of classes in test/ \(3 images\), train/ "
        r"\(6 images\) \(perhaps their labels are in labels.csv\); .* give --task.classes 'test,train'",
    ),
    "images straight in train": ({"Training": 6}, r"Training/ in .* looks like a split, and there are no folders of"),
    "images straight in test": ({**within("train"), "test1": 3}, r"no folders of classes in test1/ \(3 images\)"),
    "a test set without labels": (
        {**within("train"), "test": 3},
        r"test/ \(3 images\); put the images .* after the class, or give .*root/train as task.path$",
    ),
    "splits and classes in one name": (
        dict.fromkeys((f"{a}_{b}" for a in ("Train", "val") for b in TWO), 3),
        r"the names of Train_cat/, val_cat/, Train_dog/, val_dog/ in .* tell a split and a class; put",
    ),
    "classes and splits in one name": (
        dict.fromkeys((f"{b}-{a}" for a in ("training", "testing") for b in TWO), 3),
        r"the names of cat-testing/, cat-training/, dog-testing/, dog-training/ in",
    ),
    "an archive in parts": (
        {**{f"images_{n:03}/images": 3 for n in range(12)}, "Data_Entry.csv": "x"},
        r"images_000/, .* and 7 more in .* parts of a set, not like classes \(perhaps their labels are in Data_E",
    ),
    "a set again within the set": (
        {**within("", classes=("cat", "dog", "cow")), **within("flowers", classes=("cat", "dog", "ox"))},
        r"root/flowers holds folders that have the names of classes beside it, cat/, dog/; take it out",
    ),
    "other folders beside splits": (
        {**within("Training", "Test"), "papers": 3, "Test-many": 2},
        r"beside Test-many/, papers/; .* give .*/Training as task.path; --task.classes 'cat,dog' takes these folders "
        r"as classes and leaves the rest out, '\*' takes them all$",
    ),
    "folds": ({f"fold{n}": 3 for n in range(1, 6)}, r"fold1/, .*fold5/ in .* look like parts of a set"),
    "one folder too high": (within("photos"), r"only photos/ holds images: .* give .*root/photos as task.path"),
    "folders around folders": ({**within("a/b/c"), "a/x.txt": ""}, r"give .*root/a/b/c as task.path"),
    "splits one folder deeper": (within("archive/Train", "archive/Test"), r"give .*root/archive as task.path"),
    "annotations beside one folder": (
        {**within("Images"), "Annotation/cat": 3, "lists/a.mat": ""},
        r"only Images/ holds what may be classes: .* give .*root/Images as task.path",
    ),
    "wrong inside one folder": ({"photos/train": 5, "photos/test": 3}, r"test/, train/ in .*root/photos look like spl"),
    "unlabeled images beside classes": (
        {**within(""), "unlabelled_imgs": 4},
        r"not all folders in .* look like classes: unlabelled_imgs/ \(4 images\), like images without labels; take out "
        r"what is none; --task.classes 'cat,dog' takes these folders",
    ),
    "masks beside images": ({"images": 4, "masks": 4}, r"masks/ \(4 images\), like labels"),
    "one mask beside images": ({"image": 4, "mask": 4}, r"mask/ \(4 images\), like labels"),
    "unlabeled images in train": ({**within("train"), "train/unsup": 3}, r"root/train look like classes: unsup/"),
    "test beside classes": (
        {**{f"{n}": 3 for n in range(50)}, "test": 9},
        r"test/ in .* looks like a split, not like classes, beside 0/, 1/, .* and 45 more; .* '\*' takes them all",
    ),
    "train among vehicles": (
        dict.fromkeys(("plane", "ship", "train"), 4),
        r"train/ .* beside plane/, ship/; .*'plane,",
    ),
    "train beside classes": (
        {**within("train"), **within("")},
        r"beside cat/, dog/; .* give .*root/train as task.path",
    ),
    "other images beside splits": (
        within("train", "test", "raw"),
        r"test/, train/ .* look like splits, .* beside raw/",
    ),
    "the same archive twice": (within("train", "test", "x/train", "x/test"), r"test/, train/ in .* beside x/"),
    "the same split twice": (
        within("val", "Validation", "train"),
        r"holds Validation/ and val/, which look like the same",
    ),
    "unsorted images of two kinds": (
        dict.fromkeys(("trainA", "trainB"), 3),
        r"look like splits, and there are no folders",
    ),
    "splits in another language beside others": (
        {**within("apprend", "essai", classes=("cat", "dog", "cow")), "reste": 5},
        r"apprend/, essai/ in .* hold the same folders, cat, cow, dog: they look like splits",
    ),
    "images in one folder, labels in a file": (
        {"images": 5, "train.csv": "x"},
        r"holds one class, 'images', with 5 images straight in it; .* two \(perhaps their labels are in train.csv\)$",
    ),
    "folds of a split": (within("train1", "train2"), r"holds train1/ and train2/, which look like the same split"),
    "a split of which kind": (within("train", "eval"), r"eval/ in .* looks like a split, but not like which"),
    "no training images": (within("val", "test"), r"test/, val/ in .* look like splits, and there is none to train on"),
    "the same folders inside": (
        within("photo", "sketch"),
        r"photo/, sketch/ in .* hold the same folders, cat, dog: they",
    ),
    "the same folders deeper": (within("a/images", "b/images"), r"a/images/, b/images/ in .* hold the same folders"),
    "splits inside classes": (
        {f"{c}/{s}": 3 for c in TWO for s in ("train", "test")},
        r"cat/, dog/ in .* hold the same folders, test, train, which look like splits of each class; put",
    ),
    "masks inside a class": (
        {"cat/img": 3, "cat/masks": 3, "dog": 3},
        r"masks/ in the class folder .*cat looks like la",
    ),
    "images and labels in each class": (
        {f"{c}/{s}": 3 for c in TWO for s in ("images", "labels")},
        r"labels/ in the class folder .*cat looks like labels",
    ),
    "other case in a split": (
        {**within("train"), "val/Cat": 2, "val/dog": 2},
        r"class 'Cat' is in val/ but not in train/ of .*, which has 'cat'; .* or give both the same name",
    ),
    "a class more in a split": (
        {**within("train"), **within("test"), "test/cow": 3},
        r"class 'cow' is in test/ but not in train/ of .*; add training images or remove the folder",
    ),
    "a split that is not sorted": (
        {"train/n1/images": 3, "train/n2/images": 3, "val/images": 3, "wnids.txt": ""},
        r"none of the folders in val/ of .*, images/, is one of the classes in train/, n1/, n2/; .* give .*root/train",
    ),
    "one class": ({"train/dog": 3, "test/dog": 3}, r"train holds one class, 'dog'; there must be at least two$"),
    "one folder around classes": (
        within("train/x", "test/x"),
        r"one class, 'x'; .* if they are cat/, dog/ inside it, put",
    ),
    "no images": ({"a/b.txt": ""}, r"holds no folders with images: 1 file there, none of a kind that is read \(.txt\)"),
    "one folder too low": (
        {"": 3, "../cat": 3, "../dog": 3},
        r"root holds no folders.*, or give the folder of all classes; .* holds cat/, dog/ as well",
    ),
    "images straight in": (
        {"": 3},
        r"root holds no folders, and 3 images straight in it; put the images of each class",
    ),
    "a class without images": (
        {"cat": 3, "dog": 3, "cow/a.heic": ""},
        r"of class cow: 1 file there, none of a kind .*heic",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_may_be_meant_otherwise_is_refused(tmp_path, content, message):
    with pytest.raises(BadReference, match=message) as caught:
        said(make(tmp_path / "root", content))
    assert str(caught.value).count("\n") == 0


TAKEN = {
    "an archive in a folder of its own name": (
        within("training_set/training_set", "test_set/test_set"),
        {"train": ["cat 3", "dog 3"], "test": ["cat 3", "dog 3"]},
        "training_set/training_set/ to train, test_set/test_set/ to test; images to validate are cut from those to tr",
    ),
    "splits with a word of their own": (
        {**within("seg_train/seg_train", "seg_test/seg_test"), "seg_pred/seg_pred": 4},
        {"train": ["cat 3", "dog 3"], "test": ["cat 3", "dog 3"]},
        "1 folder left out, neither a class nor a split: seg_pred/ (4 images)",
    ),
    "superclasses with some names in common": (
        {f"{a}/{b}": 2 for a, bs in (("animal", "cat dog cow other"), ("car", "vw kia bmw other")) for b in bs.split()},
        {"train": ["animal 8", "car 8"]},
        "count as its class: animal/ (cat, cow, dog, other), car/ (bmw, kia, other, vw)",
    ),
    "toys of which one is a train": (
        {"toy_car": 2, "toy_train": 3},
        {"train": ["toy_car 2", "toy_train 3"]},
        "classes: 2 folders in ",
    ),
    "other names of splits": (
        within("Train", "VALIDATION", "Test-Images"),
        {"train": ["cat 3", "dog 3"], "valid": ["cat 3", "dog 3"], "test": ["cat 3", "dog 3"]},
        "Train/ to train, VALIDATION/ to validate, Test-Images/ to test",
    ),
    "unlabeled images and labels beside train": (
        {**within("train"), "unlabeled": 8, "annotations/a.xml": "", "docs/readme": ""},
        {"train": ["cat 3", "dog 3"]},
        "3 folders left out, neither a class nor a split: annotations/ (1 other file), docs/ (1 other file), "
        "unlabeled/ (8 images)",
    ),
    "annotations without images beside classes": (
        {**within(""), "annotations/a.xml": ""},
        {"train": ["cat 3", "dog 3"]},
        "1 folder left out, neither a class nor a split: annotations/ (1 other file)",
    ),
    "images beside class folders": (
        {**within(""), "": 30},
        {"train": ["cat 3", "dog 3"]},
        "30 images left out, beside the folders of classes, not in one: 0.png, 1.png, 10.png, 11.png, 12.png and 25",
    ),
    "images beside class folders of a split": (
        {**within("train", "test"), "test": 2},
        {"train": ["cat 3", "dog 3"], "test": ["cat 3", "dog 3"]},
        "2 images left out, beside the folders of classes, not in one: test/0.png, test/1.png",
    ),
    "a class that begins with a dot": (
        {**within(""), ".NET": 10, ".git/HEAD": ""},
        {"train": ["cat 3", "dog 3"]},
        "1 hidden folder with images left out: .NET/ (10 images); if one is a class, name all classes as task.classes\n"
        "1 hidden folder left out: .git/ (1 other file)",
    ),
    "hidden folders in a class": (
        {**within(""), "cat/.thumbs": 2, "__MACOSX/cat/._0.png": "", "dog/.x.png": "", "dog/notes.txt": ""},
        {"train": ["cat 3", "dog 3"]},
        "1 file ignored, no image by extension: dog/notes.txt\n"
        "1 hidden folder with images left out: cat/.thumbs/ (2 images); if one is a class, name all classes as "
        "task.classes\n1 hidden folder left out: __MACOSX/ (1 other file)\n1 hidden file left out: dog/.x.png",
    ),
    "thumbnails that a system made": (
        {**within(""), "@eaDir": 4, "lost+found/x": ""},
        {"train": ["cat 3", "dog 3"]},
        "1 hidden folder with images left out: @eaDir/ (4 images); if one is a class, name all classes as "
        "task.classes\n1 hidden folder left out: lost+found/ (1 other file)",
    ),
    "classes whose names begin or end like splits": (
        dict.fromkeys(("test tubes", "training shoes", "bullet train", "train station", "validators"), 2),
        {"train": [f"{n} 2" for n in ("bullet train", "test tubes", "train station", "training shoes", "validators")]},
        "classes: 5 folders in ",
    ),
    "numbered classes": (
        dict.fromkeys(("class 1", "class 2", "class 10"), 2),
        {"train": ["class 1 2", "class 10 2", "class 2 2"]},
        "classes: 3 folders in ",
    ),
    "folders in classes": (
        {"animals/cat": 3, "animals/dog": 3, "animals": 1, "cars/vw": 2, "cars/fiat/old": 2},
        {"train": ["animals 7", "cars 4"]},
        "images in folders inside a class folder count as its class: animals/ (cat, dog), cars/ (fiat, vw)",
    ),
    "a class in two spellings of Unicode": (
        {"caf\u00e9": 2, "cafe\u0301": 3, "tea": 2},
        {"train": ["caf\u00e9 5", "tea 2"]},
        "folders whose names differ only in how Unicode writes them are one class: caf\u00e9",
    ),
    "splits in two spellings of Unicode": (
        {"train/caf\u00e9": 2, "val/cafe\u0301": 3, "train/tea": 2, "val/tea": 1},
        {"train": ["caf\u00e9 2", "tea 2"], "valid": ["caf\u00e9 3", "tea 1"]},
        "classes: the 2 folders in those: caf\u00e9, tea",
    ),
    "classes that differ in case": (
        {"New York": 2, "new_york": 2, "tea": 2},
        {"train": ["New York 2", "new_york 2", "tea 2"]},
        "'New York' and 'new_york' are classes of their own, though their names differ in case or separators only",
    ),
    "opposites": (
        {"valid": 2, "invalid": 3, "not valid": 1},
        {"train": ["invalid 3", "not valid 1", "valid 2"]},
        "classes: 3 folders in ",
    ),
    "numbered labels": (
        {"label_0": 2, "label_1": 3},
        {"train": ["label_0 2", "label_1 3"]},
        "classes: 2 folders in ",
    ),
    "faces with masks": ({"mask": 2, "no_mask": 2}, {"train": ["mask 2", "no_mask 2"]}, "classes: 2 folders in "),
}


@pytest.mark.parametrize(("content", "counts", "sentence"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken_for_what_is_said(tmp_path, content, counts, sentence):
    found, sentences = said(make(tmp_path / "root", content))
    assert found == counts
    assert sentence in sentences


NAMED = {
    "train among vehicles": (
        dict.fromkeys(("plane", "ship", "train"), 4),
        ("train", "ship", "plane"),
        {"train": ["plane 4", "ship 4", "train 4"]},
        "classes: 3 folders in ",
    ),
    "all of them": (
        {**within(""), "test": 9},
        ("*",),
        {"train": ["cat 3", "dog 3", "test 9"]},
        "all of them, as task.cl",
    ),
    "some of them": (
        {**within(""), "test": 9, "cow": 2},
        TWO,
        {"train": ["cat 3", "dog 3"]},
        "2 folders left out, neither a class nor a split: cow/ (2 images), test/ (9 images)",
    ),
    "a hidden one": ({**within(""), ".NET": 9}, (".NET", "cat"), {"train": [".NET 9", "cat 3"]}, "dog/ (3 images)"),
    "some of those in splits": (
        {**within("train", "test"), "train/unlabeled": 4, "test/cow": 1},
        TWO,
        {"train": ["cat 3", "dog 3"], "test": ["cat 3", "dog 3"]},
        "2 folders left out, neither a class nor a split: test/cow/ (1 image), train/unlabeled/ (4 images)",
    ),
    "those of splits beside others": (
        {**within("Training", "Test"), "papers": 3},
        TWO,
        {"train": ["cat 3", "dog 3"], "test": ["cat 3", "dog 3"]},
        "1 folder left out, neither a class nor a split: papers/ (3 images)",
    ),
    "splits as classes": (
        within("train", "test"),
        ("train", "test"),
        {"train": ["test 6", "train 6"]},
        "count as its cl",
    ),
    "the other Unicode": ({"caf\u00e9": 2, "tea": 2}, ("cafe\u0301", "tea"), {"train": ["caf\u00e9 2", "tea 2"]}, ""),
}


@pytest.mark.parametrize(("content", "wanted", "counts", "sentence"), NAMED.values(), ids=NAMED)
def test_classes_are_those_that_are_named(tmp_path, content, wanted, counts, sentence):
    found, sentences = said(make(tmp_path / "root", content), wanted)
    assert found == counts
    assert sentence in sentences


@pytest.mark.parametrize(
    ("content", "wanted", "message"),
    [
        (within(""), ("cat", "cow"), r"task.classes names 'cow', and .*root has no such folder; its folders: cat, dog"),
        (within("train"), ("cat", "cow"), r"task.classes names 'cow', and .*root/train has no such folder"),
        (
            within("photos"),
            TWO,
            r"task.classes names 'cat', and .*root has no such folder; give .*root/photos as task.path",
        ),
        (within(""), ("cat", "cat"), r"task.classes names 'cat' twice"),
        (within(""), ("cat",), r"holds one class, 'cat'; there must be at least two"),
        ({**within(""), "cow/a.txt": ""}, ("cat", "cow"), r"no images in .*root of class cow: 1 file there"),
    ],
)
def test_names_of_no_classes_are_refused(tmp_path, content, wanted, message):
    with pytest.raises(BadReference, match=message):
        said(make(tmp_path / "root", content), wanted)


def test_links_that_lead_out_are_followed_only_when_asked(tmp_path):
    outside = make(tmp_path / "outside", within("", count=2))
    root = make(tmp_path / "root", within(""))
    (root / "cow").symlink_to(outside / "cat")
    (root / "cat" / "other.png").symlink_to(outside / "dog" / "0.png")
    (root / "cat" / "gone.png").symlink_to(outside / "gone.png")
    found, sentences = said(root)
    assert found == {"train": ["cat 3", "dog 3"]}
    assert (
        "2 links not followed, leading out of the folder: cat/other.png, cow; task.follow_links = true foll"
        in sentences
    )
    assert "1 link left out, leading to nothing: cat/gone.png" in sentences
    found, sentences = said(root, is_following=True)
    assert found == {"train": ["cat 4", "cow 2", "dog 3"]}
    assert "leading out" not in sentences
    (tmp_path / "links").mkdir()
    for name in TWO:
        (tmp_path / "links" / name).symlink_to(outside / name)
    with pytest.raises(
        BadReference, match=r"; 2 links leading out of the folder are not followed: cat, dog; task.foll"
    ):
        said(tmp_path / "links")
    (tmp_path / "link").symlink_to(root)
    assert said(tmp_path / "link")[0] == {"train": ["cat 3", "dog 3"]}, "the folder itself may be a link"


def test_links_within_give_each_file_once(tmp_path):
    root = make(tmp_path / "root", {**within("train"), "all/cow": 2})
    (root / "train" / "cow").symlink_to(root / "all" / "cow")
    (root / "train" / "cat" / "more").symlink_to(root / "train" / "cat")
    (root / "train" / "cat" / "again.png").symlink_to("0.png")
    (root / "train" / "cow 2").symlink_to(root / "all" / "cow")
    with pytest.raises(BadReference, match="beside all/"):
        said(root)
    found, sentences = said(root, ("cat", "dog", "cow"))
    assert found == {"train": ["cat 3", "cow 2", "dog 3"]}
    assert (
        "1 link left out, which leads to an image of the same class that is used already: train/cat/again.png"
        in sentences
    )
    assert "2 links left out, leading to a folder that is read already: train/cat/more, train/cow 2" in sentences


def test_what_is_neither_file_nor_folder_is_left_out(tmp_path, monkeypatch):
    root = make(tmp_path / "root", within(""))
    os.mkfifo(root / "cat" / "pipe.png")
    monkeypatch.chdir(root / "dog")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.png")
    found, sentences = said(root)
    assert found == {"train": ["cat 3", "dog 3"]}
    assert "2 entries left out, neither file nor folder: cat/pipe.png, dog/socket.png" in sentences


def test_folders_are_bounded_in_depth(tmp_path):
    make(tmp_path / "root", {**within(""), "/".join(["cat"] + ["a"] * 120): 1})
    with pytest.raises(BadReference, match="nested more than 100 folders deep"):
        said(tmp_path / "root")


NAMES = (
    "cat",
    "dog",
    "Train",
    "test",
    "val",
    "labels",
    "unlabeled",
    "images",
    ".x",
    "caf\u00e9",
    "cafe\u0301",
    "a.png",
)
FILES = st.sampled_from(["0.png", "1.JPG", ".2.png", "x.txt", "Thumbs.db"])
TREES = st.recursive(
    st.lists(FILES, max_size=3, unique=True),
    lambda inside: st.dictionaries(st.sampled_from(NAMES), inside, max_size=4),
    max_leaves=8,
)


def _write(place, tree):
    place.mkdir()
    for name in tree:
        if isinstance(tree, dict):
            _write(place / name, tree[name])
        else:
            (place / name).touch()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES, st.sampled_from([(), (), ("*",), TWO]))
def test_any_tree_is_refused_in_a_sentence_or_used_and_counted_to_the_last_file(tmp_path_factory, tree, wanted):
    root = tmp_path_factory.mktemp("any") / "root"
    _write(root, tree)
    try:
        found, _ = said(root, wanted)
    except BadReference:
        return
    assert len(found["train"]) > 1
    if not wanted:
        assert not [name for names in found.values() for name in names if kind_of(name.rpartition(" ")[0])]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("train", "train Train TRAINING training_set trainset train2017 train-images TrainData traindata trainval"),
        ("test", "test test1 test_set TestSet testing testimages Test-Images"),
        ("valid", "val valid VALIDATION val_set dev dev-set validset"),
        ("split", "eval holdout train_test split1 Evaluation"),
        ("labels", "labels train_labels Annotations Annotation ground_truth GT SegmentationClass masks"),
        ("unlabeled", "unlabeled Unlabelled_images unsup no_labels NoLabel not-labeled unlabeled_train"),
        (
            None,
            "cat trains testify 0 class_1 .NET training-shoe positive_test mask no_mask invalid dog2 images \u732b",
        ),
    ],
)
def test_what_names_say(kind, names):
    assert {name: kind_of(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


def test_a_mask_is_one_beside_images_only():
    assert kinds_of(["images", "mask"]) == {"mask": "labels"}
    assert kinds_of(["mask", "no_mask", "0"]) == {}
    assert is_container("Images_2017") and not is_container("0")
