"""The command line: wires everything, imports late."""
