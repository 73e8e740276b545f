"""Penn Treebank as language models read it: 929,589 words to train on, a vocabulary of 10,000 (Mikolov et al. 2010).

Three files of words set apart by blanks, a sentence a line; each line ends in `<eos>`. They are not part of the
package.
"""

from __future__ import annotations

from netwright.data import word_files

NAMES = {"train": "ptb.train.txt", "valid": "ptb.valid.txt", "test": "ptb.test.txt"}

plugin = word_files.maker(
    "penn_treebank", "The words of a newspaper, of which rare ones are `<unk>` and numbers `N`.", NAMES
)
