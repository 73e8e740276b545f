"""Images from files to batches: decoding, the cache on disk, splits, augmentation."""
