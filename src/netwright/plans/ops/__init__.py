"""One record for each operation that a layer may be, by what it is for; `modules` holds their torch modules."""
