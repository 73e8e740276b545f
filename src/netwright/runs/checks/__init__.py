"""What can be wrong with the folder of a run, looked for without a change to anything in it."""
