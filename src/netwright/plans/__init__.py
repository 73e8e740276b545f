"""Layer plans: networks as lists of records, and the torch modules, counts and source code made from them."""
