"""From a GPU's energy to those who used it: arithmetic in whole millijoules, and the book it is kept in."""
