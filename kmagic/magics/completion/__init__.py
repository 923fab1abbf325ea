"""Tab completion in model cells and on the lines of magics."""
