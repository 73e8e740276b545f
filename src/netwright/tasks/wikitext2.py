"""WikiText-2 as language models read it: 2,088,628 words to train on, a vocabulary of 33,278 (Merity et al. 2017).

Three files of words set apart by blanks; each line ends in `<eos>`. They are not part of the package.
"""

from __future__ import annotations

from netwright.data import word_files

NAMES = {"train": "wiki.train.tokens", "valid": "wiki.valid.tokens", "test": "wiki.test.tokens"}

plugin = word_files.maker(
    "wikitext2", "Good and featured articles of Wikipedia, of whose words rare ones are `<unk>`.", NAMES
)
