"""The operations of layers, one record each, in a file for each kind of input; `modules` holds their torch code."""
